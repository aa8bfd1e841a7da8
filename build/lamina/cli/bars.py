"""Progress bars with bytes and rate, drawn by rich; imported only in a terminal and only for long work."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from lamina.progress import Task


class Bars:
    """One display for all tasks; it appears with the first and is gone when the last has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._display = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            transient=True,
        )

    def task(self, label: str, total: int | None, *, unit: str) -> Task:
        """Begin a task; ``unit`` other than bytes is told in the label, since the columns count bytes."""
        with self._lock:
            if self._open == 0:
                self._display.start()
            self._open += 1
            shown = label if unit == "bytes" else f"{label} ({unit})"
            return _Bar(self, self._display, self._display.add_task(shown, total=total))

    def end(self, task: TaskID) -> None:
        """Take a finished task off the display."""
        with self._lock:
            self._display.remove_task(task)
            self._open -= 1
            if self._open == 0:
                self._display.stop()

    def close(self) -> None:
        """Stop drawing, whatever is still open."""
        self._display.stop()


class _Bar(Task):
    def __init__(self, bars: Bars, display: Progress, task: TaskID) -> None:
        self._bars = bars
        self._display = display
        self._task = task

    def advance(self, amount: int) -> None:
        self._display.advance(self._task, amount)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.end(self._task)
