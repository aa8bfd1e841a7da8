"""A part's data while it is written: local header and bytes of one entry after the other."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from typing import IO

from lamina.part.model import Entry
from lamina.zipformat import DEFLATED, STORED, local_header

#: A function that turns bytes into a raw deflate stream, the same on every host; see :mod:`lamina.part.compress`.
Compress = Callable[[bytes], bytes]


class Writer:
    """Writes to ``out``; ``end`` is how many bytes that were so far, ``digest`` their SHA-256."""

    def __init__(self, out: IO[bytes]) -> None:
        self.digest = hashlib.sha256()
        self.end = 0
        self._out = out

    def add(
        self, path: str, method: int, packed: bytes | memoryview, *, crc: int, size: int, kind: int, sha256: bytes
    ) -> Entry:
        """Write one entry whose bytes are ready: ``crc``, ``size`` and ``sha256`` are of what they unpack to."""
        header = local_header(path, method, crc, len(packed), size)
        for piece in (header, packed):
            self._out.write(piece)
            self.digest.update(piece)
        start, length = self.end, len(header) + len(packed)
        self.end += length
        return Entry(path, start, length, method, crc, len(packed), size, kind, sha256)

    def add_as(self, entry: Entry, path: str, method: int, packed: bytes) -> Entry:
        """Write what an entry of other data unpacks to, under this path and in these bytes."""
        return self.add(path, method, packed, crc=entry.crc, size=entry.size, kind=entry.kind, sha256=entry.sha256)

    def add_content(self, path: str, content: bytes, compress: Compress, *, kind: int) -> Entry:
        """Write one entry, compressed where that helps."""
        packed = compress(content)
        method, data = (DEFLATED, packed) if len(packed) < len(content) else (STORED, content)
        sha256 = hashlib.sha256(content).digest()
        return self.add(path, method, data, crc=zlib.crc32(content), size=len(content), kind=kind, sha256=sha256)
