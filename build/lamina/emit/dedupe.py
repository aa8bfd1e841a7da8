"""Identical files of a layer → relative symlinks, where whoever opens them by either path sees the same.

Measured with glibc 2.36 and CPython 3.11. The loader takes two paths for two libraries unless they are one inode, and
looks for ``$ORIGIN`` beside the path as it was opened; what a library needs by name it takes from what is loaded,
wherever that came from, if its soname says so (``dl_map_object`` in glibc's elf/dl-load.c, dlopen(3)). So a library
whose file name is its soname is one for those that need it by name, copied or linked. Beside it may stand the other
names under which libraries are installed, ``libx.so`` and ``libx.so.1.2.3``, which are links wherever they were not put
into a wheel: that cannot hold any.

Code stays as it is: extension modules keep state for each file, programs and scripts find their folder by their real
path, and so do Python modules (``Path(__file__).resolve()``). Data becomes a link to data of the same wheel only, as
nobody checks where the real path of another package's files leads.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lamina.layer import Layer, Link
from lamina.part.model import PLAIN, Entry, Facts, Index

#: A smaller file is no gain: a link takes records in the zip as well, and a file system's block. Bytes.
LEAST_BYTES = 4096

#: Code, and what stands for it: whatever runs it may ask for its real path.
_CODE = (".py", ".pyc", ".pyi", ".pyx", ".pxd", ".pth")


class _File(NamedTuple):
    """A file that ships: the part that it is of, by number, and its entry."""

    part: int
    entry: Entry

    @property
    def name(self) -> str:
        return posixpath.basename(self.entry.path)


def linked(layer: Layer, parts: Sequence[tuple[Index, Facts]]) -> Layer:
    """The layer with links in place of files that another one is identical to, wherever nothing changes by that."""
    libraries: dict[bytes, list[_File]] = defaultdict(list)
    data: dict[tuple[int, bytes], list[_File]] = defaultdict(list)
    for number, ((_, facts), pick) in enumerate(zip(parts, layer.picks, strict=True)):
        for entry in pick:
            if entry.size < LEAST_BYTES:
                continue
            file = _File(number, entry)
            if _soname(facts, entry.path):
                libraries[entry.sha256].append(file)
            elif _is_data(facts, entry):
                data[number, entry.sha256].append(file)
    found = [*_same_library(libraries, parts), *_same_data(data)]
    if not found:
        return layer
    gone = {(file.part, file.entry.path) for file, _ in found}
    links: list[list[Link]] = [[] for _ in parts]
    for file, target in sorted(found, key=lambda one: one[0].entry.path.encode()):
        relative = posixpath.relpath(f"/{target}", posixpath.dirname(f"/{file.entry.path}"))
        links[file.part].append(Link(file.entry, relative))
    picks = (
        tuple(entry for entry in pick if (number, entry.path) not in gone) for number, pick in enumerate(layer.picks)
    )
    return layer._replace(picks=tuple(picks), links=tuple(map(tuple, links)))


def _soname(facts: Facts, path: str) -> str:
    """The soname of a library; empty for all else, an extension module that has one included."""
    binary = facts.binaries.get(path)
    if binary is None or binary.elf is None or binary.damage or not binary.library or binary.elf.interpreter:
        return ""
    soname = binary.elf.soname
    return soname if soname.startswith("lib") and ".so" in soname else ""


def _is_data(facts: Facts, entry: Entry) -> bool:
    return (
        entry.kind == PLAIN
        and not entry.path.startswith("bin/")
        and not entry.path.endswith(_CODE)
        and ".dist-info/" not in entry.path
        and entry.path not in facts.binaries
        and entry.path not in facts.sources
    )


def _same_library(
    libraries: dict[bytes, list[_File]], parts: Sequence[tuple[Index, Facts]]
) -> Iterator[tuple[_File, str]]:
    """What becomes a link, and the path that it leads to."""
    for files in libraries.values():
        soname = _soname(parts[files[0].part][1], files[0].entry.path)
        named = [file for file in files if file.name == soname]
        if not named:
            continue
        first, *others = sorted(named, key=lambda file: file.entry.path.encode())
        yield from ((file, first.entry.path) for file in others)
        beside = {posixpath.dirname(file.entry.path) for file in named}
        for file in files:
            if posixpath.dirname(file.entry.path) in beside and _is_other_name(file.name, soname):
                yield file, first.entry.path


def _is_other_name(name: str, soname: str) -> bool:
    """Whether a library of this soname is installed under that name as well: ``libx.so`` and ``libx.so.1.2``."""
    stem = soname.partition(".so")[0] + ".so"
    return name != soname and (
        name == stem or (name.startswith(stem + ".") and name[len(stem) :].strip(".0123456789") == "")
    )


def _same_data(data: dict[tuple[int, bytes], list[_File]]) -> Iterator[tuple[_File, str]]:
    for files in data.values():
        first, *others = sorted(files, key=lambda file: file.entry.path.encode())
        yield from ((file, first.entry.path) for file in others)
