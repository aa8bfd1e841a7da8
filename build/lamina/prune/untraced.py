"""``prune.untraced``: of what the rules leave, that goes which no trace touched, in the places that the recipe names.

The proofs are all that tells what is needed here, so what they do not run is gone. What stays beside what was touched:
metadata, what ``prune.keep`` names, what makes a folder a package above a file that stays, and libraries that a native
file that stays is linked to.
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


def without_untraced(
    parts: Sequence[tuple[Index, Facts]],
    decisions: Sequence[Sequence[Decision]],
    globs: re.Pattern[str],
    touched: Touched,
) -> list[list[Decision]]:
    """The decisions, with those added that drop what is not touched. ``globs`` match paths inside of ``python/``."""
    said = {one.path: one for each in decisions for one in each}
    dropped = {path for path, one in said.items() if one.dropped}
    proposed = {
        entry.path
        for index, _ in parts
        for entry in index.entries
        if entry.path.startswith(_ROOT)
        and entry.path not in dropped
        and entry.path not in touched.paths
        and (entry.path not in said or said[entry.path].rule != "keep")
        and not entry.path.startswith(f"{index.dist_info}/")
        and globs.fullmatch(entry.path.removeprefix(_ROOT))
    }
    gone = proposed - _linked(parts, dropped, proposed)
    left_out = gone | dropped
    kept = (entry.path for index, _ in parts for entry in index.entries if entry.path not in left_out)
    gone -= {f"{folder}/__init__.py" for folder in _folders(kept)}
    reason = f"layers/{touched.recipe}/trace.json does not name it; lamina trace {touched.recipe} makes that anew"
    return [[*_decided(index, each, gone, reason)] for (index, _), each in zip(parts, decisions, strict=True)]


def _decided(index: Index, said: Sequence[Decision], gone: AbstractSet[str], reason: str) -> Iterator[Decision]:
    """The decisions about one part, in the order of its entries."""
    known: Mapping[str, Decision] = {one.path: one for one in said}
    for entry in index.entries:
        if entry.path in gone:
            yield Decision(entry.path, entry.size, RULE, dropped=True, reason=reason)
        elif entry.path in known:
            yield known[entry.path]


def _linked(parts: Sequence[tuple[Index, Facts]], dropped: AbstractSet[str], proposed: AbstractSet[str]) -> set[str]:
    """The proposed libraries that a native file that stays is linked to, or one of these in turn."""
    needs: dict[str, tuple[str, ...]] = {}
    named: dict[str, set[str]] = defaultdict(set)
    for _, facts in parts:
        for path, binary in facts.binaries.items():
            if binary.elf is not None and path not in dropped:
                needs[path] = binary.elf.needed
                for name in {path.rpartition("/")[2], binary.elf.soname}:
                    named[name].add(path)
    kept: set[str] = set()
    waiting = [path for path in needs if path not in proposed]
    while waiting:
        for library in needs[waiting.pop()]:
            found = (named.get(library, set()) & proposed) - kept
            kept |= found
            waiting += found
    return kept


def _folders(paths: Iterable[str]) -> set[str]:
    """All folders above these paths."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found
