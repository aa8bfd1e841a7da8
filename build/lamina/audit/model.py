"""What an audit judges, as values: files with the facts of their content, from a layer just composed or from anywhere.

Nothing here reads a file. :mod:`lamina.artefact` makes these of zips, folders, wheels and images; for a layer that is
being built they come from the facts of its parts.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from lamina.binary.model import Binary
from lamina.findings import Finding
from lamina.part.model import EntryPoint
from lamina.part.source import Source

ItemKind = Literal["file", "folder", "link"]
ArtefactKind = Literal["layer", "function", "image", "wheel"]

#: Where Lambda unpacks what; an image is the whole file system, and a wheel is judged as if a layer held it.
ROOTS = {"layer": "/opt/", "wheel": "/opt/", "function": "/var/task/", "image": "/"}


class Item(NamedTuple):
    """One file, folder or link.

    ``path`` is as findings state it: relative to the artefact (``python/numpy/__init__.py``). ``place`` is where it
    stands when the function runs (``/opt/python/numpy/__init__.py``). ``size`` is in bytes, unpacked. ``mode`` are the
    permission bits, ``None`` where the artefact states none. ``magic`` are the first four bytes of a ``.pyc`` file. A
    ``script`` begins with ``#!``. ``adds`` are the folders that a ``.pth`` file adds to ``sys.path``, as written.
    """

    path: str
    place: str
    size: int
    mode: int | None = None
    kind: ItemKind = "file"
    target: str = ""
    binary: Binary | None = None
    source: Source | None = None
    magic: bytes = b""
    script: bool = False
    adds: tuple[str, ...] = ()


class Package(NamedTuple):
    """A distribution that the artefact holds metadata of.

    ``name`` is canonical. ``folder`` is the path of its ``.dist-info`` in the artefact, ``tags`` are those of its WHEEL
    file, ``metadata`` tells whether METADATA is there. ``files`` are its paths in the artefact as RECORD lists them.
    """

    name: str
    version: str
    folder: str
    tags: tuple[str, ...]
    metadata: bool
    entry_points: tuple[EntryPoint, ...]
    files: frozenset[str]


class Artefact(NamedTuple):
    """One zip, folder, wheel or image.

    ``name`` is as the user gave it. ``zipped`` is its size in bytes where it is one file. ``findings`` are what reading
    alone found: damage, unsafe paths.
    """

    name: str
    kind: ArtefactKind
    items: tuple[Item, ...]
    packages: tuple[Package, ...] = ()
    zipped: int | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def unzipped(self) -> int:
        """Exact file bytes, as they count against the quota."""
        return sum(item.size for item in self.items if item.kind == "file")
