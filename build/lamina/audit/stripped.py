"""Metadata that is gone from artefacts that others made: the modules are there, the ``.dist-info`` is not.

The counterpart of :func:`lamina.audit.metadata.check_metadata`, which knows from its recipe what was dropped. Here it
is told from what is left: a distribution of which the stack has modules and no METADATA. Which distribution a module
belonged to is told by its name, or by the list of names that differ (:mod:`lamina.audit.names`).

A distribution whose ``.dist-info`` is gone as a whole takes its entry points along, and nobody can tell which those
were: only where RECORD still lists an ``entry_points.txt`` that is not there, asks for entry points are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lamina.audit.metadata import Gone, Need, needed, needs
from lamina.audit.model import Artefact, Item
from lamina.audit.modules import Modules, is_module
from lamina.audit.names import differing, distribution_of
from lamina.findings import Finding
from lamina.lock import canonical

_MODULE_FILES = (".py", ".pyc", ".so")


def check_stripped(artefact: Artefact, modules: Modules) -> Iterator[Finding]:
    """``metadata-needed`` for each package of an artefact that asks and each distribution asked for.

    ``modules`` are those of the whole stack: metadata in any artefact of it counts.
    """
    gone = dict(_gone(modules))
    points = [*_without_points(modules)]
    if not gone and not points:
        return
    certain = _certain(gone, modules)
    owners = {path: package.name for package in artefact.packages for path in package.files}
    found: dict[tuple[str, str, str], Need] = {}
    for item in artefact.items:
        source = item.source
        inside = modules.inside(item.place)
        if source is None or not source.asks or not inside or not is_module(item):
            continue
        asker = owners.get(item.path) or canonical(distribution_of(modules.name_of(item.place)[0]))
        for need in needs(asker, item.path, inside, source, gone, points):
            if need.asked is None and not certain:
                continue
            key = (asker, need.asked.name if need.asked else "", need.group)
            if key not in found or need[:2] < found[key][:2]:
                found[key] = need
    for (asker, *_), need in sorted(found.items(), key=lambda pair: pair[0]):
        yield needed(asker, need, len(certain), _hint(need))


def _gone(modules: Modules) -> Iterator[tuple[str, Gone]]:
    """The distributions of which there are modules and no METADATA, by canonical name."""
    having, owned = set[str](), set[str]()
    bare: dict[str, str] = {}
    for artefact in modules.artefacts:
        places = {item.path: item.place for item in artefact.items}
        for package in artefact.packages:
            if package.metadata:
                having.add(package.name)
                owned.update(_top(modules, places[path]) for path in package.files if path in places)
            else:
                bare[package.name] = package.folder.rpartition("/")[2]
    for top in sorted(_tops(modules.items.values(), modules) - owned):
        name = canonical(distribution_of(top))
        yield name, Gone(name, f"{name.replace('-', '_')}-*.dist-info/METADATA", "", frozenset())
    for module, brought in differing().items():
        name = canonical(brought)
        if "." in module and name not in having:
            found = modules.find(module)
            if found is not None and found.kind in {"package", "module"}:
                yield name, Gone(name, f"{name.replace('-', '_')}-*.dist-info/METADATA", "", frozenset())
    for name, folder in bare.items():
        if name not in having:
            yield name, Gone(name, f"{folder}/METADATA", "", frozenset())


def _certain(gone: Iterable[str], modules: Modules) -> frozenset[str]:
    """Those that are distributions beyond doubt, rather than modules somebody wrote into a layer or a function."""
    known = {canonical(name) for name in differing().values()}
    known.update(package.name for artefact in modules.artefacts for package in artefact.packages)
    for artefact in modules.artefacts:
        if artefact.kind != "function" and not artefact.packages:
            known.update(canonical(distribution_of(top)) for top in _tops(artefact.items, modules))
    return frozenset(name for name in gone if name in known)


def _without_points(modules: Modules) -> Iterator[Gone]:
    """Distributions whose RECORD lists an ``entry_points.txt`` that is not there."""
    for artefact in modules.artefacts:
        paths = {item.path for item in artefact.items}
        for package in artefact.packages:
            path = f"{package.folder}/entry_points.txt"
            if path in package.files and path not in paths:
                yield Gone(package.name, path.rpartition("/")[0].rpartition("/")[2] + "/entry_points.txt", "", None)


def _tops(items: Iterable[Item], modules: Modules) -> set[str]:
    return {
        _top(modules, item.place) for item in items if item.kind == "file" and item.place.endswith(_MODULE_FILES)
    } - {""}


def _top(modules: Modules, place: str) -> str:
    return modules.inside(place).partition("/")[0].partition(".")[0]


def _hint(need: Need) -> str:
    if need.asked is None:
        return "Leave the *.dist-info folders in, METADATA at least: together they are 0.14 % of a layer's bytes."
    return f"Leave {need.asked.path} in: install {need.asked.name} again, and delete no *.dist-info."
