"""What is compiled and what ships of it, as values, and the names of both in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import deflate
import msgspec

from lamina.bytecode import FORMAT
from lamina.part.model import Entry
from lamina.prune.model import Decision


class Compiled(msgspec.Struct, frozen=True, array_like=True):
    """Bytecode of one part: where each entry lies in its data, and which sources have none.

    ``failed`` are the layer paths of sources that do not compile: templates, code for Python 2. ``compiler`` is the
    version of the CPython that made it. ``data_bytes`` is the size of the data.
    ``key`` is its name in the store: what stands under another one, put there by mistake, is not taken for it.
    """

    compiler: str
    data_sha256: str
    data_bytes: int
    entries: tuple[Entry, ...]
    failed: tuple[str, ...]
    key: str = ""


class Pick(msgspec.Struct, frozen=True, array_like=True):
    """What a layer takes of one compiled part, whose name in the store is ``key``: entries in their order."""

    key: str
    entries: tuple[Entry, ...] = ()


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """All the bytecode of a layer: one list of picks for each part, and what there is to say of it.

    ``left`` is the number of sources that ship without bytecode as the budget has no room for it, ``left_bytes`` what
    that would come to; ``lacking`` of them are loaded by the proof. ``failed`` are sources that ship and
    do not compile. ``compiler`` is the version of the CPython that compiled, empty where nothing was. ``sources`` has
    for each part which sources go, as their bytecode stands in their place, and which stay and why; it is empty where
    all stay.
    """

    picks: tuple[tuple[Pick, ...], ...]
    compiler: str = ""
    left: int = 0
    left_bytes: int = 0
    lacking: int = 0
    failed: tuple[str, ...] = ()
    sources: tuple[tuple[Decision, ...], ...] = ()

    @property
    def replaced(self) -> frozenset[str]:
        """The layer paths of the sources that go."""
        return frozenset(one.path for said in self.sources for one in said if one.dropped)

    def over(self, decisions: Sequence[Sequence[Decision]]) -> list[list[Decision]]:
        """What pruning decided, and on top of it what became of sources."""
        if not self.sources:
            return [[*said] for said in decisions]
        return [
            [*{one.path: one for one in (*said, *own)}.values()]
            for said, own in zip(decisions, self.sources, strict=True)
        ]


def compiled_key(part: str, python: tuple[int, int], *, in_place: bool, some: Sequence[str] = ()) -> str:
    """The name of the bytecode of the part named ``part``, for a minor version, which has one magic number.

    ``in_place`` is the form whose files stand where their sources stood (``x.pyc``), not in ``__pycache__``. ``some``
    are the layer paths of the sources that it is made of; without, all those that no rule of pruning would drop.
    """
    form = "in place" if in_place else "cached"
    made_from = f"bytecode {FORMAT} {form}\ndeflate {deflate.__version__}\npython {python}\npart {part}\n"
    return hashlib.sha256("\n".join((made_from, *some)).encode()).hexdigest()


def bytecode_path(source: str, python: tuple[int, int], *, in_place: bool) -> str:
    """Where the bytecode of a source stands, by layer paths (PEP 3147)."""
    if in_place:
        return source + "c"
    folder, slash, name = source.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.cpython-{python[0]}{python[1]}.pyc"
