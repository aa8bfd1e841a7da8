"""All that stands in the running function, of every artefact of the stack together, as the loader would find it.

Layers are unpacked into ``/opt`` in their order, a later one over an earlier one; the function stands at ``/var/task``,
an image at ``/``. Checks look at one artefact and ask the world what stands beside it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lamina.audit.loader import loadable, resolve
from lamina.audit.model import Artefact, Item, Package
from lamina.target import Target

#: How many links the kernel follows on one path (Linux, path_resolution(7)).
_MOST_LINKS = 40
#: Links from one name of a library to the next: ``libx.so``, ``libx.so.1``, ``libx.so.1.2.3``, and one to spare.
_MOST_NAMES = 4
#: How long a path may be, in characters, before the kernel refuses it (PATH_MAX).
LONGEST_PATH = 4096
#: The folders that packages stand in, in every kind of artefact.
_PACKAGES = re.compile(r"/.*/(?:site|dist)-packages/|/opt/python/|/var/task/|/opt/|/")


class World(NamedTuple):
    """Everything in the running function. Made by :func:`world_of`.

    ``files`` and ``packages`` are by place; ``packages`` tells to which distribution a file belongs. ``named`` are the
    places of ELF files by soname, by file name and by the names of links to them. ``links`` tells whether there is any
    link. ``complete`` tells that an image brings its own C library: then what the runtime would have says nothing.
    ``linked`` says of each ELF file, by place, where the loader finds what it needs: see
    :func:`lamina.audit.loader.resolve`. ``offered`` are the symbols
    of CPython's names that files of the world define, as those that bring an interpreter or a shim.
    """

    target: Target
    files: Mapping[str, Item]
    packages: Mapping[str, Package]
    named: Mapping[str, tuple[str, ...]]
    folders: frozenset[str]
    links: bool
    complete: bool
    linked: Mapping[str, Mapping[str, str]]
    offered: frozenset[str]

    def at(self, path: str) -> Item | None:
        """The file at an absolute path, links followed; ``None`` where there is none, or links lead in a circle."""
        if not path.startswith("/"):
            return None
        here = self.files.get(path)
        if here is not None and here.kind == "file":
            return here
        return self._followed(path) if self.links else None

    def _followed(self, path: str) -> Item | None:
        for _ in range(_MOST_LINKS):
            if len(path) > LONGEST_PATH:
                return None
            path = _normal(path)
            parts = path.split("/")
            for count in range(2, len(parts) + 1):
                item = self.files.get("/".join(parts[:count]))
                if item is not None and item.kind == "link":
                    rest = "/".join(parts[count:])
                    path = posixpath.join(posixpath.dirname(item.place.rstrip("/")), item.target, rest).rstrip("/")
                    break
            else:
                found = self.files.get(path)
                return found if found is not None and found.kind == "file" else None
        return None

    def owner(self, item: Item) -> str:
        """What a person calls the package of a file: its distribution, else the top folder, else the file's name."""
        package = self.packages.get(item.place)
        if package is None and self.is_system(item):
            return posixpath.basename(item.place)
        return package.name if package is not None else top_of(item)

    def is_system(self, item: Item) -> bool:
        """Whether a file is of no package and stands where a system's libraries and programs do."""
        return item.place not in self.packages and item.place.startswith(("/opt/lib/", "/opt/bin/"))


def world_of(artefacts: Sequence[Artefact], target: Target) -> World:
    """Unpack all artefacts, in their order, into one world."""
    files: dict[str, Item] = {}
    packages: dict[str, Package] = {}
    for artefact in artefacts:
        owners = {path: package for package in artefact.packages for path in package.files}
        for item in artefact.items:
            files[item.place] = item
            packages.pop(item.place, None)
            if item.path in owners:
                packages[item.place] = owners[item.path]
    named: dict[str, list[str]] = {}
    for place, item in sorted(files.items()):
        if item.binary is not None and item.binary.elf is not None:
            for name in sorted({posixpath.basename(place), item.binary.elf.soname} - {""}):
                named.setdefault(name, []).append(place)
    for place, item in sorted(files.items()):
        if item.kind == "link" and (end := _link_end(place, files)) is not None:
            known = named.setdefault(posixpath.basename(place), [])
            known += [end] if end not in known else []
    world = World(
        target,
        files,
        packages,
        {name: tuple(places) for name, places in named.items()},
        frozenset(posixpath.dirname(place) for place, item in files.items() if item.kind != "folder"),
        any(item.kind == "link" for item in files.values()),
        complete="libc.so.6" in named and any(artefact.kind == "image" for artefact in artefacts),
        linked={},
        offered=frozenset(
            name for item in files.values() if (elf := loadable(item)) is not None for name in elf.offers
        ),
    )
    return world._replace(linked=resolve(world))


def _link_end(place: str, files: Mapping[str, Item]) -> str | None:
    """The place of the ELF file that a link leads to, by links of files alone; ``None`` where there is none."""
    for _ in range(_MOST_NAMES):
        item = files.get(place)
        if item is None or item.kind != "link":
            return place if item is not None and item.binary is not None and item.binary.elf is not None else None
        place = _normal(posixpath.join(posixpath.dirname(place), item.target))
    return None


def inside(item: Item) -> str:
    """The path of a file in the folder of packages that it stands in: ``numpy/core/x.so``."""
    return _PACKAGES.sub("", item.place, count=1)


def top_of(item: Item) -> str:
    """The top-level package or module in which a file lies: ``torch`` for ``python/torch/lib/libtorch.so``.

    ``numpy.libs`` is numpy's: auditwheel puts the libraries of a wheel there.
    """
    top, _, rest = inside(item).partition("/")
    return top.removesuffix(".libs") if rest else top.partition(".")[0]


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")
