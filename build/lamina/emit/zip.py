"""blueprint → zip: ranges of the parts copied as they are, generated files after them, and a sorted directory.

Nothing is unpacked, compressed or decided here: a :class:`Blueprint` is everything that a zip is made of, so that
making it again means copying bytes. :mod:`lamina.emit.layout` draws it.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from operator import add
from pathlib import Path
from typing import IO

import msgspec


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """What the zip takes from one part: its key, and ``ranges`` as start, length, start, length, … in bytes."""

    key: str
    ranges: tuple[int, ...]


class Blueprint(msgspec.Struct, frozen=True, array_like=True):
    """Everything one zip is made of. ``generated``: generated files and links, with headers; ``directory`` ends it."""

    pieces: tuple[Piece, ...]
    generated: bytes
    directory: bytes

    @property
    def zipped_bytes(self) -> int:
        """Size of the zip."""
        copied = sum(sum(piece.ranges[1::2]) for piece in self.pieces)
        return copied + len(self.generated) + len(self.directory)


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
            if len(data) < max(map(add, piece.ranges[::2], piece.ranges[1::2])):
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
