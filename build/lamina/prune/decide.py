"""Rules, vetoes, globs and metadata come together: one decision for every file that anything was said about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lamina.part.model import Facts, Index
from lamina.prune import metadata, rules
from lamina.prune.model import Decision
from lamina.prune.references import Package, Vetoes
from lamina.prune.untraced import Touched, without_untraced
from lamina.recipe import Prune

_ROOT = "python/"


def decide(
    parts: Sequence[tuple[Index, Facts]], prune: Prune, project: Package | None = None, touched: Touched | None = None
) -> list[list[Decision]]:
    """One list of decisions for each part, in the order of its entries; an entry that nothing was said about ships.

    Precedence: ``__pycache__`` never ships; then ``keep``, then ``drop``, then metadata and rules, of which the rules
    alone can be vetoed: what the recipe states is the recipe's to answer for. Of what is left, ``untraced`` takes what
    is not ``touched``.
    """
    keep, drop = _matcher(prune.keep), _matcher(prune.drop)
    stated = [_stated(index, facts, prune, keep, drop) for index, facts in parts]
    proposed = [
        {
            path: rule
            for path, rule in rules.propose(_inside(index), prune.rules, index.name).items()
            if _ROOT + path not in taken
        }
        for (index, _), taken in zip(parts, stated, strict=True)
    ]
    kept = Vetoes(
        [
            *(_package(index, facts, taken) for (index, facts), taken in zip(parts, stated, strict=True)),
            *([project] if project is not None else []),
        ],
        {path: rule for found in proposed for path, rule in found.items()},
    ).run()
    decisions = [
        [*_decisions(index, taken, found, kept)]
        for (index, _), taken, found in zip(parts, stated, proposed, strict=True)
    ]
    globs = _matcher(prune.untraced)
    return decisions if globs is None or touched is None else without_untraced(parts, decisions, globs, touched)


def _stated(
    index: Index,
    facts: Facts,
    prune: Prune,
    keep: re.Pattern[str] | None,
    drop: re.Pattern[str] | None,
) -> dict[str, Decision]:
    """What the recipe itself says of files, by name or glob, and what goes with the metadata mode."""
    licences = {path for path, _ in facts.licences}
    gone = metadata.propose(index.dist_info.removeprefix(_ROOT), _inside(index), licences, prune.metadata)
    taken = {}
    for entry in index.entries:
        path = entry.path.removeprefix(_ROOT)
        if "/__pycache__/" in f"/{path}":
            verdict = ("caches", True, "bytecode is never taken from a wheel; pypa/installer takes none either")
        elif path == entry.path:
            continue  # commands and data outside of site-packages, which globs and rules are not about
        elif keep is not None and keep.fullmatch(path):
            verdict = ("keep", False, "prune.keep of the recipe")
        elif drop is not None and drop.fullmatch(path):
            verdict = ("drop", True, "prune.drop of the recipe")
        elif path in gone:
            verdict = ("metadata", True, gone[path])
        elif path.endswith("-nspkg.pth") and "/" not in path:
            verdict = ("metadata", True, "a namespace needs no .pth file (PEP 420)")
        else:
            continue
        taken[entry.path] = Decision(entry.path, entry.size, *verdict)
    return taken


def _decisions(
    index: Index, taken: Mapping[str, Decision], proposed: Mapping[str, str], kept: Mapping[str, str]
) -> list[Decision]:
    found = []
    for entry in index.entries:
        path = entry.path.removeprefix(_ROOT)
        if entry.path in taken:
            found.append(taken[entry.path])
        elif path in proposed and path != entry.path:
            reason = kept.get(path)
            found.append(
                Decision(entry.path, entry.size, proposed[path], reason is None, reason or "nothing refers to it")
            )
    return found


def _package(index: Index, facts: Facts, taken: Mapping[str, Decision]) -> Package:
    """What the veto sees of a part: what the recipe dropped is not there, and refers to nothing."""
    gone = {path for path, decision in taken.items() if decision.dropped}
    return Package(
        name=index.name,
        paths=frozenset(path for path in _inside(index) if _ROOT + path not in gone),
        sources={path.removeprefix(_ROOT): source for path, source in facts.sources.items() if path not in gone},
        entry_points=facts.entry_points,
    )


def _inside(index: Index) -> list[str]:
    return [entry.path.removeprefix(_ROOT) for entry in index.entries if entry.path.startswith(_ROOT)]


def _matcher(globs: Sequence[str]) -> re.Pattern[str] | None:
    """One pattern for all globs: ``*`` and ``?`` stay in a folder, ``**`` crosses, a last ``/`` means all below."""
    if not globs:
        return None
    return re.compile("|".join(f"(?:{_translate(glob)})" for glob in globs))


def _translate(glob: str) -> str:
    glob = glob + "**" if glob.endswith("/") else glob
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(pieces.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*/|\*\*|\*|\?)", glob) if piece)
