"""Mach-O: programs and libraries of macOS, for one machine or several ("fat").

Source: Apple's <mach-o/loader.h> and <mach-o/fat.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from lamina.binary.machines import MACHO
from lamina.binary.model import Binary

#: Magic numbers of files for one machine, as they stand in the file: order of bytes, and bits.
THIN: Final = {
    b"\xfe\xed\xfa\xce": (">", 32),
    b"\xce\xfa\xed\xfe": ("<", 32),
    b"\xfe\xed\xfa\xcf": (">", 64),
    b"\xcf\xfa\xed\xfe": ("<", 64),
}
#: Magic numbers of fat files, always big endian, with the form of their entries: cputype, offset, size.
FAT: Final = {b"\xca\xfe\xba\xbe": ">I4xII4x", b"\xca\xfe\xba\xbf": ">I4xQQ8x"}

#: A Java class begins as a fat file does; where that has the number of machines, Java has its version, 45 or more.
_JAVA: Final = 45

_LIBRARIES: Final = frozenset({6, 8, 9})  # MH_DYLIB, MH_BUNDLE, MH_DYLIB_STUB
_SEGMENTS: Final = {1: "24xII", 0x19: "32xQQ"}  # LC_SEGMENT, LC_SEGMENT_64: file offset and size
_HEADER: Final = {32: 28, 64: 32}


class _Thin(NamedTuple):
    machine: str
    library: bool
    damage: str


def is_fat(start: bytes | memoryview) -> bool:
    """Whether a file that begins so is a fat one, and no Java class."""
    return len(start) >= 8 and bytes(start[:4]) in FAT and 0 < int.from_bytes(start[4:8], "big") < _JAVA  # noqa: PLR2004


def read(view: memoryview) -> Binary | None:
    """The facts of a Mach-O file; ``None`` where it is none."""
    if bytes(view[:4]) in THIN:
        thin = _thin(view)
        return Binary("macho", thin.machine, thin.library, thin.damage)
    if not is_fat(view):
        return None
    slices = list(_slices(view))
    machines = dict.fromkeys(part.machine for part in slices)
    damage = next((part.damage for part in slices if part.damage), "")
    return Binary("macho", "+".join(machines), any(part.library for part in slices), damage)


def _slices(view: memoryview) -> Iterator[_Thin]:
    """What a fat file holds, machine by machine."""
    form = struct.Struct(FAT[bytes(view[:4])])
    for number in range(int.from_bytes(view[4:8], "big")):
        start = 8 + number * form.size
        if start + form.size > len(view):
            yield _Thin("unknown", library=False, damage=f"its list of machines is cut off after {len(view)} bytes")
            return
        cpu, offset, size = form.unpack_from(view, start)
        machine = _machine(cpu)
        if offset + size > len(view):
            yield _Thin(
                machine,
                library=_thin(view[offset:]).library,
                damage=f"its part for {machine} ends at byte {offset + size}, and the file has {len(view)} bytes: "
                "it is truncated",
            )
            continue
        part = _thin(view[offset : offset + size])
        damage = f"its part for {machine}: {part.damage}" if part.damage else ""
        yield _Thin(machine, part.library, damage)


def _machine(cpu: int) -> str:
    return MACHO.get(cpu, f"machine {cpu}")


def _thin(view: memoryview) -> _Thin:
    """A file for one machine, or the part of a fat file for it."""
    known = THIN.get(bytes(view[:4]))
    if known is None:
        # Static archives (.a) can be fat as well; their parts have no header of this kind.
        sound = bytes(view[:8]) == b"!<arch>\n"
        return _Thin("unknown", library=False, damage="" if sound else "there is no Mach-O header where one should be")
    order, bits = known
    size = _HEADER[bits]
    if len(view) < size:
        return _Thin("unknown", library=False, damage=f"the Mach-O header is cut off after {len(view)} bytes")
    cpu, _, kind, count, length = struct.unpack_from(order + "IIIII", view, 4)
    machine, library = _machine(cpu), kind in _LIBRARIES
    if size + length > len(view):
        damage = f"its load commands end at byte {size + length}, and there are {len(view)} bytes: it is truncated"
        return _Thin(machine, library, damage)
    return _Thin(machine, library, _damage(view, view[size : size + length], count, order))


def _damage(view: memoryview, commands: memoryview, count: int, order: str) -> str:
    """What of the load commands or their segments is not in the file; empty where all are."""
    start = 0
    for number in range(min(count, len(commands) // 8 + 1)):
        if start + 8 > len(commands):
            return f"it has {number} load commands and states {count}"
        command, size = struct.unpack_from(order + "II", commands, start)
        if size < 8 or start + size > len(commands):  # noqa: PLR2004 - a command's number and size
            return f"load command {number} is said to have {size} bytes, and {len(commands) - start} are left"
        form = _SEGMENTS.get(command)
        if form is not None and struct.calcsize(order + form) <= size - 8:
            offset, stored = struct.unpack_from(order + form, commands, start + 8)
            if offset + stored > len(view):
                return (
                    f"load command {number} maps up to byte {offset + stored}, and there are {len(view)} bytes: "
                    "it is truncated"
                )
        start += size
    return ""
