"""The dynamic section of an ELF file: what it asks of the loader, and where its tables are.

Source: System V ABI, chapter 5, "Dynamic Section"; for the tags of GNU, <elf.h> of glibc.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from lamina.binary.model import ET_DYN
from lamina.binary.segments import PT_DYNAMIC, Image

DT_NULL, DT_NEEDED, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ = 0, 1, 4, 5, 6, 10
DT_SONAME, DT_RPATH, DT_RUNPATH = 14, 15, 29
DT_GNU_HASH: Final = 0x6FFF_FEF5
DT_VERSYM, DT_FLAGS_1, DT_VERDEF, DT_VERNEED = 0x6FFF_FFF0, 0x6FFF_FFFB, 0x6FFF_FFFC, 0x6FFF_FFFE
DF_1_PIE: Final = 0x0800_0000

#: Tags whose values are addresses of tables: rela, rel, init, fini, their arrays, jmprel, and the ones above.
_GENERIC: Final = (3, DT_HASH, DT_STRTAB, DT_SYMTAB, 7, 12, 13, 17, 23, 25, 26, 32)
TABLES: Final = (*_GENERIC, DT_GNU_HASH, DT_VERSYM, DT_VERDEF, DT_VERNEED)

#: More bytes than any file name (``PATH_MAX``) or symbol that a version is bound to has.
_LONGEST: Final = 4096


class Names:
    """The string table: names by offset, each decoded once.

    A forged table can make each of its bytes the start of another name; so all names together are held to a multiple
    of the table's size, and what is beyond it is empty.
    """

    def __init__(self, table: bytes, faults: list[str]) -> None:
        """Take the bytes of the table; a name that cannot be told goes to ``faults``, once."""
        self.table = table
        self._faults = faults
        self._known: dict[int, str] = {}
        self._left = 4 * len(table) + 65536

    def __getitem__(self, offset: int) -> str:
        """The name at an offset; empty where there is none."""
        known = self._known.get(offset)
        if known is None:
            known = self._known[offset] = self._decode(offset)
        return known

    def _decode(self, offset: int) -> str:
        if offset >= len(self.table):
            self._fault(f"a name is said to stand at byte {offset} of a string table of {len(self.table)} bytes")
            return ""
        end = self.table.find(b"\0", offset, offset + _LONGEST)
        if end < 0:
            self._fault(f"the name at byte {offset} of the string table does not end")
            return ""
        self._left -= end - offset
        if self._left < 0:
            self._fault("its names overlap in the string table beyond all measure")
            return ""
        return self.table[offset:end].decode("utf-8", "backslashreplace")

    def _fault(self, text: str) -> None:
        if not self._faults:
            self._faults.append(text)


class Dynamic(NamedTuple):
    """The dynamic section. ``tags`` holds the last value of each tag, which is the one that glibc takes."""

    tags: dict[int, int]
    needed: tuple[int, ...]


def read_dynamic(image: Image, faults: list[str]) -> Dynamic | None:
    """The dynamic section; ``None`` where there is none, as in static programs, or where it cannot be read."""
    segment = next((segment for segment in reversed(image.segments) if segment.type == PT_DYNAMIC), None)
    # Files that hold debug information alone state a dynamic segment of no bytes; they are sound, and never loaded.
    if segment is None or segment.stored == 0:
        return None
    content = image.at(segment.address)
    if content is None:
        faults.append(f"its dynamic section, at address {segment.address:#x}, is in none of its segments")
        return None
    entry = struct.Struct(image.header.order + ("QQ" if image.header.bits == 64 else "II"))  # noqa: PLR2004
    content = content[: segment.stored]
    tags: dict[int, int] = {}
    needed: dict[int, None] = {}
    for tag, value in entry.iter_unpack(content[: len(content) // entry.size * entry.size]):
        if tag == DT_NULL:
            break
        if tag == DT_NEEDED:
            needed[value] = None
        else:
            tags[tag] = value
    else:
        faults.append("its dynamic section does not end: there is no DT_NULL in it")
    return Dynamic(tags, tuple(needed))


def read_names(image: Image, dynamic: Dynamic, faults: list[str]) -> Names:
    """The string table; an empty one, with the cause in ``faults``, where it is missing or outside the file."""
    address, size = dynamic.tags.get(DT_STRTAB), dynamic.tags.get(DT_STRSZ, 0)
    if address is None:
        if dynamic.needed or image.header.type == ET_DYN:
            faults.append("its dynamic section names no string table")
        return Names(b"", faults)
    content = image.at(address)
    if content is None or len(content) < size:
        faults.append(f"its string table, {size} bytes at address {address:#x}, is not in the file as a whole")
    return Names(b"" if content is None else bytes(content[:size]), faults)
