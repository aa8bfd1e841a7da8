"""Which file the loader takes for each name that a library needs: ld.so(8), over the files of a world.

The order: the folders of DT_RPATH, of the library itself and of those that load it (each only where it has no
DT_RUNPATH), of LD_LIBRARY_PATH, of DT_RUNPATH, and the system's. A file of another machine is passed over. What another
library of the same start has found already is taken as it is. Which library is loaded first cannot be told, so a name
counts as found where *some* library that loads this one leads to it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lamina.audit.facts import facts
from lamina.audit.model import Item
from lamina.binary.model import ET_DYN, ET_EXEC, Elf

if TYPE_CHECKING:
    from lamina.audit.world import World

#: What :func:`resolve` says of a library that the runtime itself has.
RUNTIME = ""


#: How many links of a chain of inherited DT_RPATH are followed; real ones have two or three.
_ROUNDS = 16
#: Bounds for files made to take long: loaders of one library that are looked at, and folders of one search path, its
#: characters and its tokens. Real ones stay far below.
_MOST_LOADERS = 256
_MOST_FOLDERS = 256
_LONGEST = 4096
_MOST_TOKENS = 4


def resolve(world: World) -> Mapping[str, Mapping[str, str]]:
    """Say for each ELF file, by place, where its needed names are found: a place, or :data:`RUNTIME`.

    A name that no search finds is left out. The result does not depend on the order of files.
    """
    elves = {place: elf for place, item in world.files.items() if (elf := loadable(item)) is not None}
    found: dict[str, dict[str, str]] = {}
    for place, elf in elves.items():
        own = [] if elf.runpath else _folders(elf.rpath, place, world)
        found[place] = dict(_search(world, place, elf, own))
    waiting = {place for place, elf in elves.items() if any(name not in found[place] for name in elf.needed)}
    for _ in range(_ROUNDS):
        parents = _parents(found)
        news = {place: _through(world, place, elves, found, parents) for place in sorted(waiting)}
        for place, more in news.items():
            found[place].update(more)
        if not any(news.values()):
            break
        waiting = {place for place in waiting if any(name not in found[place] for name in elves[place].needed)}
    return found


def loadable(item: Item) -> Elf | None:
    """The ELF facts of what a loader can be asked to map: programs and shared libraries."""
    elf = item.binary.elf if item.binary is not None and item.kind == "file" else None
    return elf if elf is not None and elf.type in {ET_DYN, ET_EXEC} else None


def elsewhere(world: World, elf: Elf, name: str) -> tuple[str, ...]:
    """Where else in the world a library of that name or soname lies, of the same machine."""
    return tuple(place for place in world.named.get(name, ()) if _fits(world.files[place], elf))


def _search(world: World, place: str, elf: Elf, rpath: list[str]) -> Iterator[tuple[str, str]]:
    """The names that are found from one library, given the folders that come before all others."""
    runtime = world.target.runtime
    system = [*runtime.system_folders, *(facts().image_folders[world.target.architecture] if world.complete else ())]
    ordered = [*rpath, *runtime.library_path, *_folders(elf.runpath, place, world), *system]
    for name in dict.fromkeys(elf.needed):
        if "/" in name:
            path = _expanded(name, place, world) or posixpath.join("/var/task", name)
            if _fits(world.at(path), elf):
                yield name, path
            continue
        where = _first(world, elf, name, ordered)
        if where is not None:
            yield name, where


def _first(world: World, elf: Elf, name: str, folders: list[str]) -> str | None:
    """The first folder's file of that name, as its real place."""
    runtime = world.target.runtime
    has = not world.complete and runtime.library(name) == "present"
    for folder in folders:
        item = world.at(f"{folder}/{name}") if world.links or folder in world.folders else None
        if item is not None and _fits(item, elf):
            return item.place
        if has and folder in runtime.system_folders:
            return RUNTIME
    return None


def _through(
    world: World,
    place: str,
    elves: Mapping[str, Elf],
    found: Mapping[str, Mapping[str, str]],
    parents: Mapping[str, set[str]],
) -> dict[str, str]:
    """What is found for one library only because of those that load it."""
    elf = elves[place]
    names = [name for name in dict.fromkeys(elf.needed) if name not in found[place] and "/" not in name]
    more: dict[str, str] = {}
    for loader in sorted(_ancestors(place, parents)):
        other = elves[loader]
        folders = [] if elf.runpath or other.runpath else _folders(other.rpath, loader, world)
        for name in names:
            where = found[loader].get(name)
            if where is None:
                where = _first(world, elf, name, folders)
            if where is not None:
                more.setdefault(name, where)
    return more


def _parents(found: Mapping[str, Mapping[str, str]]) -> dict[str, set[str]]:
    parents: dict[str, set[str]] = {}
    for place, names in found.items():
        for where in names.values():
            if where != RUNTIME:
                parents.setdefault(where, set()).add(place)
    return parents


def _ancestors(place: str, parents: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [place]
    while todo and len(seen) < _MOST_LOADERS:
        for parent in sorted(parents.get(todo.pop(), ()))[:_MOST_LOADERS]:
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return seen - {place}


def _folders(paths: tuple[str, ...], place: str, world: World) -> list[str]:
    return [folder for path in paths[:_MOST_FOLDERS] if (folder := _expanded(path, place, world))]


def _expanded(path: str, place: str, world: World) -> str:
    """A folder with the loader's tokens put in, or an empty string for one that is relative to where a program runs."""
    if len(path) > _LONGEST or path.count("$") > _MOST_TOKENS:
        return ""
    tokens = {"ORIGIN": posixpath.dirname(place), "LIB": "lib64", "PLATFORM": world.target.architecture}
    for token, value in tokens.items():
        path = path.replace(f"${{{token}}}", value).replace(f"${token}", value)
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else ""


def _fits(item: Item | None, elf: Elf) -> bool:
    """Whether the loader takes a file for a library: of the same machine, and no script or stub."""
    other = loadable(item) if item is not None else None
    return other is not None and (other.machine, other.bits, other.little) == (elf.machine, elf.bits, elf.little)
