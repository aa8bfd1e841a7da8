"""What a program that was run somewhere says, and what came of it."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

#: How a job ended: by itself, by its deadline, by its memory, or because it was stopped.
Ended = Literal["exited", "timeout", "memory", "stopped"]

#: What is kept of each output stream, in bytes; the rest is counted.
MOST_OUTPUT = 10 * 1024 * 1024


class FailedToEnterError(Exception):
    """The place for a program could not be made: the message says which call failed, and how."""


class Outcome(NamedTuple):
    """What came of a job. ``peak`` is the largest resident memory of all its processes together, in bytes."""

    ended: Ended
    code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    peak: int


class Kept:
    """One output stream of a job, kept up to a limit."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._more = 0

    def add(self, chunk: bytes) -> None:
        """What came; beyond :data:`MOST_OUTPUT` it is only counted."""
        room = MOST_OUTPUT - len(self._kept)
        self._kept += chunk[:room]
        self._more += max(0, len(chunk) - room)

    def content(self) -> bytes:
        """What came so far; at its end, where there was more than is kept, how much."""
        more = f"\n[{self._more:,} bytes more are not kept]\n".encode() if self._more else b""
        return bytes(self._kept) + more


class Running(Protocol):
    """A job under way."""

    def wait(self, seconds: float | None = None) -> Outcome | None:
        """What came of it, or ``None`` if it is still under way after so many seconds."""

    def stop(self) -> Outcome:
        """End it, with all processes that it started, and tell what came of it."""

    def peak(self) -> int:
        """The largest resident memory so far, in bytes."""

    def output(self) -> tuple[bytes, bytes]:
        """Standard output and standard error so far."""
