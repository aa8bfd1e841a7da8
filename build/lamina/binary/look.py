"""What a native file is, told from its bytes alone, whatever its name."""

from __future__ import annotations

import mmap

from lamina.binary import elf, macho, pe
from lamina.binary.model import Binary


def is_native(start: bytes) -> bool:
    """Whether a file that begins so is worth a :func:`look`. Needs 8 bytes; the first few dozen will do.

    It is wrong for some files that are none, never for one that is.
    """
    return start.startswith((elf.MAGIC, pe.MAGIC, *macho.THIN)) or macho.is_fat(start)


def look(content: bytes | memoryview | mmap.mmap) -> Binary | None:
    """The facts of a native file; ``None`` where the content is neither ELF nor PE nor Mach-O.

    Never fails, whatever the bytes are; time and memory are linear in their number. The content is not copied, but for
    its table of strings, and not kept: a memory map can be closed afterwards.
    """
    with memoryview(content) as whole, whole.cast("B") as view:
        start = bytes(view[:4])
        if start == elf.MAGIC:
            return elf.read(view)
        if start[:2] == pe.MAGIC:
            return pe.read(view)
        return macho.read(view)
