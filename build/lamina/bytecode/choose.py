"""layer and compiled parts → what ships as bytecode, by the recipe's mode and the room that its budget leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lamina.bytecode.model import Choice, Compiled, Pick, bytecode_path
from lamina.bytecode.sources import kept_sources
from lamina.part.model import Entry, Facts, Index
from lamina.part.source import resolve
from lamina.prune.model import Decision

_ROOT = "python/"
#: What a row of RECORD takes beside the path: digest, size, commas.
_ROW_BYTES = 64
#: Folders of modules that functions hardly ever import; their bytecode comes last.
_UNLIKELY = frozenset({"tests", "test", "testing", "_testing", "conftest.py", "setup.py", "__main__.py", "_vendor"})


class Piece(NamedTuple):
    """Some compiled sources of a part, and their name in the store."""

    key: str
    compiled: Compiled


#: The compiled parts in one form, in the order of the parts.
Form = Sequence[Sequence[Piece]]


class Module(NamedTuple):
    """A source that ships, and its bytecode: the part's number, the source's path, the entry and in which piece."""

    part: int
    source: str
    entry: Entry
    key: str


def beside_sources(
    shipping: Sequence[Sequence[Entry]],
    parts: Sequence[tuple[Index, Facts]],
    python: tuple[int, int],
    cached: Form,
    *,
    imports: Sequence[str] = (),
    traced: Sequence[str] = (),
    room: int | None = None,
) -> Choice:
    """Bytecode in ``__pycache__``: of all sources that ship, or as far as ``room``, in bytes, goes.

    ``shipping`` are the entries of each part that ship. With a ``room``, the sources ``traced`` come first, as a trace
    has them by their layer paths; then what ``imports`` reach, in the order in which Python would load it; then what
    that imports when it is called; then what is likely to be used before what is not, the largest first, as each costs
    most when it is missing.
    """
    modules = [*_modules(shipping, python, cached)]
    if room is not None:
        modules = _ordered(modules, parts, imports, traced)
    taken: dict[str, list[Entry]] = defaultdict(list)
    left: list[Entry] = []
    for module in modules:
        cost = module.entry.size + len(module.entry.path) + _ROW_BYTES
        if room is not None and cost > room:
            left.append(module.entry)
            continue
        if room is not None:
            room -= cost
        taken[module.key].append(module.entry)
    return Choice(
        picks=tuple(tuple(_picked(pieces, taken)) for pieces in cached),
        compiler=_compiler(cached),
        left=len(left),
        left_bytes=sum(entry.size for entry in left),
        lacking=_lacking(modules, left, parts, imports, traced),
        failed=_failed(shipping, cached),
    )


def in_place_of_sources(
    shipping: Sequence[Sequence[Entry]],
    parts: Sequence[tuple[Index, Facts]],
    python: tuple[int, int],
    cached: Form,
    placed: Form,
) -> Choice:
    """Bytecode where its source stood, and the source gone; beside it, where something may ask for the source."""
    picks = []
    sources = []
    kept = kept_sources(parts, shipping)
    beside = {(module.part, module.source): (module.key, module.entry) for module in _modules(shipping, python, cached)}
    instead = {
        (part, entry.path.removesuffix("c")): (piece.key, entry)
        for part, pieces in enumerate(placed)
        for piece in pieces
        for entry in piece.compiled.entries
    }
    for number, entries in enumerate(shipping):
        taken: dict[str, list[Entry]] = defaultdict(list)
        said = []
        for entry in entries:
            at = (number, entry.path)
            if at not in beside:
                continue
            reason = kept.reason(number, entry.path)
            key, compiled = beside[at] if reason else instead[at]
            taken[key].append(compiled)
            told = f"sourceless: {reason}" if reason else "sourceless: its bytecode stands in its place"
            said.append(Decision(entry.path, entry.size, "bytecode", not reason, told))
        picks.append((*_picked(cached[number], taken), *_picked(placed[number], taken)))
        sources.append(tuple(said))
    return Choice(tuple(picks), _compiler(cached), failed=_failed(shipping, cached), sources=tuple(sources))


def _modules(shipping: Sequence[Sequence[Entry]], python: tuple[int, int], form: Form) -> Iterator[Module]:
    for number, (entries, pieces) in enumerate(zip(shipping, form, strict=True)):
        there = {entry.path: (entry, piece.key) for piece in pieces for entry in piece.compiled.entries}
        for entry in entries:
            if entry.path.endswith(".py"):
                found = there.get(bytecode_path(entry.path, python, in_place=False))
                if found is not None:
                    yield Module(number, entry.path, *found)


def _lacking(
    modules: Sequence[Module],
    left: Sequence[Entry],
    parts: Sequence[tuple[Index, Facts]],
    imports: Sequence[str],
    traced: Sequence[str],
) -> int:
    """How many modules of those that the proof loads had no room: a trace knows them, else what the imports reach."""
    if not left:
        return 0
    gone = {entry.path for entry in left}
    by_name = {_name(module.source): module for module in modules}
    loaded = map(_name, traced) if traced else _reached(imports, by_name, parts, lazy=False)
    return sum(by_name[name].entry.path in gone for name in loaded if name in by_name)


def _picked(pieces: Sequence[Piece], taken: Mapping[str, Sequence[Entry]]) -> Iterator[Pick]:
    """What is taken of each piece, in the order of its data."""
    for piece in pieces:
        yield Pick(piece.key, tuple(sorted(taken.get(piece.key, ()), key=lambda entry: entry.offset)))


def _compiler(form: Form) -> str:
    return ", ".join(sorted({piece.compiled.compiler for pieces in form for piece in pieces if piece.compiled.entries}))


def _failed(shipping: Sequence[Sequence[Entry]], form: Form) -> tuple[str, ...]:
    there = {entry.path for entries in shipping for entry in entries}
    return tuple(path for pieces in form for piece in pieces for path in piece.compiled.failed if path in there)


def _ordered(
    modules: Sequence[Module], parts: Sequence[tuple[Index, Facts]], imports: Sequence[str], traced: Sequence[str]
) -> list[Module]:
    """Most useful first; equal on every machine."""
    by_name = {_name(module.source): module for module in modules}
    seen = [name for name in map(_name, traced) if name in by_name]
    eager = _reached(imports, by_name, parts, lazy=False)
    later = _reached([*eager], by_name, parts, lazy=True)
    rank = {name: number for number, name in enumerate(dict.fromkeys([*seen, *eager, *later]))}
    tops = {name.partition(".")[0] for name in rank}

    def key(module: Module) -> tuple[int, bool, bool, int, str]:
        name = _name(module.source)
        folders = module.source.split("/")
        unlikely = not _UNLIKELY.isdisjoint(folders)
        return rank.get(name, len(rank)), name.partition(".")[0] not in tops, unlikely, -module.entry.size, name

    return sorted(modules, key=key)


def _reached(
    imports: Sequence[str], by_name: Mapping[str, Module], parts: Sequence[tuple[Index, Facts]], *, lazy: bool
) -> dict[str, None]:
    """The modules that these imports load, in order; with ``lazy`` also what runs only when it is called."""
    found: dict[str, None] = {}
    waiting = [name for stated in reversed(imports) for name in reversed([*_lineage(stated)])]
    while waiting:
        name = waiting.pop()
        module = by_name.get(name)
        if module is None or name in found:
            continue
        found[name] = None
        source = parts[module.part][1].sources.get(module.source)
        if source is None:
            continue
        is_package = module.source.endswith("/__init__.py")
        wanted = [
            name_above
            for imported in source.imports
            if lazy or not imported.lazy
            for absolute in resolve(imported, name, is_package)
            for name_above in _lineage(absolute)
        ]
        waiting += reversed(wanted)
    return found


def _lineage(name: str) -> Iterator[str]:
    """A module and the packages above it, topmost first: the order in which Python loads them."""
    words = name.split(".")
    for end in range(1, len(words) + 1):
        yield ".".join(words[:end])


def _name(path: str) -> str:
    return path.removeprefix(_ROOT).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
