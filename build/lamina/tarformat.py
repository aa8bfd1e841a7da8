"""files → tar, the same bytes from every host, and tar → gzip as one member.

Headers are ustar's (POSIX.1-2017, pax, "ustar Interchange Format"); an extended header stands only before a file whose
path or size has no room there. Every folder has an entry of its own: Lambda refuses images without
(``MissingParentDirectory``). Owners are root, without names; the date is that of the zips.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from lamina.errors import IntegrityError

#: Counted up with every change of the bytes that are written for the same files.
FORMAT = 1
#: 1 February 1980, midnight UTC, as in zips (:mod:`lamina.zipformat`); seconds.
DATE = 318_211_200

_BLOCK = 512
_NAME, _PREFIX = 100, 155  # bytes that a header has for the end and the beginning of a path
_MOST_BYTES = 8**11 - 1  # eleven octal digits
_FILE, _LINK, _FOLDER, _EXTENDED = b"0", b"2", b"5", b"x"


class File(NamedTuple):
    """A file that goes in. ``size`` is in bytes, ``mode`` as in ``0o644``; ``pieces`` gives its content.

    A symbolic link has a ``target``, where it leads, and no content.
    """

    path: str
    mode: int
    size: int
    pieces: Callable[[], Iterable[bytes]]
    target: str = ""


class Written(NamedTuple):
    """A tar that was written: its SHA-256 in hexadecimal, and its size in bytes."""

    sha256: str
    size: int


def held(path: str, content: bytes, mode: int = 0o644) -> File:
    """A file whose content is at hand."""
    return File(path, mode, len(content), lambda: (content,))


def link(path: str, target: str) -> File:
    """A symbolic link that leads to ``target``."""
    return File(path, 0o777, 0, lambda: (), target)


def write(files: Iterable[File], out: IO[bytes]) -> Written:
    """Write the tar of ``files`` and of all folders above them, sorted by the bytes of their paths.

    Raises:
        IntegrityError: a file's content has another size than was said.
    """
    digest, total = hashlib.sha256(), 0
    for piece in stream(files):
        digest.update(piece)
        out.write(piece)
        total += len(piece)
    return Written(digest.hexdigest(), total)


def stream(files: Iterable[File]) -> Iterator[bytes]:
    """The same tar in pieces.

    Raises:
        IntegrityError: a file's content has another size than was said.
    """
    for path, file in _rows(files):
        yield _headers(path, file)
        if file is None:
            continue
        size = 0
        for piece in file.pieces():
            size += len(piece)
            yield piece
        if size != file.size:
            raise IntegrityError(
                f"{path}: has {size:,} bytes, of {file.size:,} that were to come", hint="Run the build again."
            )
        yield b"\0" * (-size % _BLOCK)
    yield b"\0" * (2 * _BLOCK)


def gzip(tar: Path, out: Path) -> Written:
    """Compress a tar with libdeflate into one member without a date, and tell digest and size of the result.

    The tar is mapped, so that memory holds the compressed bytes only.
    """
    import deflate

    with tar.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        with memoryview(content) as view:
            packed = deflate.gzip_compress(view, 6)  # the level of parts
        out.write_bytes(packed)
    return Written(hashlib.sha256(packed).hexdigest(), len(packed))


def _rows(files: Iterable[File]) -> list[tuple[str, File | None]]:
    """Files and the folders above them, by their names in the tar; a folder ends in a slash."""
    rows: dict[str, File | None] = {}
    for file in files:
        rows[file.path] = file
        end = file.path.rfind("/")
        while end > 0 and (folder := file.path[: end + 1]) not in rows:
            rows[folder] = None
            end = file.path.rfind("/", 0, end)
    return sorted(rows.items(), key=lambda row: row[0].encode())


def _headers(path: str, file: File | None) -> bytes:
    """The header of a file, or of a folder where there is none, with an extended one before it where it needs that."""
    size, mode, kind = (0, 0o755, _FOLDER) if file is None else (file.size, file.mode, _FILE)
    records, target = b"", b""
    if file is not None and file.target:
        kind, target = _LINK, file.target.encode()
        if len(target) > _NAME or not file.target.isascii():
            records += _record("linkpath", file.target)
            target = file.target.encode("ascii", "replace")[:_NAME]
    split = _split(path)
    if split is None:
        records += _record("path", path)
        split = b"", path.encode("ascii", "replace")[:_NAME]
    if size > _MOST_BYTES:
        records += _record("size", str(size))
        size = 0
    extended = b""
    if records:
        extended = _header(b"", b"PaxHeader", 0o644, len(records), _EXTENDED, b"")
        extended += records + b"\0" * (-len(records) % _BLOCK)
    return extended + _header(*split, mode, size, kind, target)


def _split(path: str) -> tuple[bytes, bytes] | None:
    """The path as prefix and name; ``None`` where it has no room there, or is not ASCII."""
    if not path.isascii():
        return None
    name = path.encode()
    if len(name) <= _NAME:
        return b"", name
    cut = name.find(b"/", len(name) - _NAME - 1, len(name) - 1)
    return None if cut < 1 or cut > _PREFIX else (name[:cut], name[cut + 1 :])


def _record(key: str, value: str) -> bytes:
    """A record of an extended header: its own length, in decimal, counts as well."""
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while (whole := len(rest) + len(str(length))) != length:
        length = whole
    return str(length).encode() + rest


def _header(prefix: bytes, name: bytes, mode: int, size: int, kind: bytes, target: bytes) -> bytes:
    start = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(_NAME, b"\0"), mode, 0, 0, size, DATE)
    rest = kind + target.ljust(_NAME, b"\0") + b"ustar\x0000" + b"\0" * 64 + b"%07o\0%07o\0" % (0, 0) + prefix
    summed = sum(start) + 8 * ord(" ") + sum(rest)
    return (start + b"%06o\0 " % summed + rest).ljust(_BLOCK, b"\0")
