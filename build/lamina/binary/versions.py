"""Symbol versions of an ELF file: those that it asks other libraries for, and those that it offers.

Source: LSB Core, "Symbol Versioning"
(https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html). As glibc does
(``elf/dl-version.c``), the chains are followed by their links, not by the counts beside them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from lamina.binary.dynamic import DT_VERDEF, DT_VERNEED, Dynamic, Names
from lamina.binary.segments import Image

_WEAK: Final = 2  # VER_FLG_WEAK
_BASE: Final = 1  # VER_FLG_BASE

#: Indexes of versions have 15 bits, so that no file can hold more of them.
_MOST: Final = 0x7FFF


class Asked(NamedTuple):
    """A version need before its symbol is known; ``number`` is what the table of symbol versions calls it."""

    library: str
    version: str
    weak: bool
    number: int


def read_needs(image: Image, dynamic: Dynamic, names: Names, faults: list[str]) -> list[Asked]:
    """The version needs (``.gnu.version_r``), in the order of the file."""
    content = _table(image, dynamic, DT_VERNEED, "version needs", faults)
    needs: list[Asked] = []
    if content is None:
        return needs
    # Elf32_Verneed and Elf32_Vernaux are the same in both classes.
    need, auxiliary = struct.Struct(image.header.order + "HHIII"), struct.Struct(image.header.order + "IHHII")
    for start, (_, _, file, first, _) in _chain(content, need, 0, faults):
        library = names[file]
        for _, (_, flags, other, name, _) in _chain(content, auxiliary, start + first, faults):
            needs.append(Asked(library, names[name], bool(flags & _WEAK), other & 0x7FFF))
            if len(needs) > _MOST:
                faults.append(f"it states more than {_MOST} version needs")
                return needs
    return needs


def read_defines(image: Image, dynamic: Dynamic, names: Names, faults: list[str]) -> tuple[str, ...]:
    """The versions that it offers (``.gnu.version_d``), without the base entry, which is the file's own name."""
    content = _table(image, dynamic, DT_VERDEF, "version definitions", faults)
    defines: list[str] = []
    if content is None:
        return ()
    # The first auxiliary entry has the version's name; the others name its parents.
    definition, name = struct.Struct(image.header.order + "HHHHIII"), struct.Struct(image.header.order + "I")
    for start, (_, flags, _, _, _, first, _) in _chain(content, definition, 0, faults):
        if flags & _BASE:
            continue
        if start + first + name.size > len(content):
            faults.append("the name of a version that it defines is outside the file")
            break
        defines.append(names[name.unpack_from(content, start + first)[0]])
    return tuple(defines)


def _table(image: Image, dynamic: Dynamic, tag: int, what: str, faults: list[str]) -> memoryview | None:
    address = dynamic.tags.get(tag)
    if address is None:
        return None
    content = image.at(address)
    if content is None:
        faults.append(f"its table of {what}, at address {address:#x}, is in none of its segments")
    return content


def _chain(
    content: memoryview, form: struct.Struct, start: int, faults: list[str]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The entries of a chain with their places; the last field of each is the distance to the next, 0 in the last.

    Distances are unsigned, so a chain only goes forward; it ends with the bytes, or after as many as can be.
    """
    for _ in range(_MOST):
        if start + form.size > len(content):
            faults.append("its tables of symbol versions reach beyond the file")
            return
        entry = form.unpack_from(content, start)
        yield start, entry
        if not entry[-1]:
            return
        start += entry[-1]
    faults.append(f"a table of symbol versions has more than {_MOST} entries")
