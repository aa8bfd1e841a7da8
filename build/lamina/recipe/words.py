"""How mistakes are put into words: the place, the value that stood there, the word that was probably meant."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Path: TypeAlias = tuple[str | int, ...]

_LONGEST = 60  # characters of a value that a message quotes


class Mistake(NamedTuple):
    """What is wrong at one place of a recipe: keys and list positions from the top, and a sentence."""

    path: Path
    message: str


def render(path: Path) -> str:
    """Write a path as ``target[0].platform``; a key that is no bare one in TOML stands in quotes."""
    words = [f"[{step}]" if isinstance(step, int) else f".{_key(step)}" for step in path]
    return "".join(words).removeprefix(".")


def show(value: object) -> str:
    """Quote a value as TOML writes it, shortened; lists and tables only by their kind."""
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        return quoted if len(quoted) <= _LONGEST else f'{quoted[: _LONGEST - 4]}..."'
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):  # Python refuses to print very large ones, which TOML can state in hexadecimal
        return str(value) if value.bit_length() <= 64 else "a very large number"  # noqa: PLR2004
    if isinstance(value, list):
        return "a list" if value else "[]"
    return "a table" if isinstance(value, dict) else str(value)


def nearest(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Suggest the known word nearest to ``word``, as the end of a message; ``otherwise`` where none is near."""
    options = list(known)
    found = difflib.get_close_matches(word, options, n=1) or difflib.get_close_matches(word.lower(), options, n=1)
    return f"; did you mean {show(found[0])}?" if found else otherwise


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else show(name)
