"""Names of machines, as wheels spell them, beside the numbers of the three formats."""

from __future__ import annotations

from typing import Final

#: ``e_machine`` of ELF. Source: System V ABI, https://www.sco.com/developers/gabi/latest/ch4.eheader.html
ELF: Final = {
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    50: "ia64",
    62: "x86_64",
    183: "aarch64",
    190: "cuda",
    224: "amdgpu",
    243: "riscv",
    247: "bpf",
    258: "loongarch",
}

#: Machines whose name depends on the width and the order of bytes: (``e_machine``, bits, little endian).
ELF_VARIANTS: Final = {
    (21, 64, True): "ppc64le",
    (22, 32, False): "s390",
    (243, 64, True): "riscv64",
    (243, 32, True): "riscv32",
    (258, 64, True): "loongarch64",
}

#: ``Machine`` of COFF. Source: https://learn.microsoft.com/en-us/windows/win32/debug/pe-format#machine-types
PE: Final = {
    0x014C: "i386",
    0x01C0: "arm",
    0x01C4: "arm",
    0x0200: "ia64",
    0x5064: "riscv64",
    0x6264: "loongarch64",
    0x8664: "x86_64",
    0xAA64: "aarch64",
}

#: ``cputype`` of Mach-O. Source: Apple's <mach/machine.h>
MACHO: Final = {
    7: "i386",
    12: "arm",
    18: "ppc",
    0x0100_0007: "x86_64",
    0x0100_000C: "aarch64",
    0x0200_000C: "arm64_32",
    0x0100_0012: "ppc64",
}


def elf_name(machine: int, bits: int, *, little: bool) -> str:
    """The name of an ELF file's machine; ``machine 999`` for one that has none here."""
    return ELF_VARIANTS.get((machine, bits, little)) or ELF.get(machine, f"machine {machine}")
