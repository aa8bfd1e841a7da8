"""An ELF file as a loader sees it: its header, its segments, and the bytes at an address.

Source: System V ABI, chapters 4 and 5 (https://www.sco.com/developers/gabi/latest/contents.html). Section headers are
never read: no loader looks at them, and what strips or repairs a library may leave them wrong.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from lamina.binary.model import ET_DYN, MACHINES

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
PF_W: Final = 2

#: Bytes of a page on both of Lambda's architectures.
PAGE: Final = 4096

_IDENT: Final = 16


class Header(NamedTuple):
    """What the ELF header says. ``bits`` is 32 or 64; offsets and sizes are in bytes."""

    bits: int
    little: bool
    type: int
    machine: int
    table: int
    entry_size: int
    entries: int

    @property
    def order(self) -> str:
        """The order of bytes, as :mod:`struct` writes it."""
        return "<" if self.little else ">"


class Segment(NamedTuple):
    """One program header. ``offset``, ``stored`` (``p_filesz``) and ``align`` are in bytes."""

    number: int
    type: int
    flags: int
    offset: int
    address: int
    stored: int
    align: int


class Image(NamedTuple):
    """A file with its header and its segments."""

    view: memoryview
    header: Header
    segments: tuple[Segment, ...]

    def at(self, address: int) -> memoryview | None:
        """The bytes from an address to the end of what the file holds of its segment; ``None`` where there are none."""
        found = self.offset(address)
        return None if found is None else self.view[found[0] : found[1]]

    def offset(self, address: int) -> tuple[int, int] | None:
        """Where those bytes begin and end in the file."""
        for segment in self.segments:
            inside = address - segment.address
            if segment.type == PT_LOAD and 0 <= inside < segment.stored:
                begin, end = segment.offset + inside, min(segment.offset + segment.stored, len(self.view))
                return (begin, end) if begin < end else None
        return None


def read_header(view: memoryview, faults: list[str]) -> Header | None:
    """The ELF header; ``None``, with the cause in ``faults``, where too little of it is there to tell the machine."""
    if len(view) < _IDENT + 4:
        faults.append(f"the ELF header is cut off after {len(view)} bytes")
        return None
    if view[4] not in (1, 2) or view[5] not in (1, 2):
        faults.append(f"the ELF header states class {view[4]} and byte order {view[5]}, and neither may be but 1 or 2")
        return None
    bits, little = 32 * view[4], view[5] == 1
    order = "<" if little else ">"
    kind, machine = struct.unpack_from(order + "HH", view, _IDENT)
    rest = struct.Struct(order + ("IQQQIHHH" if bits == 64 else "IIIIIHHH"))  # noqa: PLR2004 - the two classes
    if len(view) < _IDENT + 4 + rest.size:
        faults.append(f"the ELF header is cut off after {len(view)} bytes")
        return Header(bits, little, kind, machine, 0, 0, 0)
    _, _, table, _, _, _, entry_size, count = rest.unpack_from(view, _IDENT + 4)
    return Header(bits, little, kind, machine, table, entry_size, count)


def read_segments(view: memoryview, header: Header, faults: list[str]) -> tuple[Segment, ...]:
    """The program headers, as many as the file holds; what is wrong with them goes to ``faults``."""
    wide = header.bits == 64  # noqa: PLR2004 - the two classes
    form = struct.Struct(header.order + ("IIQQQQQQ" if wide else "IIIIIIII"))
    if header.entries == 0:
        if header.type == ET_DYN and header.machine in MACHINES.values() and not faults:
            faults.append("it has no program headers, so that nothing of it can be loaded")
        return ()
    if header.entry_size != form.size:
        faults.append(f"its program headers are said to have {header.entry_size} bytes each; they have {form.size}")
        return ()
    end = header.table + header.entries * form.size
    if end > len(view):
        faults.append(f"its program headers end at byte {end}, and the file has {len(view)} bytes: it is truncated")
    count = max(0, min(header.entries, (len(view) - header.table) // form.size))
    rows = form.iter_unpack(view[header.table : header.table + count * form.size])
    segments = tuple(_segment(number, row, wide=wide) for number, row in enumerate(rows))
    for segment in segments:
        end = segment.offset + segment.stored
        if segment.type == PT_LOAD and end > len(view):
            faults.append(
                f"segment {segment.number} ends at byte {end}, and the file has {len(view)} bytes: it is truncated"
            )
            break
    return segments


def _segment(number: int, row: tuple[int, ...], *, wide: bool) -> Segment:
    if wide:
        kind, flags, offset, address, _, stored, _, align = row
    else:
        kind, offset, address, _, stored, _, flags, align = row
    return Segment(number, kind, flags, offset, address, stored, align)


def misalignment(segments: tuple[Segment, ...]) -> str:
    """Which segment glibc refuses to map, and why; empty where it maps all.

    The two checks of ``_dl_map_object_from_fd`` in glibc's ``elf/dl-load.c``, as in the releases of Lambda's runtimes
    (2.26 and 2.34): "ELF load command alignment not page-aligned" and "ELF load command address/offset not properly
    aligned". From 2.35 on (glibc bug 28688) only the remainders by the page are compared.
    """
    for segment in segments:
        if segment.type != PT_LOAD:
            continue
        if segment.align % PAGE:
            return (
                f"segment {segment.number} has an alignment of {segment.align:#x}, which is not a multiple of "
                f"the page size, {PAGE:#x}"
            )
        # An alignment of 0 leaves glibc's mask with all bits.
        mask = (segment.align or 1 << 64) - 1
        if (segment.address - segment.offset) & mask:
            demand = (
                f"congruent modulo its alignment, {segment.align:#x}"
                if segment.align
                else "the same, as an alignment of 0 demands"
            )
            return (
                f"segment {segment.number} has file offset {segment.offset:#x} and address {segment.address:#x}, "
                f"which are not {demand}"
            )
    return ""
