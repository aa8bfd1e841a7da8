"""A layer that was just composed → what an audit judges: from the facts of its parts, without reading a file again."""

from __future__ import annotations

from collections.abc import Sequence

from lamina.audit.model import ROOTS, Artefact, Item, Package
from lamina.binary.look import is_native, look
from lamina.layer import Layer
from lamina.lock import canonical
from lamina.overlay import Generated
from lamina.part.model import SCRIPT, Facts, Index
from lamina.part.paths import path_lines
from lamina.part.scan import scan

_ROOT = ROOTS["layer"]


def artefact_of(name: str, parts: Sequence[tuple[Index, Facts]], layer: Layer) -> Artefact:
    """The layer as an artefact; only what was generated or comes from the overlay is looked at here."""
    items: list[Item] = []
    packages = []
    for (index, facts), pick in zip(parts, layer.picks, strict=True):
        items += (
            Item(
                path=entry.path,
                place=_ROOT + entry.path,
                size=entry.size,
                mode=entry.mode,
                binary=facts.binaries.get(entry.path),
                source=facts.sources.get(entry.path),
                magic=facts.magics.get(entry.path, b""),
                script=entry.kind == SCRIPT,
                adds=facts.adds.get(entry.path, ()),
            )
            for entry in pick
        )
        paths = frozenset(entry.path for entry in pick)
        if paths:
            packages.append(_package(index, facts, paths))
    items += map(_item, layer.generated)
    return Artefact(name, "layer", tuple(items), tuple(packages))


def _package(index: Index, facts: Facts, paths: frozenset[str]) -> Package:
    return Package(
        name=canonical(index.name),
        version=index.version,
        folder=index.dist_info,
        tags=facts.tags,
        metadata=f"{index.dist_info}/METADATA" in paths,
        entry_points=facts.entry_points,
        files=paths,
    )


def _item(file: Generated) -> Item:
    return Item(
        path=file.path,
        place=_ROOT + file.path,
        size=len(file.content),
        mode=file.mode,
        binary=look(file.content) if is_native(file.content[:64]) else None,
        source=scan(file.content) if file.path.endswith(".py") else None,
        magic=file.content[:4] if file.path.endswith(".pyc") else b"",
        script=file.kind == SCRIPT,
        adds=path_lines(file.content) if file.path.endswith(".pth") else (),
    )
