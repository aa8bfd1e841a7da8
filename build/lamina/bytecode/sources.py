"""Which packages need their sources at run time, told from what their modules call, name and import.

Whoever asks for source asks for that of other modules too, mostly of its own package, so a package keeps all of its
sources or none: torch compiles functions from their text, datasets hashes them, transformers lists its own folder for
modules, cv2 runs a file by its path.
"""

from __future__ import annotations

from collections.abc import Sequence

from lamina.part.model import Entry, Facts, Index
from lamina.part.source import Source

#: Calls that read the text of code.
_ASKING = frozenset({"getsource", "getsourcelines", "getsourcefile", "findsource", "linecache"})
#: Calls that find files in folders; with the module's own folder, they find modules by their names.
_LISTING = frozenset({"listdir", "glob", "iglob", "rglob", "iterdir", "scandir", "walk"})
#: Calls that run files.
_RUNNING = frozenset({"spec_from_file_location", "run_path", "execfile", "exec"})
_ANCHORS = frozenset({"__file__", "__path__"})
#: Modules that compile functions of whoever imports them from their text, or keep it beside what they made of it.
_COMPILERS = ("torch", "numba", "triton", "doctest", "linecache", "jax", "tensorflow", "pythran", "cffi", "taichi")


def kept_sources(parts: Sequence[tuple[Index, Facts]], shipping: Sequence[Sequence[Entry]]) -> dict[int, str]:
    """The parts that keep their sources, by number, each with the reason: the first module that asks for it."""
    found = {}
    for number, ((_, facts), entries) in enumerate(zip(parts, shipping, strict=True)):
        for entry in entries:
            source = facts.sources.get(entry.path)
            reason = _reason(source) if source is not None and entry.path.endswith(".py") else ""
            if reason:
                found[number] = f"{entry.path.removeprefix('python/')} {reason}"
                break
    return found


def _reason(source: Source) -> str:
    """Why a module may need sources; empty where nothing tells that it does."""
    calls = frozenset(source.calls)
    asking, running = calls & _ASKING, calls & (_RUNNING - {"exec"})
    beside = calls & (_LISTING | _RUNNING) if calls & _ANCHORS else frozenset[str]()
    names_source = any(text.endswith(".py") for text in source.strings) and calls & (_ANCHORS | _RUNNING)
    compilers = [
        imported.module
        for imported in source.imports
        if not imported.level and imported.module.partition(".")[0] in _COMPILERS
    ]
    reasons = (
        (not source.readable, "cannot be read by the scan"),
        (asking, f"asks for source: {min(asking, default='')}"),
        (beside, f"finds files beside itself: {min(beside, default='')}"),
        (running, f"runs files by path: {min(running, default='')}"),
        (names_source, "names a source file"),
        (compilers, f"imports {min(compilers, default='')}"),
    )
    return next((reason for holds, reason in reasons if holds), "")
