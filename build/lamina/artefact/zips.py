"""A zip of any maker, read with distrust: what is wrong with an entry is told, and the others are read all the same."""

from __future__ import annotations

import contextlib
import mmap
import stat
from typing import TYPE_CHECKING

from lamina.archive import MOST_FILE_BYTES, Entry, content, data_offset, read_directory
from lamina.artefact.content import look_at
from lamina.artefact.gathered import Gathered
from lamina.errors import IntegrityError, LaminaError
from lamina.zipformat import DEFLATED, STORED

if TYPE_CHECKING:
    from pathlib import Path
    from zipfile import ZipInfo

#: Hosts whose upper attribute bits are Unix modes: Unix and macOS (APPNOTE 4.4.2, 4.4.15).
_UNIX = frozenset({3, 19})
_FLAG_ENCRYPTED, _FLAG_STRONG = 0x1, 0x40
#: PATH_MAX of Linux, in bytes.
_MOST_TARGET_BYTES = 4096


def read_zip(path: Path, name: str, *, sources: bool) -> Gathered:
    """Read the zip at ``path``, which the user calls ``name``.

    Raises:
        OSError: the file itself cannot be opened.
    """
    gathered = Gathered(name)
    with path.open("rb") as file:
        try:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file cannot be mapped
            gathered.damaged(name, "is empty")
            return gathered
        try:
            _read(path, buffer, gathered, sources=sources)
        finally:
            with contextlib.suppress(BufferError):  # an error's traceback may still hold a view
                buffer.close()
    return gathered


def _read(path: Path, buffer: mmap.mmap, gathered: Gathered, *, sources: bool) -> None:
    name = gathered.name
    try:
        infos, end = read_directory(path, name)
    except LaminaError as error:
        gathered.damaged(name, error.message.removeprefix(f"{name}: "))
        return
    except OSError as error:  # a directory that points before the file's start
        gathered.damaged(name, f"is not a readable zip: {error.strerror}")
        return
    reached = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if not gathered.is_safe(info.orig_filename):
            continue
        try:
            entry = _entry(info, reached, end, buffer)
        except IntegrityError as error:
            gathered.damaged(info.orig_filename.removesuffix("/"), error.message)
            continue
        reached = entry.offset + entry.compressed
        _take(gathered, buffer, info, entry, sources=sources)


def _take(gathered: Gathered, buffer: mmap.mmap, info: ZipInfo, entry: Entry, *, sources: bool) -> None:
    """Take an entry that can be read as what its mode and name say it is."""
    path = entry.name.removesuffix("/")
    mode = info.external_attr >> 16 if info.create_system in _UNIX else 0
    permissions = mode & 0o777 if mode else None
    kind = stat.S_IFMT(mode)
    if entry.name.endswith("/"):
        gathered.add(path, 0, permissions, "folder")
        if entry.size:
            gathered.damaged(path, "is a folder with content")
    elif kind == stat.S_IFDIR:
        gathered.unsafe(path, "a folder by its mode, a file by its name")
    elif kind not in {0, stat.S_IFREG, stat.S_IFLNK}:
        gathered.unsafe(path, "a device, socket or pipe")
    elif kind == stat.S_IFLNK and entry.size > _MOST_TARGET_BYTES:
        gathered.damaged(path, f"is a link whose target has {entry.size:,} bytes; Linux takes {_MOST_TARGET_BYTES:,}")
    else:
        pieces = content(buffer, entry, gathered.name)
        try:
            if kind == stat.S_IFLNK:  # its content is the target
                target = b"".join(pieces).decode("utf-8", errors="replace")
                gathered.add(path, 0, permissions, "link", target)
            else:
                gathered.add(path, entry.size, permissions)
                sources = sources and gathered.affords(path, entry.size)
                gathered.saw(path, look_at(path, entry.size, pieces, sources=sources))
        except IntegrityError as error:
            gathered.damaged(path, error.message.removeprefix(f"{gathered.name}: {path}: "))


def _entry(info: ZipInfo, reached: int, end: int, buffer: mmap.mmap) -> Entry:
    """The entry with its place in the file.

    Raises:
        IntegrityError: its data cannot be read; the message says why.
    """
    if info.flag_bits & (_FLAG_ENCRYPTED | _FLAG_STRONG):
        raise IntegrityError("is encrypted: Lambda cannot read it")
    if info.compress_type not in (STORED, DEFLATED):
        raise IntegrityError(f"is compressed by method {info.compress_type}: every zip reader knows only 0 and 8")
    if max(info.file_size, info.compress_size) > MOST_FILE_BYTES:
        raise IntegrityError(
            f"states {info.file_size:,} bytes: no file on Lambda can have more than {MOST_FILE_BYTES:,}"
        )
    if info.header_offset < reached:
        raise IntegrityError("its data overlaps another entry or the directory")
    offset = data_offset(info, buffer)
    if offset + info.compress_size > end:
        raise IntegrityError("its data overlaps another entry or the directory")
    return Entry(info.orig_filename, info.compress_type, info.CRC, info.compress_size, info.file_size, offset)
