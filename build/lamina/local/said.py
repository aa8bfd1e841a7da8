"""The end of what a program said, for messages."""

from __future__ import annotations

import re

_SHOWN = 12
_WIDEST = 300
#: What terminals take as commands (ECMA-48), and what they would take so.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def last_lines(text: str) -> str:
    """The last lines that say something, indented; without the hints that uv and pip give on themselves."""
    lines = [_CONTROL.sub("", line).rstrip()[:_WIDEST] for line in text.splitlines()]
    told = [line for line in lines if line and not line.lstrip().startswith(("hint:", "note:", "[notice]"))]
    return "\n".join(f"  {line}" for line in told[-_SHOWN:]) or "  it printed nothing"
