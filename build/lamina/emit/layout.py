"""layer → blueprint: where every byte of the zip comes from, and the directory that ends it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence

from lamina.emit.zip import Blueprint, Piece
from lamina.layer import Layer
from lamina.part.model import Entry
from lamina.zipformat import DEFLATED, LINK, STORED, central_header, check_length, end_of_directory, local_header


def draw(layer: Layer, keys: Sequence[str], compress: Callable[[bytes], bytes]) -> Blueprint:
    """Lay out the zip: parts in their order, generated files, links; the directory sorted by the bytes of the paths.

    ``keys`` are the parts' names in the store, in the order of ``layer.picks``. Bytecode follows them.

    Raises:
        FindingsError: a zip of more than 4 GiB.
    """
    copied = layer.pieces(keys)
    check_length(sum(entry.length for _, pick in copied for entry in pick))
    central: list[tuple[bytes, bytes]] = []
    pieces = []
    offset = 0
    for key, pick in copied:
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
    for link in (link for links in layer.links for link in links):
        path, target = link.entry.path, link.target.encode()
        fields = (path, STORED, zlib.crc32(target), len(target), len(target))
        central.append((path.encode(), central_header(*fields, offset + len(generated), mode=0o777, kind=LINK)))
        generated += local_header(*fields) + target
    offset += len(generated)
    records = b"".join(record for _, record in sorted(central))
    directory = records + end_of_directory(len(central), len(records), offset)
    return Blueprint(tuple(pieces), bytes(generated), directory)


def _coalesced(pick: Iterable[Entry]) -> Iterable[int]:
    """Neighbouring entries as one range each: start, length, start, length and so on."""
    start = end = 0
    for entry in pick:
        if entry.offset != end:
            if end > start:
                yield from (start, end - start)
            start = entry.offset
        end = entry.offset + entry.length
    if end > start:
        yield from (start, end - start)
