"""One entry out of the data of a part."""

from __future__ import annotations

import hashlib
import mmap
import zlib
from pathlib import Path

from lamina.errors import IntegrityError
from lamina.part.model import Entry
from lamina.zipformat import STORED


def read_entry(path: Path, entry: Entry) -> bytes:
    """The content of an entry of the data at ``path``.

    Raises:
        IntegrityError: the data is not what the entry says.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = entry.offset + entry.length
        raw = data[end - entry.compressed : end]
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        content = raw if entry.method == STORED else inflater.decompress(raw, entry.size + 1)
    except zlib.error:
        content = b""
    if len(content) != entry.size or hashlib.sha256(content).digest() != entry.sha256:
        raise IntegrityError(f"{path}: {entry.path} is damaged", hint="Run lamina cache clear, then build again.")
    return content
