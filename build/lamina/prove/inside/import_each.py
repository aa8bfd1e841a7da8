"""Imports modules, each in a fork of this clean process, some side by side; a line of JSON for each goes to stdout.

It is run as the text of ``-c`` with an order as JSON on standard input: ``names``, how many at ``once``, and for each
import the most ``memory`` in bytes and the most ``seconds``, or null.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Any

_PAGE = os.sysconf("SC_PAGE_SIZE")
_FRAMES, _MOST_TEXT = 3, 2000
_PERIOD = 10  # milliseconds


def main() -> None:
    """Start as many as may run at once, and another for each that ends."""
    order = json.load(sys.stdin)
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    waiting: list[str] = list(reversed(order["names"]))
    running: dict[int, _Child] = {}
    poll = select.poll()
    while waiting or running:
        while waiting and len(running) < order["once"]:
            one = _Child(waiting.pop())
            running[one.reading] = one
            poll.register(one.reading, select.POLLIN)
        for descriptor, _ in poll.poll(_PERIOD):
            one = running[descriptor]
            if not one.read():
                poll.unregister(descriptor)
                del running[descriptor]
                results.write(json.dumps(one.result()) + "\n")
                results.flush()
        for one in running.values():
            one.measure(order["memory"], order["seconds"])


class _Child:
    """One import under way."""

    def __init__(self, name: str) -> None:
        self.name, self.peak, self.ended = name, 0, ""
        self._told = b""
        self.reading, writing = os.pipe()
        self._began = time.monotonic()
        self._process = os.fork()
        if not self._process:
            os.close(self.reading)
            _become(name, writing)
        os.close(writing)

    def read(self) -> bool:
        """Take what it says; false at its end."""
        chunk = os.read(self.reading, 65536)
        self._told += chunk
        return bool(chunk)

    def measure(self, memory: int | None, seconds: float | None) -> None:
        """Hold it against its limits."""
        try:
            with open(f"/proc/{self._process}/statm") as file:  # noqa: PTH123 - pathlib would be there before the import
                self.peak = max(self.peak, int(file.read().split()[1]) * _PAGE)
        except (OSError, IndexError):
            return
        if not self.ended:
            if memory is not None and self.peak > memory:
                self.ended = "memory"
            elif seconds is not None and time.monotonic() - self._began > seconds:
                self.ended = "timeout"
            if self.ended:
                os.killpg(self._process, signal.SIGKILL)

    def result(self) -> dict[str, Any]:
        """How it ended."""
        os.close(self.reading)
        seconds = time.monotonic() - self._began
        _, status, _ = os.wait4(self._process, 0)
        with contextlib.suppress(OSError):  # what it started and left behind
            os.killpg(self._process, signal.SIGKILL)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        told = json.loads(self._told) if self._told else {"passed": False, "code": code}
        return {"name": self.name, "seconds": seconds, "peak": self.peak, "ended": self.ended, **told}


def _become(name: str, writing: int) -> None:
    """Import it, tell how that went, and end without a word from anything that was registered for the end."""
    import importlib

    steps: dict[str, tuple[float, int]] = {}
    try:
        os.setpgid(0, 0)
        began = time.perf_counter()
        try:
            # As ``import a.b`` itself does: first a, which so is proven alone, then a.b.
            for end in [*(at for at, letter in enumerate(name) if letter == "."), len(name)]:
                importlib.import_module(name[:end])
                steps[name[:end]] = time.perf_counter() - began, _high_water()
        except BaseException as error:  # noqa: BLE001 - a module may raise anything, SystemExit among it
            told = _failure(error)
        else:
            told = {"passed": True}
        told["seconds"] = time.perf_counter() - began
        told["peak"] = _high_water()
        told["steps"] = steps
        os.write(writing, json.dumps(told).encode())
    finally:
        os._exit(0)


def _failure(error: BaseException) -> dict[str, Any]:
    import traceback

    frames = [
        f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != "<string>"
    ]
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    file = getattr(error, "filename", None) if isinstance(error, FileNotFoundError) else None
    try:
        message = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception of the package's own, whose text fails
        message = type(error).__name__
    return {
        "passed": False,
        "message": message[:_MOST_TEXT],
        "frames": [frame[:_MOST_TEXT] for frame in frames[-_FRAMES:]],
        "missing": missing if isinstance(missing, str) else file if isinstance(file, str) else "",
    }


def _high_water() -> int:
    """The most memory that this process had resident, in bytes: proc_pid_status(5)."""
    with open("/proc/self/status") as file:  # noqa: PTH123 - as above
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
