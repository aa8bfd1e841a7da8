"""The whole way from parts and mode to the bytecode that a layer ships; the store, and a CPython, come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lamina.bytecode.choose import Piece, beside_sources, in_place_of_sources
from lamina.bytecode.compilers import Compiler
from lamina.bytecode.library import Wanted, ensure, ensure_in_place, wanted
from lamina.bytecode.model import Choice, Compiled
from lamina.part.model import Entry, Facts, Index
from lamina.progress import Progress
from lamina.store import Store


class Means(NamedTuple):
    """What compiling takes: the store, how a compiler is found (:class:`MissingToolError` where none is)."""

    store: Store
    find: Callable[[], Compiler]
    progress: Progress


def choice(  # noqa: PLR0913 - all that decides, from recipe, layer and trace
    mode: str,
    shipping: Sequence[Sequence[Entry]],
    parts: Sequence[tuple[Index, Facts]],
    keys: Sequence[str],
    python: tuple[int, int],
    means: Means,
    *,
    imports: Sequence[str] = (),
    traced: Sequence[str] = (),
    room: int | None = None,
) -> Choice:
    """What ships as bytecode; ``shipping`` are the entries of each part that ship, ``keys`` the parts' names.

    ``room`` are the bytes that it may come to, with its rows in RECORD; of use to the mode ``fit`` alone.

    Raises:
        MissingToolError: something has to be compiled, and there is no interpreter for it.
    """
    every = [[*wanted(key, index, own)] for key, (index, _), own in zip(keys, parts, shipping, strict=True)]
    each = [one for some in every for one in some]
    made = ensure(means.store, each, python, means.find, means.progress)
    cached = [*_pieces(every, made, python, in_place=False)]
    if mode == "sourceless":
        moved = ensure_in_place(means.store, each, python, made)
        placed = [*_pieces(every, moved, python, in_place=True)]
        return in_place_of_sources(shipping, parts, python, cached, placed)
    room = room if mode == "fit" else None
    return beside_sources(shipping, parts, python, cached, imports=imports, traced=traced, room=room)


def _pieces(
    every: Sequence[Sequence[Wanted]], made: Sequence[Compiled], python: tuple[int, int], *, in_place: bool
) -> Iterator[list[Piece]]:
    """What was made, part by part."""
    rest = iter(made)
    for some in every:
        yield [Piece(one.key(python, in_place=in_place), next(rest)) for one in some]
