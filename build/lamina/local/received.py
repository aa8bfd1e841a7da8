"""The one file that is taken out of a container, from the tar in which an engine hands it over.

The container ran the code of whoever wrote the package, so nothing of the tar is believed: of what it holds only one
regular file counts, up to a size, and its name in there is not even read.
"""

from __future__ import annotations

import tarfile
from typing import IO, TYPE_CHECKING

from lamina.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512
_CHUNK = 1 << 20
#: Extended headers, which hold long names (POSIX pax, GNU tar), and the most bytes that one may have.
_EXTENDED, _MOST_EXTENDED = frozenset({b"x", b"g", b"L", b"K"}), 1 << 20
_MOST_HEADERS = 8

_HINT = "What ran in the container left something else than a wheel; look at the sources that were built."


def receive(pieces: Iterator[bytes], out: IO[bytes], where: str, most: int) -> int:
    """Write the file to ``out``; return its size, which is at most ``most`` bytes. Nothing larger is ever read.

    Raises:
        IntegrityError: it is no tar of exactly one regular file, or the file is larger.
    """
    stream = _Stream(pieces, where)
    for _ in range(_MOST_HEADERS):
        info = stream.header()
        if info is None:
            break
        if info.type in _EXTENDED and 0 <= info.size <= _MOST_EXTENDED:
            stream.copy(info.size, None)
            continue
        if info.type not in {tarfile.REGTYPE, tarfile.AREGTYPE}:
            raise IntegrityError(f"{where}: the build left something else than a file", hint=_HINT)
        if not 0 <= info.size <= most:
            message = f"{where}: the build left a wheel of {info.size:,} bytes; at most {most:,} are taken"
            raise IntegrityError(message, hint=_HINT)
        stream.copy(info.size, out)
        if stream.header() is not None:
            raise IntegrityError(f"{where}: the build left more than one file", hint=_HINT)
        return info.size
    raise IntegrityError(f"{where}: the build left no file", hint=_HINT)


class _Stream:
    """Pieces of any length, read in blocks."""

    def __init__(self, pieces: Iterator[bytes], where: str) -> None:
        self._pieces, self._where = pieces, where
        self._held = b""

    def header(self) -> tarfile.TarInfo | None:
        """The next header; ``None`` at the end."""
        block = self._take(_BLOCK)
        if not block.strip(b"\0"):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.TarError, ValueError) as error:
            raise IntegrityError(f"{self._where}: the build left no tar: {error}", hint=_HINT) from error

    def copy(self, size: int, out: IO[bytes] | None) -> None:
        """The data of a file, with its padding."""
        left = size
        while left:
            piece = self._take(min(left, _CHUNK))
            if not piece:
                raise IntegrityError(f"{self._where}: the wheel breaks off", hint=_HINT)
            left -= len(piece)
            if out is not None:
                out.write(piece)
        self._take(-size % _BLOCK)

    def _take(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        parts, left = [], size
        while left:
            if not self._held:
                self._held = next(self._pieces, b"")
                if not self._held:
                    break
            part, self._held = self._held[:left], self._held[left:]
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
