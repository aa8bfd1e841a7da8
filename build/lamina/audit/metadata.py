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
from collections.abc import Iterator, Mapping, Sequence
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


class Gone(NamedTuple):
    """A distribution without a file of its metadata.

    ``path`` is that file's, relative to the folder that modules are imported from. ``by`` is the rule that dropped it.
    ``points`` are ``None`` where nobody can know them any more.
    """

    name: str
    path: str
    by: str
    points: frozenset[tuple[str, str]] | None


class Need(NamedTuple):
    """One ask for something that is gone; ``asked`` is ``None`` where it may be any distribution."""

    lazy: bool
    path: str
    call: str
    group: str
    asked: Gone | None


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
        first: dict[tuple[str, str], Need] = {}
        for path, source in facts.sources.items():
            if not source.asks or path in dropped or not path.startswith(_ROOT):
                continue
            for need in needs(index.name, path, path.removeprefix(_ROOT), source, metadata, points):
                key = (need.asked.name if need.asked else "", need.group)
                if key not in first or need[:2] < first[key][:2]:
                    first[key] = need
        for _, need in sorted(first.items(), key=lambda item: item[0]):
            yield needed(index.name, need, len(metadata), _kept_by_recipe(need))


def _gone(parts: Sequence[tuple[Index, Facts]], decisions: Sequence[Sequence[Decision]], file: str) -> dict[str, Gone]:
    """The distributions of which code ships, but not this file of their metadata; by canonical name."""
    found = {}
    for (index, facts), said in zip(parts, decisions, strict=True):
        path = f"{index.dist_info}/{file}"
        by = next((decision.rule for decision in said if decision.dropped and decision.path == path), None)
        if by is not None and sum(decision.dropped for decision in said) < len(index.entries):
            points = frozenset(
                (point.group, point.name) for point in facts.entry_points if point.group not in COMMAND_GROUPS
            )
            found[canonical(index.name)] = Gone(index.name, path.removeprefix(_ROOT), by, points)
    return found


def needs(
    asker: str, path: str, inside: str, source: Source, metadata: Mapping[str, Gone], points: Sequence[Gone]
) -> Iterator[Need]:
    """What one source asks for and does not get; ``inside`` is its path in the folder that it is imported from."""
    for ask in source.asks:
        if ask.lazy and _COMMAND_LINE.search(inside):
            continue
        if ask.call in _POINTS:
            yield from (Need(ask.lazy, path, ask.call, ask.name, gone) for gone in _pointed(asker, ask, source, points))
            continue
        asked = metadata.get(_distribution(ask, inside))
        own = asked is not None and asked.name == asker
        if ask.handled and not (own and ask.call == "version" and not ask.lazy):
            continue
        if own and ask.lazy and ask.call in _INSTALLATION:
            continue
        if asked is not None:
            yield Need(ask.lazy, path, ask.call, "", asked)
        elif not ask.name and metadata:
            yield Need(ask.lazy, path, ask.call, "", None)


def _pointed(asker: str, ask: Ask, source: Source, points: Sequence[Gone]) -> Iterator[Gone]:
    """Those whose entry points an ask for a group would find."""
    for gone in points:
        if gone.points is None:  # nobody knows which: a group of its own bears its name, or it asks for it itself
            if ask.name and (gone.name == asker or canonical(ask.name.partition(".")[0]) == gone.name):
                yield gone
            continue
        names = {name for group, name in gone.points if group == ask.name}
        if names and not (ask.picked and names.isdisjoint(source.strings)):
            yield gone


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


def needed(asker: str, need: Need, gone: int, hint: str) -> Finding:
    """The finding for one need of a distribution; ``gone`` says of how many the metadata is."""
    at = "at run time" if need.lazy else "when it is imported"
    if need.asked is None:
        whom = "all distributions" if need.call == "packages_distributions" else "distributions whose names it computes"
        message = f"{asker} asks for the metadata of {whom}, {at} ({need.call}); that of {gone:,} is gone"
        return make("metadata-needed", need.path, message, hint)
    asked = need.asked
    whom = "itself" if asked.name == asker else asked.name
    what = f"entry points, those of {whom} in {need.group}," if need.group else f"the metadata of {whom},"
    message = f"{asker} asks for {what} {at} ({need.call}), and {asked.path} is gone"
    return make("metadata-needed", need.path, message, hint)


def _kept_by_recipe(need: Need) -> str:
    if need.asked is None:
        return 'Set prune.metadata = "minimal", or prune.keep = ["*.dist-info/METADATA"].'
    keep = f'prune.keep = ["{need.asked.path}"]'
    return f'Set prune.metadata = "minimal", or {keep}.' if need.asked.by == "metadata" else f"Keep it: {keep}."
