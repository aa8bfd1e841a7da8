"""Every error lamina raises on purpose, and the exit code each one ends a command with.

The codes are a contract (see the table in the README): 0 fine, 1 findings or a stale lock, 2 usage or recipe,
3 no resolution, 4 index, network, integrity or an unsafe wheel, 5 something the machine lacks, 130 interrupted.
They become process exits in one place only, :mod:`lamina.cli`.
"""

from __future__ import annotations

from typing import ClassVar


class LaminaError(Exception):
    """An error with a place and a way out: what happened, where, and what to do next.

    ``message`` names the file, package or key concerned. ``hint`` is what the reader should do; it may hold
    several lines, and a command in it can be copied as it stands.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class FindingsError(LaminaError):
    """The build or audit ended with error findings, or a proof failed."""

    exit_code = 1


class StaleLockError(LaminaError):
    """The lock was made from other resolution inputs than the recipe now states."""

    exit_code = 1


class StaleTraceError(LaminaError):
    """The trace that ``prune.untraced`` rests on was made with another lock."""

    exit_code = 1


class UsageError(LaminaError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class RecipeError(LaminaError):
    """The recipe has mistakes. ``message`` holds all of them, one a line, each with its path in the file."""

    exit_code = 2


class MissingLockError(LaminaError):
    """There is no lock for this recipe and target yet."""

    exit_code = 2


class ResolutionError(LaminaError):
    """No set of wheels satisfies the requirements on the target."""

    exit_code = 3


class IndexAccessError(LaminaError):
    """An index or the network refused, failed, or does not have what the lock names."""

    exit_code = 4


class IntegrityError(LaminaError):
    """Bytes are not what their hash, size, CRC or RECORD says."""

    exit_code = 4


class UnsafeWheelError(LaminaError):
    """A wheel holds something that must never be unpacked: an escaping path, a bomb, a duplicate, a lie."""

    exit_code = 4


class MissingToolError(LaminaError):
    """The machine lacks something the command needs: an interpreter, an engine, the uv executable."""

    exit_code = 5
