"""The few ZIP structures that parts and layers are made of, always with the same fixed fields.

Every field that a machine could leak into (date, host system, permissions, extra fields) is a constant or comes from
content. See the ZIP application note, APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct

from lamina.errors import FindingsError

#: Compression methods that wheels and layers use (APPNOTE 4.4.5).
STORED, DEFLATED = 0, 8

# 1 February 1980, midnight. Not the first day that DOS can tell: a layer unpacked in a zone east of UTC and packed
# again in UTC would hold dates of 1979, which Python's zipfile refuses.
_TIME, _DATE = 0, 2 << 5 | 1
_VERSION_NEEDED = 20
_MADE_BY_UNIX = 3 << 8 | _VERSION_NEEDED
_UTF8 = 0x800
#: What an entry is, by the mode that its attributes hold (``S_IFREG``, ``S_IFLNK``).
FILE, LINK = 0o100000, 0o120000

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<4sIQI")

#: Above this number of entries the classic end record overflows and readers need zip64.
MOST_CLASSIC_ENTRIES = 0xFFFF
#: Above this offset or size, in bytes, a classic entry overflows.
MOST_CLASSIC_BYTES = 0xFFFFFFFF


def local_header(path: str, method: int, crc: int, compressed: int, size: int) -> bytes:
    """The header that stands before an entry's data; sizes in bytes."""
    name = path.encode()
    return _LOCAL.pack(
        b"PK\x03\x04", _VERSION_NEEDED, _flags(path), method, _TIME, _DATE, crc, compressed, size, len(name), 0
    ) + name  # fmt: skip


def central_header(
    path: str, method: int, crc: int, compressed: int, size: int, offset: int, *, mode: int, kind: int = FILE
) -> bytes:
    """The directory's record of an entry whose local header stands at ``offset``; ``mode`` as in ``0o644``.

    ``kind`` is :data:`FILE` or :data:`LINK`; the content of a link is where it leads.
    """
    name = path.encode()
    attributes = (kind | mode) << 16
    return _CENTRAL.pack(
        b"PK\x01\x02", _MADE_BY_UNIX, _VERSION_NEEDED, _flags(path), method, _TIME, _DATE, crc, compressed, size,
        len(name), 0, 0, 0, 0, attributes, offset,
    ) + name  # fmt: skip


def check_length(zipped: int) -> None:
    """Make sure that a zip of that many bytes can be written.

    Raises:
        FindingsError: it is larger than 4 GiB, which no layer can be.
    """
    if zipped > MOST_CLASSIC_BYTES:
        raise FindingsError(
            f"a layer of {zipped:,} bytes zipped: sixteen times what Lambda takes unzipped",
            hint="Require fewer packages, omit what is never imported, or ship an image instead of a layer.",
        )


def end_of_directory(entries: int, directory_bytes: int, directory_offset: int) -> bytes:
    """What ends the file; with the zip64 records before it only where there are more than 65,535 entries.

    Raises:
        FindingsError: see :func:`check_length`.
    """
    check_length(directory_offset + directory_bytes)
    zip64 = b""
    stated = entries
    if entries > MOST_CLASSIC_ENTRIES:
        zip64 = _END64.pack(
            b"PK\x06\x06", _END64.size - 12, _MADE_BY_UNIX, 45, 0, 0, entries, entries, directory_bytes,
            directory_offset
        ) + _LOCATOR64.pack(b"PK\x06\x07", 0, directory_offset + directory_bytes, 1)  # fmt: skip
        stated = MOST_CLASSIC_ENTRIES
    return zip64 + _END.pack(b"PK\x05\x06", 0, 0, stated, stated, directory_bytes, directory_offset, 0)


def _flags(path: str) -> int:
    return 0 if path.isascii() else _UTF8
