"""A zip as it lies on disk: its directory, checked before anything believes it, and the content of its entries.

Names, sizes, checksums and offsets are claims of whoever made the zip. Each is held against the bytes, and one that
does not hold ends in an error that names zip and entry. Nothing is ever written to a path taken from a zip.

Source: the ZIP application note (APPNOTE.TXT 6.3.10).
"""

from __future__ import annotations

import contextlib
import struct
import unicodedata
import zlib
from typing import TYPE_CHECKING, NamedTuple

from lamina.errors import IntegrityError, LaminaError, UnsafeWheelError
from lamina.zipformat import DEFLATED, STORED

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator
    from pathlib import Path
    from zipfile import ZipInfo

#: A wheel of more entries, or of more bytes when unpacked, is taken for a bomb: thirty times Lambda's quota.
MOST_ENTRIES = 500_000
MOST_BYTES = 8 * 1024**3

#: What to do about a wheel that lies.
REPORT = "Do not use this wheel. Tell its maintainers, and lock another version."

_CHUNK = 1024 * 1024
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_FLAG_ENCRYPTED, _FLAG_DESCRIPTOR, _FLAG_STRONG = 0x1, 0x8, 0x40
_TYPE_MASK, _TYPE_FOLDER, _TYPE_FILE, _TYPE_LINK = 0o170000, 0o040000, 0o100000, 0o120000


class Entry(NamedTuple):
    """One file of a zip. Sizes and offset are bytes; the offset is that of its data in the zip."""

    name: str
    method: int
    crc: int
    compressed: int
    size: int
    offset: int


def directory(path: Path, filename: str, buffer: mmap.mmap) -> tuple[Entry, ...]:
    """The checked entries, in the order of their data; folders are checked and left out."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            end = archive.start_dir
    except (zipfile.BadZipFile, ValueError, struct.error, EOFError, NotImplementedError, OverflowError) as error:
        raise IntegrityError(f"{filename}: is not a readable zip: {error}", hint=REPORT) from error
    if len(infos) > MOST_ENTRIES:
        raise UnsafeWheelError(
            f"{filename}: {len(infos):,} entries; lamina reads at most {MOST_ENTRIES:,}", hint=REPORT
        )
    total = sum(info.file_size for info in infos)
    if total > MOST_BYTES:
        raise UnsafeWheelError(
            f"{filename}: unpacks to {total:,} bytes; lamina reads at most {MOST_BYTES:,}", hint=REPORT
        )
    entries = []
    reached = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = info.orig_filename
        with _naming(filename, name):
            _check_name(name)
            _check_kind(info)
            offset = _data_offset(info, buffer)
            if info.header_offset < reached or offset + info.compress_size > end:
                raise UnsafeWheelError("its data overlaps another entry's")
            reached = offset + info.compress_size
        if not name.endswith("/"):
            entries.append(Entry(name, info.compress_type, info.CRC, info.compress_size, info.file_size, offset))
        elif info.file_size:
            raise UnsafeWheelError(f"{filename}: {name!r}: a folder with content", hint=REPORT)
    _check_collisions(filename, entries)
    return tuple(entries)


@contextlib.contextmanager
def _naming(filename: str, name: str) -> Iterator[None]:
    """Put wheel and entry before the message of what is raised inside."""
    try:
        yield
    except LaminaError as error:
        raise type(error)(f"{filename}: {name!r}: {error.message}", hint=error.hint or REPORT) from None


def _check_name(name: str) -> None:
    """A relative path of plain segments, or an error; the rules hold on every host, so they are Windows' and POSIX's.

    See the zip section of the packaging specifications, and CVE-2007-4559 for what happens otherwise.
    """
    if "\\" in name:
        raise UnsafeWheelError("a backslash in a path")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise UnsafeWheelError("a control character in a path")
    if name.startswith("/"):
        raise UnsafeWheelError("an absolute path")
    segments = name.removesuffix("/").split("/")
    if len(segments[0]) > 1 and segments[0][1] == ":":
        raise UnsafeWheelError("a path with a drive letter")
    if ".." in segments:
        raise UnsafeWheelError("a path that leaves the wheel")
    if "" in segments or "." in segments:
        raise UnsafeWheelError("a path with an empty segment")
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsafeWheelError("a path that is not UTF-8") from None
    if len(encoded) > 1024 or any(len(segment.encode()) > 255 for segment in segments):  # noqa: PLR2004
        raise UnsafeWheelError("a path longer than Linux accepts")


def _check_kind(info: ZipInfo) -> None:
    if info.flag_bits & (_FLAG_ENCRYPTED | _FLAG_STRONG):
        raise UnsafeWheelError("encrypted")
    if info.compress_type not in (STORED, DEFLATED):
        raise UnsafeWheelError(f"compressed by method {info.compress_type}; wheels are stored or deflated")
    kind = (info.external_attr >> 16) & _TYPE_MASK
    if kind == _TYPE_LINK:
        raise UnsafeWheelError("a symbolic link; the wheel format has none, and installers differ on them")
    if kind not in (0, _TYPE_FILE, _TYPE_FOLDER):
        raise UnsafeWheelError("a device, socket or pipe")


def _data_offset(info: ZipInfo, buffer: mmap.mmap) -> int:
    """Where the entry's data begins, after its local header, which must tell the same as the directory."""
    start = info.header_offset
    header = buffer[start : start + _LOCAL.size]
    if len(header) < _LOCAL.size or header[:4] != _LOCAL_SIGNATURE:
        raise IntegrityError("has no local header where the directory points")
    _, _, flags, method, _, _, crc, compressed, size, name_length, extra_length = _LOCAL.unpack(header)
    name = buffer[start + _LOCAL.size : start + _LOCAL.size + name_length]
    try:
        decoded = name.decode("utf-8" if flags & 0x800 else "cp437")
    except UnicodeDecodeError:
        decoded = ""
    described = flags & _FLAG_DESCRIPTOR
    # With a descriptor, and in zip64, sizes and CRC of the local header may be left open (APPNOTE 4.4.4, 4.5.3).
    told = (
        described or ((crc, compressed, size) == (info.CRC, info.compress_size, info.file_size)) or size == 0xFFFFFFFF
    )
    if decoded != info.orig_filename or method != info.compress_type or not told:
        raise IntegrityError("its local header and the directory contradict each other")
    data: int = start + _LOCAL.size + name_length + extra_length
    return data


def _check_collisions(filename: str, entries: list[Entry]) -> None:
    """Refuse two entries of one name, also where only case or Unicode form differs, and a file used as a folder."""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for entry in entries:
        folded = _fold(entry.name)
        other = seen.setdefault(folded, entry.name)
        if other is not entry.name:
            what = "is there twice" if other == entry.name else f"collides with {other!r} where case does not count"
            raise UnsafeWheelError(f"{filename}: {entry.name!r}: {what}", hint=REPORT)
        parent = folded
        while (cut := parent.rfind("/")) > 0 and (parent := parent[:cut]) not in folders:
            folders.add(parent)
    for folded in folders & seen.keys():
        raise UnsafeWheelError(f"{filename}: {seen[folded]!r}: is a file and a folder", hint=REPORT)


def _fold(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def inflate(buffer: mmap.mmap, entry: Entry, filename: str) -> Iterator[bytes]:
    """The content in chunks, never more than one chunk beyond the stated size."""
    start, end = entry.offset, entry.offset + entry.compressed
    if entry.method == STORED:
        for at in range(start, end, _CHUNK):
            yield buffer[at : min(at + _CHUNK, end)]
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    produced = 0
    try:
        for at in range(start, end, _CHUNK):
            pending = buffer[at : min(at + _CHUNK, end)]
            while pending:
                chunk = inflater.decompress(pending, _CHUNK)
                produced += len(chunk)
                if chunk:
                    yield chunk
                if produced > entry.size:
                    return  # the caller's count is off already: enough said
                pending = inflater.unconsumed_tail
            if inflater.eof:
                break
        while not inflater.eof and (chunk := inflater.decompress(b"", _CHUNK)):
            produced += len(chunk)
            yield chunk
    except zlib.error as error:
        raise IntegrityError(f"{filename}: {entry.name}: does not inflate: {error}", hint=REPORT) from error
    if not inflater.eof or inflater.unused_data or at + _CHUNK < end:
        raise IntegrityError(f"{filename}: {entry.name}: its compressed data does not end where it should", hint=REPORT)
