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
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from zipfile import ZipInfo

#: A wheel of more entries, or of more bytes when unpacked, is taken for a bomb: thirty times Lambda's quota.
MOST_ENTRIES = 500_000
MOST_BYTES = 8 * 1024**3
#: Above this a file needs zip64 wherever it goes; it is sixteen times Lambda's quota.
MOST_FILE_BYTES = 0xFFFFFFFF - 1

#: What to do about a wheel that lies.
REPORT = "Do not use this wheel. Tell its maintainers, and lock another version."

_CHUNK = 1024 * 1024
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_FLAG_ENCRYPTED, _FLAG_DESCRIPTOR, _FLAG_STRONG, _FLAG_UTF8 = 0x1, 0x8, 0x40, 0x800
_ZIP64, _ZIP64_FIELD = 0xFFFFFFFF, 1
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
    """The files of the zip at ``path``, mapped as ``buffer``, in the order of their data; folders are checked as well.

    Raises:
        IntegrityError: not a readable zip, or one whose headers contradict its directory.
        UnsafeWheelError: an entry that no installer may unpack; a bomb.
    """
    infos, end = read_directory(path, filename)
    entries = []
    folders = []
    reached = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = info.orig_filename
        with naming(filename, name):
            check_name(name)
            _check_kind(info)
            offset = data_offset(info, buffer)
            if info.header_offset < reached or offset + info.compress_size > end:
                raise UnsafeWheelError("its data overlaps another entry or the directory")
            reached = offset + info.compress_size
        if name.endswith("/"):
            folders.append(name)
        else:
            entries.append(Entry(name, info.compress_type, info.CRC, info.compress_size, info.file_size, offset))
    check_collisions(filename, (entry.name for entry in entries), folders)
    return tuple(entries)


def content(buffer: mmap.mmap, entry: Entry, filename: str) -> Iterator[bytes]:
    """The content of an entry in pieces of at most 1 MiB, held against its stated size and CRC-32.

    No more than one piece beyond the stated size is ever inflated.

    Raises:
        IntegrityError: the data is not exactly what the directory says.
    """
    crc = size = 0
    for chunk in _inflate(buffer, entry, filename):
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
        if size > entry.size:
            raise IntegrityError(
                f"{filename}: {entry.name}: holds more than the {entry.size:,} bytes that its directory states",
                hint=REPORT,
            )
        yield chunk
    if size != entry.size or crc != entry.crc:
        raise IntegrityError(
            f"{filename}: {entry.name}: holds {size:,} bytes with CRC-32 {crc:08x}; its directory states "
            f"{entry.size:,} with {entry.crc:08x}",
            hint=REPORT,
        )


def read_directory(path: Path, filename: str) -> tuple[list[ZipInfo], int]:
    """The directory as it stands, and where it begins in the file; both only held against what is too much.

    Raises:
        IntegrityError: not a readable zip.
        UnsafeWheelError: a bomb.
    """
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            end: int = archive.start_dir
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
    return infos, end


@contextlib.contextmanager
def naming(filename: str, name: str) -> Iterator[None]:
    """Put wheel and entry before the message of what is raised inside."""
    try:
        yield
    except LaminaError as error:
        raise type(error)(f"{filename}: {name!r}: {error.message}", hint=error.hint or REPORT) from None


def check_name(name: str) -> None:
    """A relative path of plain segments, or an error; the rules hold on every host, so they are Windows' and POSIX's.

    See the zip section of the packaging specifications, and CVE-2007-4559 for what happens otherwise.

    Raises:
        UnsafeWheelError: it is none; the message says why, and neither names it nor where it stands.
    """
    if "\\" in name:
        raise UnsafeWheelError("a backslash in a path")
    if not name.isprintable():
        kinds = set(map(unicodedata.category, name))
        if "Cc" in kinds:
            raise UnsafeWheelError("a control character in a path")
        if "Cs" in kinds:
            raise UnsafeWheelError("a path that is not UTF-8")
    if name.startswith("/"):
        raise UnsafeWheelError("an absolute path")
    segments = name.removesuffix("/").split("/")
    if len(segments[0]) > 1 and segments[0][1] == ":":
        raise UnsafeWheelError("a path with a drive letter")
    if ".." in segments:
        raise UnsafeWheelError("a path that leaves the wheel")
    if "" in segments or "." in segments:
        raise UnsafeWheelError("a path with an empty segment")
    if len(name.encode()) > 1024 or any(len(segment.encode()) > 255 for segment in segments):  # noqa: PLR2004
        raise UnsafeWheelError("a path longer than Linux accepts")


def _check_kind(info: ZipInfo) -> None:
    """A plain file or folder that can be read, or an error."""
    if info.flag_bits & (_FLAG_ENCRYPTED | _FLAG_STRONG):
        raise UnsafeWheelError("encrypted")
    if info.compress_type not in (STORED, DEFLATED):
        raise UnsafeWheelError(f"compressed by method {info.compress_type}; wheels are stored or deflated")
    kind = (info.external_attr >> 16) & _TYPE_MASK
    if kind == _TYPE_LINK:
        raise UnsafeWheelError("a symbolic link; the wheel format has none, and installers differ on them")
    if kind not in (0, _TYPE_FILE, _TYPE_FOLDER):
        raise UnsafeWheelError("a device, socket or pipe")
    if kind == _TYPE_FOLDER and not info.orig_filename.endswith("/"):
        raise UnsafeWheelError("a folder by its mode, a file by its name")
    if info.orig_filename.endswith("/") and info.file_size:
        raise UnsafeWheelError("a folder with content")
    if max(info.file_size, info.compress_size) > MOST_FILE_BYTES:
        raise UnsafeWheelError(f"{info.file_size:,} bytes; no file of a layer can have more than {MOST_FILE_BYTES:,}")


def data_offset(info: ZipInfo, buffer: mmap.mmap) -> int:
    """Where the entry's data begins, after its local header, which must tell the same as the directory.

    Readers that go through the file from its start believe the local headers. Where the two differ, such a reader
    would see another wheel than we do.

    Raises:
        IntegrityError: there is no local header, or it contradicts the directory.
    """
    start = info.header_offset
    header = buffer[start : start + _LOCAL.size]
    if len(header) < _LOCAL.size or header[:4] != _LOCAL_SIGNATURE:
        raise IntegrityError("has no local header where the directory points")
    _, _, flags, method, _, _, crc, compressed, size, name_length, extra_length = _LOCAL.unpack(header)
    data: int = start + _LOCAL.size + name_length + extra_length
    name = buffer[start + _LOCAL.size : data - extra_length]
    try:
        decoded = name.decode("utf-8" if flags & _FLAG_UTF8 else "cp437")
    except UnicodeDecodeError:
        decoded = ""
    if _ZIP64 in (compressed, size):
        size, compressed = _zip64(buffer[data - extra_length : data], size, compressed)
    # With a descriptor they follow the data, and stand here as zero (APPNOTE 4.4.4).
    told = zip((crc, compressed, size), (info.CRC, info.compress_size, info.file_size), strict=True)
    left_open = flags & _FLAG_DESCRIPTOR
    agree = all(local == central or (left_open and not local) for local, central in told)
    if decoded != info.orig_filename or method != info.compress_type or not agree:
        raise IntegrityError("its local header and the directory contradict each other")
    return data


def _zip64(extra: bytes, size: int, compressed: int) -> tuple[int, int]:
    """The sizes of a local header's zip64 field, which there holds both (APPNOTE 4.5.3); as they were without one."""
    at = 0
    while at + 4 <= len(extra):
        field, length = struct.unpack_from("<HH", extra, at)
        if field == _ZIP64_FIELD and length >= 16 and at + 20 <= len(extra):  # noqa: PLR2004 - two numbers of 8 bytes
            size, compressed = struct.unpack_from("<QQ", extra, at + 4)
            break
        at += 4 + length
    return size, compressed


def check_collisions(filename: str, paths: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Refuse two files of one path, also where only case or Unicode form differs, and a file used as a folder.

    Raises:
        UnsafeWheelError: there are such files among ``paths``, or folders among them and ``folders``.
    """
    files: dict[str, str] = {}
    for path in paths:
        folded = _fold(path)
        if other := files.get(folded):
            what = "is there twice" if other == path else f"collides with {other!r} where case does not count"
            raise UnsafeWheelError(f"{filename}: {path!r}: {what}", hint=REPORT)
        files[folded] = path
    seen: set[str] = set()
    for path in (*files, *map(_fold, folders)):
        parent = path
        while (cut := parent.rfind("/")) > 0 and (parent := parent[:cut]) not in seen:
            seen.add(parent)
            if parent in files:
                raise UnsafeWheelError(f"{filename}: {files[parent]!r}: is a file and a folder", hint=REPORT)


def _fold(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _inflate(buffer: mmap.mmap, entry: Entry, filename: str) -> Iterator[bytes]:
    """The content in pieces, whatever its size is."""
    at, end = entry.offset, entry.offset + entry.compressed
    if entry.method == STORED:
        for start in range(at, end, _CHUNK):
            yield buffer[start : min(start + _CHUNK, end)]
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pending = b""
    while not inflater.eof:
        if not pending:
            pending = buffer[at : min(at + _CHUNK, end)]
            at += len(pending)
        try:
            chunk = inflater.decompress(pending, _CHUNK)
        except zlib.error as error:
            raise IntegrityError(f"{filename}: {entry.name}: does not inflate: {error}", hint=REPORT) from error
        pending = inflater.unconsumed_tail
        if chunk:
            yield chunk
        elif at == end and not pending:
            break
    if not inflater.eof or inflater.unused_data or at < end:
        raise IntegrityError(f"{filename}: {entry.name}: its compressed data does not end where it should", hint=REPORT)
