"""layer → zip: ranges of the parts copied as they are, generated files after them, and a sorted directory.

Nothing is unpacked or compressed here but the few generated files, and these only when the plan is made. A plan is
everything that a zip is made of, so that making it again means copying bytes.
"""

from __future__ import annotations

import hashlib
import mmap
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

import msgspec

from lamina.layer import Layer
from lamina.part.model import Entry
from lamina.zipformat import DEFLATED, STORED, central_header, end_of_directory, local_header


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """What the zip takes from one part: its key, and ``ranges`` as start, length, start, length, … in bytes."""

    key: str
    ranges: tuple[int, ...]


class Blueprint(msgspec.Struct, frozen=True, array_like=True):
    """Everything one zip is made of. ``generated`` holds headers and data of the generated files; ``directory`` ends it."""

    pieces: tuple[Piece, ...]
    generated: bytes
    directory: bytes

    @property
    def zipped_bytes(self) -> int:
        """Size of the zip."""
        copied = sum(sum(piece.ranges[1::2]) for piece in self.pieces)
        return copied + len(self.generated) + len(self.directory)


def plan(layer: Layer, keys: Sequence[str], compress: Callable[[bytes], bytes]) -> Blueprint:
    """Lay out the zip: parts in their order, then generated files; the directory sorted by the bytes of the paths.

    ``keys`` are the parts' names in the store, in the order of ``layer.picks``.
    """
    central: list[tuple[bytes, bytes]] = []
    pieces = []
    offset = 0
    for key, pick in zip(keys, layer.picks, strict=True):
        for entry in pick:
            fields = (entry.path, entry.method, entry.crc, entry.compressed, entry.size)
            central.append((entry.path.encode(), central_header(*fields, offset, mode=entry.mode)))
            offset += entry.length
        pieces.append(Piece(key, tuple(_coalesced(pick))))
    generated = bytearray()
    for file in layer.generated:
        packed = compress(file.content)
        method, data = (DEFLATED, packed) if len(packed) < len(file.content) else (STORED, file.content)
        fields = (file.path, method, zlib.crc32(file.content), len(data), len(file.content))
        central.append((file.path.encode(), central_header(*fields, offset + len(generated), mode=file.mode)))
        generated += local_header(*fields) + data
    offset += len(generated)
    records = b"".join(record for _, record in sorted(central))
    directory = records + end_of_directory(len(central), len(records), offset)
    return Blueprint(tuple(pieces), bytes(generated), directory)


def write(blueprint: Blueprint, part: Callable[[str], Path], out: IO[bytes]) -> str:
    """Write the zip to ``out``, and return its SHA-256 in hexadecimal.

    ``part`` gives the path of a part's data by its key.

    Raises:
        FileNotFoundError: a part is not there.
        EOFError: a part is shorter than the plan says.
        ValueError: a part is empty.
    """
    digest = hashlib.sha256()
    for piece in blueprint.pieces:
        if not piece.ranges:
            continue
        # Mapped, so that hashing and writing read the page cache itself and nothing is copied in between.
        with part(piece.key).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if len(data) < piece.ranges[-2] + piece.ranges[-1]:
                raise EOFError(f"part {piece.key} ends before its last entry")
            with memoryview(data) as view:
                for start, length in zip(piece.ranges[::2], piece.ranges[1::2], strict=True):
                    with view[start : start + length] as content:
                        digest.update(content)
                        out.write(content)
    for generated in (blueprint.generated, blueprint.directory):
        digest.update(generated)
        out.write(generated)
    return digest.hexdigest()


def _coalesced(pick: Iterable[Entry]) -> Iterable[int]:
    """Neighbouring entries as one range each: start, length, start, length, …"""
    start = end = 0
    for entry in pick:
        if entry.offset != end:
            if end > start:
                yield from (start, end - start)
            start = entry.offset
        end = entry.offset + entry.length
    if end > start:
        yield from (start, end - start)
