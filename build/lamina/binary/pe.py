"""PE: Windows programs and libraries (``.exe``, ``.dll``, ``.pyd``).

Source: https://learn.microsoft.com/en-us/windows/win32/debug/pe-format
"""

from __future__ import annotations

import struct
from typing import Final

from lamina.binary.machines import PE
from lamina.binary.model import Binary

MAGIC: Final = b"MZ"

_DOS_HEADER: Final = 64
_OFFSET_AT: Final = 0x3C  # e_lfanew
_DLL: Final = 0x2000  # IMAGE_FILE_DLL
_SECTION: Final = 40
_STUB: Final = b"This program cannot be run in DOS mode"


def read(view: memoryview) -> Binary | None:
    """The facts of a file that begins with ``MZ``; ``None`` where it is not PE after all.

    Many things begin with these two letters. It is PE where the header that the DOS header points at says so; and it is
    PE, damaged, where that header is missing but the message to users of DOS, which linkers put in front of PE alone,
    is there.
    """
    if len(view) < _DOS_HEADER:
        return None
    (start,) = struct.unpack_from("<I", view, _OFFSET_AT)
    if bytes(view[start : start + 4]) != b"PE\0\0":
        if _STUB not in bytes(view[:512]):
            return None
        if start + 4 > len(view):
            cause = f"the PE header is said to be at byte {start}, and the file has {len(view)} bytes: it is truncated"
        else:
            cause = f"there is no PE header at byte {start}, where the DOS header says it is"
        return Binary("pe", "unknown", library=False, damage=cause)
    header = start + 4
    if header + 20 > len(view):
        return Binary("pe", "unknown", library=False, damage=f"the PE header is cut off after {len(view)} bytes")
    machine, sections, _, _, _, optional, flags = struct.unpack_from("<HHIIIHH", view, header)
    damage = _damage(view, header + 20 + optional, sections)
    return Binary("pe", PE.get(machine, f"machine {machine}"), bool(flags & _DLL), damage)


def _damage(view: memoryview, table: int, count: int) -> str:
    """What of the sections is not in the file; empty where all are."""
    end = table + count * _SECTION
    if end > len(view):
        return f"its section headers end at byte {end}, and the file has {len(view)} bytes: it is truncated"
    for number, (size, offset) in enumerate(struct.iter_unpack("<16xII16x", view[table:end]), 1):
        if offset and offset + size > len(view):
            return f"section {number} ends at byte {offset + size}, and the file has {len(view)} bytes: it is truncated"
    return ""
