"""A wheel as it lies on disk: its entries, checked before anything believes them, and its metadata.

A wheel is hostile until checked. The names of its entries, their sizes, their checksums and its RECORD are claims of
whoever made it; each is held against the bytes, and one that does not hold ends in an error that names wheel and entry.
Nothing is ever written to a path taken from a wheel.

Sources: the binary distribution format (packaging.python.org/specifications/binary-distribution-format), PEP 427,
and the ZIP application note (APPNOTE.TXT 6.3.10) for the structures.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import mmap
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lamina.errors import IntegrityError, LaminaError, UnsafeWheelError

#: Compression methods that a wheel may use (APPNOTE 4.4.5); pip and uv write and read these two.
STORED, DEFLATED = 0, 8

#: A wheel of more entries, or of more bytes when unpacked, is taken for a bomb: thirty times Lambda's quota.
MOST_ENTRIES = 500_000
MOST_BYTES = 8 * 1024**3
#: No metadata file needs more; RECORD of the largest known wheels is under 3 MiB.
MOST_METADATA_BYTES = 64 * 1024**2

if TYPE_CHECKING:
    from zipfile import ZipInfo as _ZipInfo

_CHUNK = 1024 * 1024
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_FLAG_ENCRYPTED, _FLAG_DESCRIPTOR, _FLAG_STRONG = 0x1, 0x8, 0x40
_TYPE_MASK, _TYPE_FOLDER, _TYPE_FILE, _TYPE_LINK = 0o170000, 0o040000, 0o100000, 0o120000


class Entry(NamedTuple):
    """One file of a wheel. Sizes and offset are bytes; the offset is that of its data in the wheel."""

    name: str
    method: int
    crc: int
    compressed: int
    size: int
    offset: int


class Wheel:
    """An open wheel whose directory has been checked; use :func:`open_wheel`.

    ``entries`` are its files in the order of their data, folders left out. ``dist_info`` and ``data_folder`` are the
    names of those top-level folders.
    """

    def __init__(self, filename: str, buffer: mmap.mmap, entries: tuple[Entry, ...]) -> None:
        import wheel_filename
        from packaging.utils import canonicalize_name

        try:
            parsed = wheel_filename.WheelFilename.parse(filename)
        except wheel_filename.ParseError as error:
            raise UnsafeWheelError(f"{filename}: not the name of a wheel", hint=_REPORT) from error
        self.filename = filename
        self.entries = entries
        self._buffer = buffer
        self._by_name = {entry.name: entry for entry in entries}
        self.name = canonicalize_name(parsed.project)
        self.version = parsed.version
        self.dist_info = self._find_dist_info()
        self.data_folder = self.dist_info.removesuffix(".dist-info") + ".data"
        self.metadata = self._read_metadata()

    def raw(self, entry: Entry) -> memoryview:
        """The entry's bytes as they lie in the wheel, compressed or not. Release it before the wheel is closed."""
        return memoryview(self._buffer)[entry.offset : entry.offset + entry.compressed]

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The entry's content in pieces, held against its stated size and CRC-32.

        Raises:
            IntegrityError: the data does not inflate to exactly what the directory says.
        """
        crc = size = 0
        for chunk in _inflate(self._buffer, entry, self.filename):
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
            yield chunk
        if size != entry.size or crc != entry.crc:
            raise IntegrityError(
                f"{self.filename}: {entry.name}: holds {size:,} bytes with CRC-32 {crc:08x}; its directory says "
                f"{entry.size:,} with {entry.crc:08x}",
                hint=_REPORT,
            )

    def read(self, entry: Entry) -> bytes:
        """The whole content of one entry, verified as in :meth:`chunks`."""
        return b"".join(self.chunks(entry))

    def entry(self, name: str) -> Entry | None:
        """The entry of that name, or ``None``."""
        return self._by_name.get(name)

    def read_metadata_file(self, name: str) -> bytes | None:
        """The content of a file of the ``.dist-info`` folder, or ``None`` where there is none."""
        entry = self._by_name.get(f"{self.dist_info}/{name}")
        if entry is None:
            return None
        if entry.size > MOST_METADATA_BYTES:
            raise UnsafeWheelError(
                f"{self.filename}: {entry.name}: {entry.size:,} bytes of metadata is more than any wheel needs",
                hint=_REPORT,
            )
        return self.read(entry)

    def record(self) -> Mapping[str, tuple[str, str]]:
        """RECORD as path → (algorithm, digest in URL-safe base64 without padding); both empty where it states none.

        Raises:
            IntegrityError: RECORD is no CSV of three columns, or lists a path twice with different hashes.
        """
        text = self._required("RECORD").decode("utf-8", errors="replace")
        listed: dict[str, tuple[str, str]] = {}
        where = f"{self.filename}: {self.dist_info}/RECORD"
        try:
            for row in csv.reader(text.splitlines(), strict=True):
                if not row:
                    continue
                path, stated, *_ = (*row, "")
                algorithm, _, digest = stated.partition("=")
                value = (algorithm.lower(), digest.rstrip("="))
                if listed.setdefault(path.replace("\\", "/"), value) != value:
                    raise IntegrityError(f"{where}: lists {path!r} twice with different hashes", hint=_REPORT)
        except csv.Error as error:
            raise IntegrityError(f"{where}: cannot be read: {error}", hint=_REPORT) from error
        return listed

    def _find_dist_info(self) -> str:
        from packaging.utils import canonicalize_name
        from packaging.version import InvalidVersion, Version

        found = sorted({top for entry in self.entries if (top := _top(entry.name)).endswith(".dist-info")})
        if len(found) != 1:
            what = "no .dist-info folder" if not found else f"{len(found)} .dist-info folders: {', '.join(found)}"
            raise UnsafeWheelError(f"{self.filename}: has {what}; a wheel has exactly one", hint=_REPORT)
        stem = found[0].removesuffix(".dist-info")
        name, _, version = stem.partition("-")
        try:
            same = canonicalize_name(name) == self.name and Version(version) == Version(self.version)
        except InvalidVersion:
            same = version == self.version
        if not same:
            raise UnsafeWheelError(
                f"{self.filename}: its metadata folder is {found[0]}: the name of the wheel says otherwise",
                hint=_REPORT,
            )
        return found[0]

    def _required(self, name: str) -> bytes:
        content = self.read_metadata_file(name)
        if content is None:
            raise UnsafeWheelError(f"{self.filename}: has no {self.dist_info}/{name}", hint=_REPORT)
        return content

    def _read_metadata(self) -> Message:
        from packaging.utils import canonicalize_name

        layout = BytesParser().parsebytes(self._required("WHEEL"), headersonly=True)
        version = str(layout.get("Wheel-Version", "")).strip()
        if version.partition(".")[0] != "1":
            raise UnsafeWheelError(
                f"{self.filename}: {self.dist_info}/WHEEL: Wheel-Version is {version!r}; lamina knows version 1",
                hint="Look for another wheel of this version, or for a newer lamina.",
            )
        metadata = BytesParser().parsebytes(self._required("METADATA"), headersonly=False)
        stated = canonicalize_name(str(metadata.get("Name", "")).strip())
        if stated != self.name:
            raise UnsafeWheelError(
                f"{self.filename}: {self.dist_info}/METADATA: is about {stated or 'nothing'}; the name of the wheel "
                f"says {self.name}",
                hint=_REPORT,
            )
        return metadata


@contextlib.contextmanager
def open_wheel(path: Path, filename: str) -> Iterator[Wheel]:
    """Open the wheel at ``path``, known as ``filename``, and check its directory; a context manager.

    Raises:
        UnsafeWheelError: an entry that no installer may unpack, or a name that lies.
        IntegrityError: not a readable zip, or one whose headers contradict its directory.
    """
    with path.open("rb") as file:
        try:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise IntegrityError(f"{filename}: is empty", hint=_REPORT) from error
        try:
            yield Wheel(filename, buffer, _directory(path, filename, buffer))
        finally:
            with contextlib.suppress(BufferError):  # an error's traceback may still hold a view
                buffer.close()


def sha256_of_record(digest: str) -> bytes | None:
    """A RECORD digest as bytes, or ``None`` when it is no URL-safe base64."""
    try:
        return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))
    except ValueError:
        return None


def hasher(algorithm: str) -> hashlib._Hash | None:
    """A new hash object for a RECORD algorithm, or ``None`` for one too weak to count (MD5, SHA-1) or unknown.

    The specification asks for SHA-256 or better.
    """
    return hashlib.new(algorithm) if algorithm in {"sha256", "sha384", "sha512"} else None


def _directory(path: Path, filename: str, buffer: mmap.mmap) -> tuple[Entry, ...]:
    """The checked entries, in the order of their data; folders are checked and left out."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            end = archive.start_dir
    except (zipfile.BadZipFile, ValueError, struct.error, EOFError, NotImplementedError, OverflowError) as error:
        raise IntegrityError(f"{filename}: is not a readable zip: {error}", hint=_REPORT) from error
    if len(infos) > MOST_ENTRIES:
        raise UnsafeWheelError(
            f"{filename}: {len(infos):,} entries; lamina reads at most {MOST_ENTRIES:,}", hint=_REPORT
        )
    total = sum(info.file_size for info in infos)
    if total > MOST_BYTES:
        raise UnsafeWheelError(
            f"{filename}: unpacks to {total:,} bytes; lamina reads at most {MOST_BYTES:,}", hint=_REPORT
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
            raise UnsafeWheelError(f"{filename}: {name!r}: a folder with content", hint=_REPORT)
    _check_collisions(filename, entries)
    return tuple(entries)


@contextlib.contextmanager
def _naming(filename: str, name: str) -> Iterator[None]:
    """Put wheel and entry before the message of what is raised inside."""
    try:
        yield
    except LaminaError as error:
        raise type(error)(f"{filename}: {name!r}: {error.message}", hint=error.hint or _REPORT) from None


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


def _check_kind(info: _ZipInfo) -> None:
    if info.flag_bits & (_FLAG_ENCRYPTED | _FLAG_STRONG):
        raise UnsafeWheelError("encrypted")
    if info.compress_type not in (STORED, DEFLATED):
        raise UnsafeWheelError(f"compressed by method {info.compress_type}; wheels are stored or deflated")
    kind = (info.external_attr >> 16) & _TYPE_MASK
    if kind == _TYPE_LINK:
        raise UnsafeWheelError("a symbolic link; the wheel format has none, and installers differ on them")
    if kind not in (0, _TYPE_FILE, _TYPE_FOLDER):
        raise UnsafeWheelError("a device, socket or pipe")


def _data_offset(info: _ZipInfo, buffer: mmap.mmap) -> int:
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
            raise UnsafeWheelError(f"{filename}: {entry.name!r}: {what}", hint=_REPORT)
        parent = folded
        while (cut := parent.rfind("/")) > 0 and (parent := parent[:cut]) not in folders:
            folders.add(parent)
    for folded in folders & seen.keys():
        raise UnsafeWheelError(f"{filename}: {seen[folded]!r}: is a file and a folder", hint=_REPORT)


def _fold(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _inflate(buffer: mmap.mmap, entry: Entry, filename: str) -> Iterator[bytes]:
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
        raise IntegrityError(f"{filename}: {entry.name}: does not inflate: {error}", hint=_REPORT) from error
    if not inflater.eof or inflater.unused_data or at + _CHUNK < end:
        raise IntegrityError(
            f"{filename}: {entry.name}: its compressed data does not end where it should", hint=_REPORT
        )


def _top(name: str) -> str:
    head, slash, _ = name.partition("/")
    return head if slash else ""


_REPORT = "Do not use this wheel. Tell its maintainers, and lock another version."
