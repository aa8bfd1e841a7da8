"""Which packages need their sources at run time, told from what their modules call, name and import.

Whoever asks for source asks for that of other modules too, mostly of its own package, so such a package keeps all of
its sources: torch compiles functions from their text, datasets hashes them, transformers lists its own folder for
modules. A package that does no more than name a file keeps what may be called so: cv2's ``config.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from lamina.part.model import Entry, Facts, Index
from lamina.part.source import Source

#: Calls that read the text of code.
_ASKING = frozenset({"getsource", "getsourcelines", "getsourcefile", "findsource", "linecache"})
#: Calls that find files in folders; with the module's own folder, they find modules by their names.
_LISTING = frozenset({"listdir", "glob", "iglob", "rglob", "iterdir", "scandir", "walk"})
#: Calls that run files.
_RUNNING = frozenset({"spec_from_file_location", "run_path", "execfile", "exec"})
_ANCHORS = frozenset({"__file__", "__path__"})
#: Packages that compile functions of whoever imports them from their text, or keep it beside what they made of it. What
#: does not ship cannot be asked. ``doctest`` is none of these: it reads docstrings, and of source no more than numbers.
_COMPILERS = ("torch", "numba", "triton", "jax", "tensorflow", "pythran", "cffi", "taichi")
#: What makes a literal a pattern, or part of one, and no name of a file.
_PATTERN = frozenset("{}%*?[]")


class Kept(NamedTuple):
    """What keeps its sources, each with the reason: whole parts by their number, and files by number and layer path."""

    parts: Mapping[int, str]
    files: Mapping[tuple[int, str], str]

    def reason(self, part: int, path: str) -> str:
        """Why a source stays; empty where it need not."""
        return self.parts.get(part, "") or self.files.get((part, path), "")


def kept_sources(parts: Sequence[tuple[Index, Facts]], shipping: Sequence[Sequence[Entry]]) -> Kept:
    """The parts that keep their sources, with the first module that asks for them, and what others name."""
    compilers = frozenset(_COMPILERS) & {_top(entry.path) for entries in shipping for entry in entries}
    whole: dict[int, str] = {}
    files: dict[tuple[int, str], str] = {}
    for number, ((_, facts), entries) in enumerate(zip(parts, shipping, strict=True)):
        paths = [entry.path for entry in entries if entry.path.endswith(".py")]
        for path in paths:
            source = facts.sources.get(path)
            reason = "" if source is None else _reason(source, compilers)
            if reason:
                whole[number] = f"{path.removeprefix('python/')} {reason}"
                break
        if number in whole:
            continue
        for path in paths:
            for ending in _named(facts.sources.get(path)):
                told = f"{path.removeprefix('python/')} names a source file: {ending}"
                files.update({(number, other): told for other in paths if other.endswith(ending)})
    return Kept(whole, files)


def _top(path: str) -> str:
    """The module or package at the root of ``python/`` that a file belongs to."""
    return path.removeprefix("python/").partition("/")[0].partition(".")[0]


def _reason(source: Source, compilers: AbstractSet[str]) -> str:
    """Why a module's package may need sources; empty where nothing tells that it does."""
    calls = frozenset(source.calls)
    asking, running = calls & _ASKING, calls & (_RUNNING - {"exec"})
    listing, executing = (calls & names if calls & _ANCHORS else frozenset[str]() for names in (_LISTING, _RUNNING))
    patterns = [text for text in _literals(source) if text == ".py" or not _PATTERN.isdisjoint(text)]
    imported = [
        one.module
        for one in source.imports
        if not one.level and (one.module == "linecache" or one.module.partition(".")[0] in compilers)
    ]
    reasons = (
        (not source.readable, "cannot be read by the scan"),
        (asking, f"asks for source: {min(asking, default='')}"),
        (listing, f"finds files beside itself: {min(listing, default='')}"),
        (executing, f"may run files beside itself: {min(executing, default='')}"),
        (running, f"runs files by path: {min(running, default='')}"),
        (patterns, f"names source files: {min(patterns, default='')}"),
        (imported, f"imports {min(imported, default='')}"),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _literals(source: Source) -> Iterator[str]:
    """Texts of a module that name source files, or end such names, where it can tell where files stand."""
    if not (_ANCHORS | _RUNNING).isdisjoint(source.calls):
        yield from (text for text in source.strings if text.endswith(".py"))


def _named(source: Source | None) -> Iterator[str]:
    """How the names of files end that a module names; what stands before may be put together when it runs."""
    for text in _literals(source) if source is not None else ():
        yield text.replace("\\", "/").rpartition("/")[2]
