"""Facts on CPython, the loader and known remedies, read once from the files beside this one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import msgspec
import tomli


class Remedy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What helps where ``package`` (a name, or ``*``) lacks one of ``libraries`` (names without version)."""

    package: str
    libraries: tuple[str, ...]
    hint: str
    source: str

    def helps(self, package: str, soname: str) -> bool:
        """Whether it is about this package and library."""
        return self.package in {"*", package} and _among(soname, self.libraries)


class Tried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Libraries that code names only to see whether they are there."""

    libraries: tuple[str, ...]

    def has(self, soname: str) -> bool:
        """Whether a soname is one of them."""
        return _among(soname, self.libraries)


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """All of ``facts.toml``; see there for sources. ``pyc_magic`` is by CPython version (``3.11``)."""

    pyc_magic: dict[str, int]
    glibc_marks: dict[str, tuple[int, int]]
    image_folders: dict[str, tuple[str, ...]]
    tried: Tried
    remedies: tuple[Remedy, ...]


class Exports(NamedTuple):
    """Which CPython versions export which symbols, as far as they differ.

    ``versions`` are those that were looked at, oldest first. ``ranges`` has for a symbol the versions as written:
    ``3.9-3.11,3.14``.
    """

    versions: tuple[str, ...]
    ranges: dict[str, str]

    def lacks(self, symbol: str, version: str) -> bool:
        """Whether ``version`` does not export a symbol that another one does; never of a version or symbol unknown."""
        written = self.ranges.get(symbol)
        if written is None or version not in self.versions:
            return False
        at = self.versions.index(version)
        for run in written.split(","):
            first, _, last = run.partition("-")
            if self.versions.index(first) <= at <= self.versions.index(last or first):
                return False
        return True


@functools.cache
def facts() -> Facts:
    """Everything in ``facts.toml``."""
    text = Path(__file__).with_name("facts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomli.loads(text), Facts)


@functools.cache
def exports() -> Exports:
    """Everything in ``cpython_symbols.txt``, which ``scripts/cpython_symbols.py`` makes."""
    text = Path(__file__).with_name("cpython_symbols.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    versions = next(line.removeprefix("# versions ").split() for line in lines if line.startswith("# versions "))
    rows = (line.split(" ", 1) for line in lines if not line.startswith("#"))
    return Exports(tuple(versions), {row[0]: row[1] for row in rows})


def _among(soname: str, names: tuple[str, ...]) -> bool:
    stem = soname.partition(".so")[0]
    return any(stem.startswith(name[:-1]) if name.endswith("*") else stem == name for name in names)
