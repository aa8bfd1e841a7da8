"""Which modules run when the packages of a stack are imported, as far as import statements tell.

It starts at what people import: top-level modules, the public packages right below them, and whatever the own modules
of a function import. From there it follows what is neither conditional nor inside functions. What is not reached is a
part that somebody has to ask for by name: a back end, a plug-in, a script.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from lamina.audit.modules import DEEPEST, Modules, is_module
from lamina.audit.own import own_modules
from lamina.part.source import Source, resolve


def reached(modules: Modules) -> frozenset[str]:
    """The places of the modules that are reached; each module is visited once."""
    queue: deque[str] = deque()
    seen: set[str] = set()
    places: set[str] = set()
    for name in _starts(modules):
        _add(name, queue, seen)
    while queue:
        name = queue.popleft()
        found = modules.find(name)
        if found is None or not found.path or found.path in places:
            continue
        places.add(found.path)
        source = modules.source(found)
        if source is not None:
            for imported in _imports(source, name, is_package=found.kind == "package", lazy=False):
                _add(imported, queue, seen)
    return frozenset(places)


def _starts(modules: Modules) -> Iterator[str]:
    own = {
        item.place
        for artefact in modules.artefacts
        for paths in (own_modules(artefact),)
        for item in artefact.items
        if item.path in paths
    }
    for place, item in modules.items.items():
        if not is_module(item):
            continue
        name, is_package = modules.name_of(place)
        if place in own and item.source is not None:
            yield from _imports(item.source, name, is_package=is_package, lazy=True)
        parent = name.rpartition(".")[0]
        if not parent:
            yield name
        elif is_package and "._" not in name:
            grand = parent.rpartition(".")[0]
            within = (modules.find(name) for name in (parent, grand) if name)
            kinds = [found.kind for found in within if found is not None]
            if kinds[0] == "namespace" or kinds[1:] in ([], ["namespace"]):
                yield name


def _imports(source: Source, name: str, *, is_package: bool, lazy: bool) -> Iterator[str]:
    for imported in source.imports:
        if not imported.guarded and (lazy or not imported.lazy):
            yield from resolve(imported, name, is_package)


def _add(name: str, queue: deque[str], seen: set[str]) -> None:
    """Add a module and the packages above it, which are imported first; none of a depth that only an attack has."""
    if name.count(".") > DEEPEST:
        return
    while name and name not in seen:
        seen.add(name)
        queue.append(name)
        name = name.rpartition(".")[0]
