"""Metadata that is gone and asked for: ``importlib.metadata.version("x")`` where nothing tells the version of x.

Of 746 distributions 54 fail at import without metadata, and others lose a function in silence (the backends of keyring,
``tqdm.__version__``). With ``prune.metadata = "strip"``, or a ``drop`` that takes METADATA or entry_points.txt, this
tells before the build which code that ships asks for what is gone.

A call counts where the name of the distribution, or the group of entry points, is a literal, a constant or the name of
the module itself, and belongs to a distribution of the layer. One whose name is computed may mean any. A call under a
``try`` that goes on without metadata counts only where a package asks for its own version when it is imported: that
version is lost.

What cannot be told: calls made by native code (gmpy2) or through functions of other names; groups of entry points that
are computed (the registry of spaCy) or chosen from all of them later; listings of all distributions; an error that a
caller catches. Command lines of packages (modules called ``cli``) are passed over inside functions, since no Lambda
function runs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lamina.findings import Finding, make
from lamina.lock import canonical
from lamina.part.model import COMMAND_GROUPS, Facts, Index
from lamina.part.source import Ask, Source
from lamina.prune.model import Decision

_ROOT = "python/"
_COMMAND_LINE = re.compile(r"(?:^|/)(?:_?cli|_cli_\w+|commands?|__main__)(?:\.py$|/)")
#: What a package asks of itself to learn how it was installed, as pydantic does before it complains.
_INSTALLATION = frozenset({"distribution", "files", "get_distribution"})
_POINTS = frozenset({"entry_points", "iter_entry_points"})


class _Gone(NamedTuple):
    """A distribution of the layer without a file of its metadata; ``path`` is that file's, relative to ``python/``."""

    name: str
    path: str
    by: str
    points: frozenset[tuple[str, str]]


class _Need(NamedTuple):
    """One ask for something that is gone; ``asked`` is ``None`` where it may be any distribution."""

    lazy: bool
    path: str
    call: str
    group: str
    asked: _Gone | None


def check_metadata(parts: Sequence[tuple[Index, Facts]], decisions: Sequence[Sequence[Decision]]) -> Iterator[Finding]:
    """``metadata-needed`` for each package that asks and each distribution asked for, at the file that asks.

    Takes no time where nothing of METADATA and entry_points.txt was dropped.
    """
    metadata = _gone(parts, decisions, "METADATA")
    points = [gone for gone in _gone(parts, decisions, "entry_points.txt").values() if gone.points]
    if not metadata and not points:
        return
    for (index, facts), said in zip(parts, decisions, strict=True):
        dropped = {decision.path for decision in said if decision.dropped}
        needs: dict[tuple[str, str], _Need] = {}
        for path, source in facts.sources.items():
            if not source.asks or path in dropped or not path.startswith(_ROOT):
                continue
            for need in _needs(index, path, source, metadata, points):
                key = (need.asked.name if need.asked else "", need.group)
                if key not in needs or need[:2] < needs[key][:2]:
                    needs[key] = need
        yield from (_finding(index, need, len(metadata)) for _, need in sorted(needs.items(), key=lambda item: item[0]))


def _gone(parts: Sequence[tuple[Index, Facts]], decisions: Sequence[Sequence[Decision]], file: str) -> dict[str, _Gone]:
    """The distributions of which code ships, but not this file of their metadata; by canonical name."""
    found = {}
    for (index, facts), said in zip(parts, decisions, strict=True):
        path = f"{index.dist_info}/{file}"
        by = next((decision.rule for decision in said if decision.dropped and decision.path == path), None)
        if by is not None and sum(decision.dropped for decision in said) < len(index.entries):
            points = frozenset(
                (point.group, point.name) for point in facts.entry_points if point.group not in COMMAND_GROUPS
            )
            found[canonical(index.name)] = _Gone(index.name, path.removeprefix(_ROOT), by, points)
    return found


def _needs(
    index: Index, path: str, source: Source, metadata: dict[str, _Gone], points: Sequence[_Gone]
) -> Iterator[_Need]:
    """What one source asks for and does not get."""
    inside = path.removeprefix(_ROOT)
    for ask in source.asks:
        if ask.lazy and _COMMAND_LINE.search(inside):
            continue
        if ask.call in _POINTS:
            for gone in points:
                names = {name for group, name in gone.points if group == ask.name}
                if names and not (ask.picked and names.isdisjoint(source.strings)):
                    yield _Need(ask.lazy, path, ask.call, ask.name, gone)
            continue
        asked = metadata.get(_distribution(ask, inside))
        own = asked is not None and asked.name == index.name
        if ask.handled and not (own and ask.call == "version" and not ask.lazy):
            continue
        if own and ask.lazy and ask.call in _INSTALLATION:
            continue
        if asked is not None:
            yield _Need(ask.lazy, path, ask.call, "", asked)
        elif not ask.name and metadata:
            yield _Need(ask.lazy, path, ask.call, "", None)


def _distribution(ask: Ask, path: str) -> str:
    """The canonical name of the distribution that is asked for; extras and versions of ``require`` left out."""
    name, top = ask.name.removesuffix(".0"), ask.name.endswith(".0")
    if name in {"__name__", "__package__"}:
        folders = path.removesuffix(".py").split("/")
        if folders[-1] == "__init__" or name == "__package__":
            folders.pop()
        return canonical(folders[0] if top and folders else ".".join(folders))
    found = re.match(r"[\w.-]+", ask.name)
    return canonical(found[0]) if found else ""


def _finding(index: Index, need: _Need, gone: int) -> Finding:
    at = "at run time" if need.lazy else "when it is imported"
    if need.asked is None:
        whom = "all distributions" if need.call == "packages_distributions" else "distributions whose names it computes"
        message = f"{index.name} asks for the metadata of {whom}, {at} ({need.call}); that of {gone:,} is gone"
        hint = 'Set prune.metadata = "minimal", or prune.keep = ["*.dist-info/METADATA"].'
        return make("metadata-needed", need.path, message, hint)
    asked = need.asked
    whom = "itself" if asked.name == index.name else asked.name
    what = f"entry points, those of {whom} in {need.group}," if need.group else f"the metadata of {whom},"
    message = f"{index.name} asks for {what} {at} ({need.call}), and {asked.path} is gone"
    keep = f'prune.keep = ["{asked.path}"]'
    hint = f'Set prune.metadata = "minimal", or {keep}.' if asked.by == "metadata" else f"Keep it: {keep}."
    return make("metadata-needed", need.path, message, hint)
