"""Decisions as text: for each package and rule what went and what stayed, and for a path every reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from lamina.bytecode.model import Choice, bytecode_path
from lamina.layer import Link
from lamina.part.model import Index
from lamina.prune.model import Decision, Thing
from lamina.prune.rules import RULES
from lamina.report.text import plural

_MOST_REASONS = 3
#: How many of the largest things kept, and dropped, are named.
MOST_LARGEST = 10
#: Folders of this depth below ``python/`` or the root are told as one thing.
_DEPTH = 2
_ROOT = "python/"
_UNSPOKEN = "no rule speaks of it"


def largest_kept(indexes: Sequence[Index], decisions: Sequence[Sequence[Decision]]) -> list[Thing]:
    """The ten largest things that ship, and why: no rule speaks of them, a veto, or ``prune.keep``."""
    return _largest(indexes, decisions, dropped=False)


def largest_dropped(indexes: Sequence[Index], decisions: Sequence[Sequence[Decision]]) -> list[Thing]:
    """The ten largest things that do not ship, and by which rule."""
    return _largest(indexes, decisions, dropped=True)


def largest_lines(indexes: Sequence[Index], decisions: Sequence[Sequence[Decision]]) -> Iterator[str]:
    """Both tables as text."""
    for title, things in (
        ("The largest things kept, and why:", largest_kept(indexes, decisions)),
        ("The largest things dropped, and by which rule:", largest_dropped(indexes, decisions)),
    ):
        if things:
            yield title
        for thing in things:
            files = "" if not thing.path.endswith("/") else f" ({plural(thing.files, 'file')})"
            why = f"{thing.rule}: {thing.reason}" if thing.rule else thing.reason
            yield f"  {thing.bytes:>13,}  {thing.path}{files} of {thing.package}: {why}"


def _largest(indexes: Sequence[Index], decisions: Sequence[Sequence[Decision]], *, dropped: bool) -> list[Thing]:
    things: list[Thing] = []
    for index, said in zip(indexes, decisions, strict=True):
        spoken = {decision.path: decision for decision in said}
        trimmed = trimmed_bytes(index, said)
        groups: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for entry in index.entries:
            decision = spoken.get(entry.path)
            if dropped == (decision is not None and decision.dropped):
                rule = decision.rule if decision else ""
                groups[_place(entry.path, rule if dropped else ""), rule][entry.path] = entry.size - trimmed.get(
                    entry.path, 0
                )
        things += [_thing(index, place, rule, sizes, spoken) for (place, rule), sizes in groups.items()]
    things.sort(key=lambda thing: (-thing.bytes, thing.path, thing.package, thing.rule))
    return [thing for thing in things[:MOST_LARGEST] if thing.bytes]


def _place(path: str, rule: str) -> str:
    """The folder that a file is told with: the one a rule names (``numpy/core/tests/``), else two folders deep."""
    root = _ROOT if path.startswith(_ROOT) else ""
    *folders, _ = path.removeprefix(root).split("/")
    named = RULES[rule].folders if rule in RULES else frozenset[str]()
    at = next((number for number, folder in enumerate(folders) if folder in named), None)
    depth = _DEPTH if at is None else at + 1
    return root + "/".join(folders[:depth]) + "/" if folders else path


def _thing(index: Index, place: str, rule: str, sizes: Mapping[str, int], spoken: Mapping[str, Decision]) -> Thing:
    weights: Counter[str] = Counter()
    for path, size in sizes.items():
        decision = spoken.get(path)
        if decision is None:
            reason = _UNSPOKEN
        elif decision.rule in RULES and not decision.dropped:
            reason = f"veto: {decision.reason}"
        else:
            reason = decision.reason
        weights[reason] += size
    [(reason, _)] = weights.most_common(1)
    if len(weights) > 1:
        reason += f", and {plural(len(weights) - 1, 'more reason')}"
    path = next(iter(sizes)) if len(sizes) == 1 else place
    return Thing(index.name, path, len(sizes), sum(sizes.values()), rule, reason)


def summary_lines(
    indexes: Sequence[Index], decisions: Sequence[Sequence[Decision]], links: Sequence[Sequence[Link]] = ()
) -> Iterator[str]:
    """One paragraph a package: what ships of it, then each rule with files and bytes gone, and those kept with why.

    ``links`` are those of each part; none at all where nothing ships as one.
    """
    for index, said, linked in zip(indexes, decisions, links or [()] * len(indexes), strict=True):
        whole = sum(entry.size for entry in index.entries)
        gone = sum(decision.size for decision in said if decision.dropped)
        trimmed = trimmed_bytes(index, said)
        saved = sum(link.entry.size for link in linked)
        ships = whole - gone - sum(trimmed.values()) - saved
        yield f"{index.name} {index.version}: {ships:,} of {whole:,} bytes ship"
        by_rule: Mapping[str, list[Decision]] = defaultdict(list)
        for decision in said:
            by_rule[decision.rule].append(decision)
        for rule, group in sorted(by_rule.items(), key=lambda item: -sum(decision.size for decision in item[1])):
            yield from _rule_lines(rule, group)
        if trimmed:
            count = plural(len(trimmed), "native file")
            yield f"  native.trim: {sum(trimmed.values()):,} bytes of {count} that no loader maps"
        if linked:
            yield f"  emit.dedupe: {saved:,} bytes of {plural(len(linked), 'file')}, each a link to an identical one"


def trimmed_bytes(index: Index, said: Sequence[Decision]) -> dict[str, int]:
    """Native files that ship smaller than they are in the wheel, and by how many bytes."""
    dropped = {decision.path for decision in said if decision.dropped}
    whole = {entry.path: entry.size for entry in index.entries}
    return {entry.path: whole[entry.path] - entry.size for entry in index.trimmed if entry.path not in dropped}


def path_lines(
    indexes: Sequence[Index],
    decisions: Sequence[Sequence[Decision]],
    path: str,
    links: Sequence[Sequence[Link]] = (),
    compiled: Mapping[str, int] | None = None,
) -> Iterator[str]:
    """Every file at or below ``path`` (also relative to ``python/``, or a package's name), and why.

    ``compiled`` are the bytes of bytecode that ship beside each source, by its path; ``None`` where no bytecode ships.
    """
    targets = {link.entry.path: link.target for linked in links for link in linked}
    for index, said in zip(indexes, decisions, strict=True):
        spoken = {decision.path: decision for decision in said}
        trimmed = trimmed_bytes(index, said)
        for entry in index.entries:
            if not covers(path, index, entry.path):
                continue
            decision = spoken.get(entry.path)
            less = trimmed.get(entry.path, 0)
            after = f"; {less:,} bytes of it trimmed" if less else ""
            if entry.path in targets:
                after += f"; a link to the identical {targets[entry.path]}"
            if compiled is not None and entry.path.endswith(".py") and not (decision and decision.dropped):
                beside = compiled.get(entry.path)
                after += "; without bytecode" if beside is None else f"; {beside:,} bytes of bytecode beside it"
            if decision is None:
                yield f"ships    {entry.size - less:>11,}  {entry.path} ({index.name}: {_UNSPOKEN}{after})"
            else:
                state = "dropped" if decision.dropped else "ships"
                origin = f'rule "{decision.rule}"' if decision.rule in RULES else decision.rule
                why = f"{index.name}: {origin}: {decision.reason}{after}"
                yield f"{state:<8} {entry.size - less:>11,}  {entry.path} ({why})"


def covers(path: str, index: Index, entry: str) -> bool:
    """Whether the layer path ``entry`` is meant by ``path``: a file, a folder above it, or the package's name."""
    wanted = path.strip("/").removeprefix("python/")
    inside = entry.removeprefix("python/")
    return wanted in {inside, index.name} or inside.startswith(wanted + "/")


def compiled_beside(indexes: Sequence[Index], chosen: Choice, python: tuple[int, int]) -> dict[str, int] | None:
    """The bytes of bytecode beside each source that has some, by its path; ``None`` where no bytecode ships at all."""
    sizes = {entry.path: entry.size for forms in chosen.picks for form in forms for entry in form.entries}
    sources = [entry.path for index in indexes for entry in index.entries if entry.path.endswith(".py")]
    places = {source: bytecode_path(source, python, in_place=False) for source in sources}
    return {source: sizes[place] for source, place in places.items() if place in sizes} if sizes else None


def bytecode_lines(indexes: Sequence[Index], chosen: Choice) -> Iterator[str]:
    """What ships as bytecode: of each package how much, then what has none."""
    rows = [
        (index.name, [entry for form in forms for entry in form.entries])
        for index, forms in zip(indexes, chosen.picks, strict=bool(chosen.picks))
    ]
    entries = [entry for _, picked in rows for entry in picked]
    if entries:
        total = sum(entry.size for entry in entries)
        yield f"bytecode by CPython {chosen.compiler}: {plural(len(entries), 'module')}, {total:,} bytes"
    for name, picked in rows:
        if picked:
            yield f"  {name}: {plural(len(picked), 'module')}, {sum(entry.size for entry in picked):,} bytes"
    if chosen.left:
        yield f"  left out, as the budget has no room: {plural(chosen.left, 'module')}, {chosen.left_bytes:,} bytes"
    for path in chosen.failed:
        yield f"  {path} does not compile"


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
