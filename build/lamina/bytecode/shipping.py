"""The whole way from parts and mode to the bytecode that a layer ships; the store, and a CPython, come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lamina.bytecode.choose import Form, beside_sources, in_place_of_sources
from lamina.bytecode.library import Wanted, ensure, ensure_in_place
from lamina.bytecode.model import Choice, compiled_key
from lamina.interpreters import Interpreter
from lamina.part.model import Entry, Facts, Index
from lamina.progress import Progress
from lamina.store import Store


class Means(NamedTuple):
    """What compiling takes: the store, how an interpreter is found (:class:`MissingToolError` where none is)."""

    store: Store
    find: Callable[[], Interpreter]
    progress: Progress


def choice(
    mode: str,
    shipping: Sequence[Sequence[Entry]],
    parts: Sequence[tuple[Index, Facts]],
    keys: Sequence[str],
    python: tuple[int, int],
    means: Means,
    *,
    imports: Sequence[str] = (),
    room: int | None = None,
) -> Choice:
    """What ships as bytecode; ``shipping`` are the entries of each part that ship, ``keys`` the parts' names.

    ``room`` are the bytes that it may come to, with its rows in RECORD; of use to the mode ``fit`` alone.

    Raises:
        MissingToolError: something has to be compiled, and there is no interpreter for it.
    """
    wanted = [Wanted(key, index) for key, (index, _) in zip(keys, parts, strict=True)]
    made = ensure(means.store, wanted, python, means.find, means.progress)
    cached = Form([compiled_key(key, python, in_place=False) for key in keys], made)
    if mode == "sourceless":
        moved = ensure_in_place(means.store, wanted, python, made)
        placed = Form([compiled_key(key, python, in_place=True) for key in keys], moved)
        return in_place_of_sources(shipping, parts, python, cached, placed)
    return beside_sources(shipping, parts, python, cached, imports=imports, room=room if mode == "fit" else None)
