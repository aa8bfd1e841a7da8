"""Decisions as text: for each package and rule what went and what stayed, and for a path every reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from lamina.part.model import Index
from lamina.prune.model import Decision
from lamina.prune.rules import RULES
from lamina.report.text import plural

_MOST_REASONS = 3


def summary_lines(indexes: Sequence[Index], decisions: Sequence[Sequence[Decision]]) -> Iterator[str]:
    """One paragraph a package: what ships of it, then each rule with files and bytes gone, and those kept with why."""
    for index, said in zip(indexes, decisions, strict=True):
        whole = sum(entry.size for entry in index.entries)
        gone = sum(decision.size for decision in said if decision.dropped)
        yield f"{index.name} {index.version}: {whole - gone:,} of {whole:,} bytes ship"
        by_rule: Mapping[str, list[Decision]] = defaultdict(list)
        for decision in said:
            by_rule[decision.rule].append(decision)
        for rule, group in sorted(by_rule.items(), key=lambda item: -sum(decision.size for decision in item[1])):
            yield from _rule_lines(rule, group)


def path_lines(indexes: Sequence[Index], decisions: Sequence[Sequence[Decision]], path: str) -> Iterator[str]:
    """Every file at or below ``path`` (also relative to ``python/``, or a package's name), and why."""
    for index, said in zip(indexes, decisions, strict=True):
        spoken = {decision.path: decision for decision in said}
        for entry in index.entries:
            if not covers(path, index, entry.path):
                continue
            decision = spoken.get(entry.path)
            if decision is None:
                yield f"ships    {entry.size:>11,}  {entry.path} ({index.name}: no rule speaks of it)"
            else:
                state = "dropped" if decision.dropped else "ships"
                origin = f'rule "{decision.rule}"' if decision.rule in RULES else decision.rule
                yield f"{state:<8} {entry.size:>11,}  {entry.path} ({index.name}: {origin}: {decision.reason})"


def covers(path: str, index: Index, entry: str) -> bool:
    """Whether the layer path ``entry`` is meant by ``path``: a file, a folder above it, or the package's name."""
    wanted = path.strip("/").removeprefix("python/")
    inside = entry.removeprefix("python/")
    return wanted in {inside, index.name} or inside.startswith(wanted + "/")


def _rule_lines(rule: str, group: Sequence[Decision]) -> Iterator[str]:
    gone = [decision for decision in group if decision.dropped]
    kept = [decision for decision in group if not decision.dropped]
    if gone:
        yield f"  {rule}: dropped {plural(len(gone), 'file')}, {_bytes(gone):,} bytes"
    if kept:
        yield f"  {rule}: kept {plural(len(kept), 'file')}, {_bytes(kept):,} bytes"
        for reason, count in Counter(decision.reason for decision in kept).most_common(_MOST_REASONS):
            yield f"    {plural(count, 'file')}: {reason}"
        more = len({decision.reason for decision in kept}) - _MOST_REASONS
        if more > 0:
            yield f"    and {plural(more, 'more reason')} (name a path to see them)"


def _bytes(group: Sequence[Decision]) -> int:
    return sum(decision.size for decision in group)
