"""The one way lamina runs another program: with a timeout, its output captured, its failure explained."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lamina.errors import MissingToolError

_SHOWN = 12
_WIDEST = 300
#: What terminals take as commands (ECMA-48), and what they would take so.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Completed:
    """What a finished program left: its exit code and its output as text (undecodable bytes replaced)."""

    command: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def run(
    command: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: str | None = None,
) -> Completed:
    """Run ``command`` to its end and return what it printed; a non-zero exit is the caller's to judge.

    ``timeout`` is in seconds. Raises :class:`~lamina.errors.MissingToolError` when the program does not exist or
    does not end in time; in both cases the message carries the command, and for a timeout what it had printed.
    """
    words = tuple(command)
    try:
        done = subprocess.run(  # noqa: S603 - the command is built by lamina, never by a shell
            words,
            input=stdin.encode(),
            capture_output=True,
            timeout=timeout,
            env=None if env is None else dict(env),
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        message = f"{words[0]}: cannot be run: {error.strerror}"
        raise MissingToolError(message, hint=f"Install {words[0]} or put it on PATH.") from error
    except subprocess.TimeoutExpired as error:
        printed = (error.stderr or b"").decode(errors="replace").strip()
        message = f"{' '.join(words)}: still running after {timeout:g} s and was ended"
        raise MissingToolError(message, hint=printed or "Try again; nothing was changed.") from error
    return Completed(words, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def last_lines(text: str) -> str:
    """The last lines that say something, indented; without the hints that uv and pip give on themselves."""
    lines = [_CONTROL.sub("", line).rstrip()[:_WIDEST] for line in text.splitlines()]
    told = [line for line in lines if line and not line.lstrip().startswith(("hint:", "note:", "[notice]"))]
    return "\n".join(f"  {line}" for line in told[-_SHOWN:]) or "  it printed nothing"
