"""What a part is: one wheel made ready for composing, as values.

A part is three files of the store: its *data* (every entry as local header and compressed bytes, mostly in the order
of their paths), its *index* (where each entry lies), and its *facts* (what checks and decisions need to know of the
content).
"""

from __future__ import annotations

import msgspec

from lamina.binary.model import Binary
from lamina.part.source import Source

#: What an entry's content says it is; ELF files and ``#!`` scripts are the executables of a layer.
PLAIN, ELF, SCRIPT = 0, 1, 2


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One file of a part. ``offset`` and ``length`` are those of header and data together, in bytes of the data.

    ``path`` is the path in the layer (``python/numpy/__init__.py``). The wheel's ``.data`` folders are resolved
    already.
    """

    path: str
    offset: int
    length: int
    method: int
    crc: int
    compressed: int
    size: int
    kind: int
    sha256: bytes

    @property
    def mode(self) -> int:
        """Permissions by content, never by the host or the wheel: 755 for ELF files and scripts, 644 for the rest."""
        return 0o644 if self.kind == PLAIN else 0o755


class Index(msgspec.Struct, frozen=True, array_like=True):
    """Where everything lies in a part's data, and the digest of that data.

    ``trimmed`` are second entries of native files, without what no loader maps. They stand among the others in the
    data, and the whole files that they are made from behind all.
    """

    name: str
    version: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    dist_info: str
    data_sha256: str
    data_bytes: int
    entries: tuple[Entry, ...]
    trimmed: tuple[Entry, ...] = ()


#: Entry point groups whose members an installer turns into commands.
COMMAND_GROUPS = ("console_scripts", "gui_scripts")


class EntryPoint(msgspec.Struct, frozen=True, array_like=True):
    """One line of ``entry_points.txt``; ``attribute`` is empty where it names a module only."""

    group: str
    name: str
    module: str
    attribute: str


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a part's content, found once, when it is made.

    ``metadata`` is METADATA's header as ``(key, value)`` pairs in order. ``licences`` are the licence files of the
    ``.dist-info`` folder as ``(path, text)``, ``sboms`` its embedded bills of materials (PEP 770) likewise.
    ``scripts`` are ``(name, content)`` of the wheel's own scripts whose first line depends on the target. ``sources``
    tells of each Python file, by layer path, what it imports and names; ``.pth`` files, scripts, and stubs that lazy
    loading reads are among them.
    ``headers_dropped`` counts files of the wheel's ``headers`` scheme. ``binaries`` tells of each native file, by layer
    path, ``magics`` has the first four bytes of each ``.pyc`` file, ``adds`` the folders that each ``.pth`` file adds
    to ``sys.path``, ``tags`` are those of the WHEEL file.
    """

    metadata: tuple[tuple[str, str], ...]
    licences: tuple[tuple[str, str], ...]
    sboms: tuple[tuple[str, str], ...]
    scripts: tuple[tuple[str, bytes], ...]
    entry_points: tuple[EntryPoint, ...]
    sources: dict[str, Source]
    headers_dropped: int
    binaries: dict[str, Binary] = {}
    magics: dict[str, bytes] = {}
    adds: dict[str, tuple[str, ...]] = {}
    tags: tuple[str, ...] = ()
