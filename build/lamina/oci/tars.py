"""Tar archives, read from front to back in bounded memory, whatever they hold (POSIX pax, GNU long names).

The standard library's reader takes an extended header into memory whatever its size is, and one of many gigabytes
compresses to nothing.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lamina.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLOCK = 512
_CHUNK = 1024 * 1024
#: Names and extended attributes of one file; Linux takes paths of 4,096 bytes.
_MOST_HEADER_BYTES = 1024 * 1024
_LONGEST_PATH = 4096
#: Characters of all names and links together; an image of 100,000 files has 10 million.
_MOST_NAMES = 64 * 1024 * 1024
_LARGEST = 1 << 50
#: Links, devices, folders, pipes: whatever size their headers state, no data follows.
_WITHOUT_DATA = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
#: The records of extended headers that tell how to read what follows. Others are passed over, however many there are.
_TELLING = frozenset({"path", "linkpath", "size", "GNU.sparse.major", "GNU.sparse.map"})
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
#: Headers that say more of the file that follows; each kind comes once.
_MOST_HEADERS = 8

#: The types of members that are files, and those of what else a layer holds (POSIX, ustar Interchange Format).
FILE = frozenset({b"0", b"\0", b"7"})
HARD_LINK, LINK, FOLDER = b"1", b"2", b"5"


class Stream(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, fewer than ``size`` only at the end."""

    def skip(self, size: int, /) -> bool:
        """Pass over that many bytes; false where there are fewer."""


class Pieces:
    """Pieces of any length, such as an engine hands over, as a stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        """The next bytes, fewer than ``size`` only at the end."""
        return b"".join(self._taken(size))

    def skip(self, size: int, /) -> bool:
        """Pass over that many bytes; false where there are fewer."""
        return sum(map(len, self._taken(size))) == size

    def _taken(self, size: int) -> Iterator[memoryview]:
        while size:
            if not self._held:
                self._held = memoryview(next(self._pieces, b""))
                if not self._held:
                    return
            taken, self._held = self._held[:size], self._held[size:]
            size -= len(taken)
            yield taken


class Member(NamedTuple):
    """One entry: ``type`` is the one byte of the format, ``offset`` where its data begins, in bytes of the tar."""

    name: str
    type: bytes
    size: int
    mode: int
    link: str
    offset: int


class Tar:
    """A tar that is being read: iterate over it, and take the data of the member at hand with :meth:`pieces`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._at = 0
        self._left = 0
        self._named = 0

    def __iter__(self) -> Iterator[Member]:
        """Each member in its order, with long names applied.

        Raises:
            IntegrityError: it is no tar, broken off, or of a form that no image has.
        """
        names: dict[str, str] = {}
        headers = 0
        while (info := self._header()) is not None:
            data = self._at
            self._left = 0 if info.type in _WITHOUT_DATA else info.size
            padding = -self._left % _BLOCK
            if info.type in {_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL}:
                headers += 1
                if headers > _MOST_HEADERS:
                    raise IntegrityError(f"has more than {_MOST_HEADERS} headers of one file")
                if info.size > _MOST_HEADER_BYTES:
                    raise IntegrityError(f"has a header of {info.size:,} bytes")
                content = b"".join(self.pieces())
                if info.type in {_PAX, _PAX_GLOBAL}:
                    names |= _pax(content) if info.type == _PAX else {}
                else:
                    key = "path" if info.type == _LONG_NAME else "linkpath"
                    names[key] = content.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            else:
                if info.type == b"S" or "GNU.sparse.major" in names or "GNU.sparse.map" in names:
                    raise IntegrityError(f"{info.name}: is a sparse file, a form that images do not have")
                if "size" in names and info.type not in _WITHOUT_DATA:
                    self._left = _number(names["size"])
                    padding = -self._left % _BLOCK
                self._count(names)
                yield Member(
                    name=names.get("path", info.name),
                    type=info.type,
                    size=self._left,
                    mode=info.mode & 0o777,
                    link=names.get("linkpath", info.linkname),
                    offset=data,
                )
                names, headers = {}, 0
            if not self._stream.skip(self._left + padding):
                raise IntegrityError("breaks off in a file")
            self._at += self._left + padding
            self._left = 0

    def pieces(self) -> Iterator[bytes]:
        """The data of the member at hand that was not taken yet, in pieces of at most 1 MiB.

        Raises:
            IntegrityError: the tar breaks off.
        """
        while self._left:
            piece = self._exactly(min(self._left, _CHUNK))
            self._left -= len(piece)
            yield piece

    def _header(self) -> tarfile.TarInfo | None:
        """The next header; ``None`` at the end, which is an empty block, or none at all."""
        block = self._stream.read(_BLOCK)
        self._at += len(block)
        if not block or not block.strip(b"\0"):
            return None
        if len(block) < _BLOCK:
            raise IntegrityError("breaks off in a header")
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.TarError, ValueError) as error:
            raise IntegrityError(f"has a header that cannot be read: {error}") from error
        if not 0 <= info.size <= _LARGEST:
            raise IntegrityError(f"has a file of {info.size:,} bytes")
        return info

    def _count(self, names: dict[str, str]) -> None:
        """Long names compress to nothing, and every reader keeps them."""
        for name in (names.get("path", ""), names.get("linkpath", "")):
            self._named += len(name)
            if len(name) > _LONGEST_PATH or self._named > _MOST_NAMES:
                raise IntegrityError(f"has names of more than {_LONGEST_PATH:,} bytes, or too many long ones")

    def _exactly(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._at += len(piece)
        if len(piece) < size:
            raise IntegrityError("breaks off in a file")
        return piece


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 15:  # noqa: PLR2004 - a thousand terabytes
        raise IntegrityError("states a size that is no number")
    return int(text)


def _pax(content: bytes) -> dict[str, str]:
    """The records ``length key=value`` of an extended header (POSIX, pax Interchange Format)."""
    found = {}
    at = 0
    while at < len(content):
        digits, space, _ = content[at : at + 10].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = content[at + len(digits) + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if not equals or not record.endswith(b"\n"):
            raise IntegrityError("has an extended header that cannot be read")
        name = key.decode("utf-8", "surrogateescape")
        if name in _TELLING:
            found[name] = value[:-1].decode("utf-8", "surrogateescape")
        at += length
    return found
