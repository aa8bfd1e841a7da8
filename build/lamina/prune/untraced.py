"""``prune.untraced``: what no trace touched goes, in the places that the recipe names.

The proofs are all that tells what is needed here, so what they do not run is gone. What stays beside what was touched:
metadata; what makes a folder a package above a file that stays; libraries that a native file that stays is linked to.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from lamina.part.model import Facts, Index
from lamina.prune.model import Decision

#: As decisions name it.
RULE = "untraced"
_ROOT = "python/"


class Touched(NamedTuple):
    """The layer paths that a trace has, and the recipe whose it is."""

    paths: AbstractSet[str]
    recipe: str


def untraced(
    parts: Sequence[tuple[Index, Facts]],
    stated: Sequence[Mapping[str, Decision]],
    globs: re.Pattern[str],
    touched: Touched,
) -> Iterator[dict[str, Decision]]:
    """For each part what goes, by layer path. ``stated`` is what was decided already, on which this has no say.

    ``globs`` match paths relative to site-packages.
    """
    reason = f"layers/{touched.recipe}/trace.json does not name it; lamina trace {touched.recipe} makes that anew"
    proposed = {
        entry.path
        for (index, _), said in zip(parts, stated, strict=True)
        for entry in index.entries
        if entry.path.startswith(_ROOT)
        and entry.path not in said
        and entry.path not in touched.paths
        and not entry.path.startswith(f"{index.dist_info}/")
        and globs.fullmatch(entry.path.removeprefix(_ROOT))
    }
    gone = proposed - _linked(parts, stated, proposed)
    gone -= _packages(parts, stated, gone)
    for index, _ in parts:
        found = (entry for entry in index.entries if entry.path in gone)
        yield {entry.path: Decision(entry.path, entry.size, RULE, dropped=True, reason=reason) for entry in found}


def _linked(
    parts: Sequence[tuple[Index, Facts]], stated: Sequence[Mapping[str, Decision]], proposed: AbstractSet[str]
) -> set[str]:
    """The proposed libraries that a native file that stays is linked to, or one of these in turn."""
    needs: dict[str, tuple[str, ...]] = {}
    named: dict[str, set[str]] = defaultdict(set)
    for (_, facts), said in zip(parts, stated, strict=True):
        for path, binary in facts.binaries.items():
            if binary.elf is None or (path in said and said[path].dropped):
                continue
            needs[path] = binary.elf.needed
            for name in {path.rpartition("/")[2], binary.elf.soname}:
                named[name].add(path)
    kept: set[str] = set()
    waiting = [path for path in needs if path not in proposed]
    while waiting:
        for library in needs[waiting.pop()]:
            found = named[library] & proposed - kept if library in named else set[str]()
            kept |= found
            waiting += found
    return kept


def _packages(
    parts: Sequence[tuple[Index, Facts]], stated: Sequence[Mapping[str, Decision]], gone: AbstractSet[str]
) -> set[str]:
    """What makes packages of the folders above files that stay."""
    kept = (
        entry.path
        for (index, _), said in zip(parts, stated, strict=True)
        for entry in index.entries
        if entry.path not in gone and not (entry.path in said and said[entry.path].dropped)
    )
    return {f"{folder}/__init__.py" for folder in _folders(kept)}


def _folders(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found
