"""The facts of one native file, as values: what it is, for which machine, and what it asks of the loader.

They are told from its bytes alone, as the loader reads them: program headers and the dynamic section, never section
headers, which a loader does not look at. See :mod:`lamina.binary.look`, which finds them.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Format = Literal["elf", "pe", "macho"]

#: ``e_type`` of what is loaded or run; object files (1) and core dumps (4) are neither.
ET_EXEC, ET_DYN = 2, 3

#: ``e_machine`` of Lambda's architectures, as wheels spell them (System V ABI, processor supplements).
MACHINES: Final = {"x86_64": 62, "aarch64": 183}


class Need(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One version that a library asks another for (``.gnu.version_r``).

    ``library`` is the soname asked (``libc.so.6``), ``version`` as written (``GLIBC_2.28``). ``symbol`` is one that is
    bound to it, the first by name; empty where none is, as for a mark of the linker's. A ``weak`` need is one that the
    loader passes over where it is not met (VER_FLG_WEAK).
    """

    library: str
    version: str
    symbol: str
    weak: bool


class Elf(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What only ELF files have. Paths of ``rpath`` and ``runpath`` are as written, ``$ORIGIN`` included.

    ``defines`` are the versions that the file itself offers (``.gnu.version_d``). ``python`` are the undefined symbols
    that are CPython's by their names (``PyObject_Call``, ``_Py_Dealloc``), without weak ones; ``offers`` those of such
    names that the file defines, ``PyInit_*`` left out. ``opens`` are literals that look like sonames (``libcuda.so.1``)
    and are not in ``needed``: what the file may load by name. ``unaligned`` says which segment cannot be mapped, and
    why; empty where all can.
    """

    machine: int
    bits: int
    little: bool
    type: int
    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    defines: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    opens: tuple[str, ...] = ()
    unaligned: str = ""


class Binary(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One native file.

    ``machine`` is for people: ``x86_64``, ``aarch64``, ``i386``, several of a fat Mach-O file joined by ``+``.
    ``library`` tells that a program loads it (a DLL, a dylib), in contrast to one that is run. ``damage`` says what is
    truncated or contradicts itself; empty for a sound file. ``elf`` is there for ELF files, as far as they could be
    read.
    """

    format: Format
    machine: str
    library: bool
    damage: str = ""
    elf: Elf | None = None
