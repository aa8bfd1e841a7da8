"""Progress as a value that is handed in: stages report to it and never know who watches.

The silent :class:`Progress` is the default everywhere; the one that draws bars lives with the command line.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Task:
    """One piece of long work, for instance the download of one wheel. Closed by leaving its ``with`` block."""

    def advance(self, amount: int) -> None:
        """Say that ``amount`` more of the task's unit (bytes, for a download) is done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to release in the silent task."""


class Progress:
    """The silent progress: takes every call and shows nothing."""

    def stage(self, message: str) -> None:
        """Say what begins now, in a few words (``resolving for cp311-manylinux2014_x86_64``)."""

    def task(self, label: str, total: int | None = None, *, unit: str = "bytes") -> Task:
        """Begin one task of ``total`` units (``None`` when unknown) and return it as a context manager.

        May be called from several threads at once.
        """
        del label, total, unit
        return Task()


SILENT = Progress()
