"""Native libraries that a wheel brings along, told from their file names.

auditwheel copies the libraries that a wheel needs into ``<package>.libs`` and puts eight hexadecimal digits of their
SHA-256 behind their names; some packages do the same in folders of their own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lamina.part.model import ELF

if TYPE_CHECKING:
    from lamina.part.model import Entry

# libgfortran-040039e1.so.5.0.0, libopenblas64_p-r0-0cf96a72.3.23.dev.so, libarrow.so.2500
_LIBRARY = re.compile(r"(?P<stem>[^/]+?)\.so(?:\.(?P<version>\d\w*(?:\.\w+)*))?")
# PEP 3149 and PEP 384: what the import system takes for a module of its own.
_EXTENSION = re.compile(r"\.(?:cpython-[^./]+|abi3|pypy[^./]*)\.so$")
# More than one where a library was copied out of another repaired wheel.
_HASH = re.compile(r"(?P<hash>(?:-[0-9a-f]{8})+)(?=\.|$)")
_LETTERS = frozenset("abcdef")
# OpenBLAS names its library by its release, not by an ABI: libopenblas-r0.3.23.so.
_RELEASE = re.compile(r"-r(\d+(?:\.\w+)+)$")


class Library(NamedTuple):
    """A shared library: its name without hash and version, and the version that its file name tells, or ``""``.

    That is mostly the version of its ABI (libtiff 4.7 is ``.so.6``): file names tell no other.
    """

    name: str
    version: str


def library(entry: Entry) -> Library | None:
    """Which shared library an entry of a part is; ``None`` for all else, Python's extension modules among it."""
    folder, _, file = entry.path.rpartition("/")
    vendored = folder.endswith(".libs")
    match = _LIBRARY.fullmatch(file)
    if entry.kind != ELF or match is None or _EXTENSION.search(file) or not (vendored or file.startswith("lib")):
        return None
    stem, version = match["stem"], match["version"] or ""
    found = _HASH.search(stem)
    # Eight digits without a letter are more often a date.
    if found and (vendored or not _LETTERS.isdisjoint(found["hash"])):
        stem = stem[: found.start()] + stem[found.end() :]
    release = _RELEASE.search(stem)
    if release and not version:
        stem, version = stem[: release.start()], release[1]
    return Library(stem, version)
