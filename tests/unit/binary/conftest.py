"""Small ELF, PE and Mach-O files, written here from the specifications."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

import pytest

#: Where the forged image begins in memory: not at 0, so that no address is an offset by chance.
BASE = 0x40_0000


class _Strings:
    """A string table in which names share their ends, as linkers write it."""

    def __init__(self) -> None:
        self.content = b"\0"

    def __call__(self, text: str) -> int:
        name = text.encode() + b"\0"
        if name not in self.content:
            self.content += name
        return self.content.index(name)


def elf_bytes(  # noqa: PLR0915 - one layout, from the first byte to the last
    *,
    bits: int = 64,
    little: bool = True,
    machine: int = 62,
    kind: int = 3,
    soname: str = "",
    needed: Sequence[str] = (),
    rpath: str = "",
    runpath: str = "",
    needs: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    weak_needs: Sequence[str] = (),
    defines: Sequence[str] = (),
    symbols: Sequence[tuple[str, str]] = (),
    literals: Sequence[str] = (),
    written: Sequence[str] = (),
    interpreter: str = "",
    hashes: str = "gnu",
    pie: bool = False,
    align: int = 0x1000,
    shift: int = 0,
    tags: Mapping[int, int] | None = None,
) -> bytes:
    """A shared library as a linker would write it, without sections.

    ``needs`` maps libraries to versions to the symbols bound to them; ``symbols`` are pairs of a name and what it is:
    ``undefined``, ``weak`` (undefined as well) or ``defined``. ``literals`` stand in the read-only segment, ``written``
    in one that is written to. ``hashes`` is ``gnu``, ``sysv`` or ``none``. ``align`` is of the first segment, and
    ``shift`` moves its address, in bytes. ``tags`` are put into the dynamic section as they are, behind all others.
    """
    order, wide = "<" if little else ">", bits == 64

    def pack(form: str, *values: int) -> bytes:
        return struct.pack(order + form, *values)

    strings = _Strings()
    # Undefined symbols first, as GNU hash tables want them: name, defined, weak, version.
    rows = [(name, False, kind_ == "weak", 1) for name, kind_ in symbols if kind_ != "defined"]
    verneed, number = b"", 2 + len(defines)
    for position, (library, versions) in enumerate((needs or {}).items()):
        auxiliaries = b""
        for place, (version, bound) in enumerate(versions.items()):
            flags, last = 2 * (version in weak_needs), place == len(versions) - 1
            auxiliaries += pack("IHHII", 0, flags, number, strings(version), 0 if last else 16)
            rows += [(name, False, False, number) for name in bound]
            number += 1
        following = 0 if position == len(needs or {}) - 1 else 16 + len(auxiliaries)
        verneed += pack("HHIII", 1, len(versions), strings(library), 16, following) + auxiliaries
    undefined = 1 + len(rows)
    rows += [(name, True, False, 1) for name, kind_ in symbols if kind_ == "defined"]
    verdef = b""
    for position, version in enumerate([soname, *defines] if defines else []):
        last = position == len(defines)
        verdef += pack("HHHHIII", 1, position == 0, position + 1, 1, 0, 20, 0 if last else 28)
        verdef += pack("II", strings(version), 0)
    symtab = bytes(24 if wide else 16)
    for name, defined, weak, _ in rows:
        info, section = (0x22 if weak else 0x12), 7 if defined else 0
        form = ("IBBHQQ", info, 0, section, 0, 0) if wide else ("IIIBBH", 0, 0, info, 0, section)
        symtab += pack(form[0], strings(name), *form[1:])
    versym = pack("H", 0) + b"".join(pack("H", version) for *_, version in rows)
    count = len(rows) + 1
    if hashes == "gnu":
        last = count - 1 if count > undefined else 0
        table = pack("IIII", 1, undefined, 1, 0) + bytes(8 if wide else 4) + pack("I", last and undefined)
        table += b"".join(pack("I", 2 * place + (place == last)) for place in range(undefined, count))
    else:
        table = pack("II", 1, count) + bytes(4 * (1 + count))

    dynamic = {14: strings(soname)} if soname else {}
    dynamic |= {15: strings(rpath)} if rpath else {}
    dynamic |= {29: strings(runpath)} if runpath else {}
    dynamic |= {0x6FFF_FFFB: 0x0800_0000} if pie else {}
    wanted = [strings(name) for name in needed]

    word = "Q" if wide else "I"
    header_size, entry_size = (64, 56) if wide else (52, 32)
    segments = 3 + bool(interpreter)
    content = bytearray(header_size + segments * entry_size)

    def put(piece: bytes) -> int:
        content.extend(bytes(-len(content) % 8))
        content.extend(piece)
        return len(content) - len(piece)

    path = put(interpreter.encode() + b"\0") if interpreter else 0
    blocks = {6: symtab, 0x6FFF_FFF0: versym, 5: strings.content}
    blocks |= {0x6FFF_FEF5 if hashes == "gnu" else 4: table} if hashes != "none" else {}
    blocks |= {0x6FFF_FFFE: verneed} if verneed else {}
    blocks |= {0x6FFF_FFFC: verdef} if verdef else {}
    # The strings follow the symbols at once, and tell their number where no hash table does.
    dynamic = {tag: BASE + shift + put(piece) for tag, piece in blocks.items() if tag == 0x6FFF_FFF0} | dynamic
    dynamic = {tag: BASE + shift + put(piece) for tag, piece in blocks.items() if tag != 0x6FFF_FFF0} | dynamic
    dynamic[10] = len(strings.content)
    put(b"\0" + b"".join(text.encode() + b"\0" for text in literals))
    entries = [(1, offset) for offset in wanted] + list(dynamic.items())
    entries += [*(tags or {}).items(), (0, 0)]
    section = b"".join(pack(2 * word, *entry) for entry in entries)
    place = put(section)
    end = len(content)
    content.extend(bytes(-len(content) % 0x1000))
    data = put(b"\0" + b"".join(text.encode() + b"\0" for text in written))

    def segment(kind_: int, flags: int, offset: int, size: int, alignment: int, move: int = 0) -> bytes:
        address = BASE + offset + move
        if wide:
            return pack("IIQQQQQQ", kind_, flags, offset, address, address, size, size, alignment)
        return pack("IIIIIIII", kind_, offset, address, address, size, size, flags, alignment)

    headers = segment(3, 4, path, len(interpreter) + 1, 1, shift) if interpreter else b""
    headers += segment(1, 5, 0, end, align, shift) + segment(1, 6, data, len(content) - data, 0x1000)
    headers += segment(2, 6, place, len(section), 8, shift)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    header = pack("HHI" + 3 * word + "I", kind, machine, 1, 0, header_size, 0, 0)
    header += pack("HHHHHH", header_size, entry_size, segments, 0, 0, 0)
    content[: header_size + len(headers)] = ident + header + headers
    return bytes(content)


def pe_bytes(
    *, machine: int = 0x8664, library: bool = True, sections: Sequence[int] = (512, 512), start: int = 0x80
) -> bytes:
    """A DLL (or a program) with sections of these sizes in bytes; ``start`` is where the PE header is put."""
    stub = b"\x0e\x1f\xba\x0e\0\xb4\t\xcd!\xb8\x01L\xcd!This program cannot be run in DOS mode.\r\r\n$"
    dos = (b"MZ" + bytes(58) + struct.pack("<I", start) + stub).ljust(start, b"\0")
    optional = 240
    header = b"PE\0\0" + struct.pack("<HHIIIHH", machine, len(sections), 0, 0, 0, optional, 0x2022 if library else 0x22)
    content = dos + header + bytes(optional)
    offset = 1024
    for number, size in enumerate(sections):
        name = b".text%d" % number
        content += struct.pack("<8sIIII12xI", name, size, 4096 * (1 + number), size, offset, 0)
        offset += size
    return content.ljust(1024, b"\0") + bytes(sum(sections))


def macho_bytes(
    *, cpu: int = 0x0100_0007, kind: int = 6, bits: int = 64, order: str = "<", stored: int = 256, commands: int = 2
) -> bytes:
    """A library for one machine: a segment of ``stored`` bytes that begins with the file, and other commands."""
    wide = bits == 64
    form = "II16sQQQQIIII" if wide else "II16sIIIIIIII"
    segment = struct.pack(
        order + form, 0x19 if wide else 1, struct.calcsize(order + form), b"__TEXT", 0, 4096, 0, stored, 7, 5, 0, 0
    )
    load = segment + struct.pack(order + "IIQQ", 0x1B, 24, 1, 2) * (commands - 1)
    magic = 0xFEEDFACF if wide else 0xFEEDFACE
    header = struct.pack(order + "IIIIIII", magic, cpu, 3, kind, commands, len(load), 0x85) + bytes(4 * wide)
    return (header + load).ljust(stored, b"\0")


def fat_bytes(parts: Mapping[int, bytes], *, wide: bool = False) -> bytes:
    """A fat file of these parts, by their cputype."""
    form = ">IIQQII" if wide else ">IIIII"
    content = struct.pack(">II", 0xCAFEBABF if wide else 0xCAFEBABE, len(parts))
    offset = 4096
    for cpu, part in parts.items():
        content += struct.pack(form, cpu, 3, offset, len(part), 12, *([0] if wide else []))
        offset += len(part)
    return content.ljust(4096, b"\0") + b"".join(parts.values())


@pytest.fixture(scope="session")
def forge_elf() -> Callable[..., bytes]:
    """:func:`elf_bytes`."""
    return elf_bytes


@pytest.fixture(scope="session")
def forge_pe() -> Callable[..., bytes]:
    """:func:`pe_bytes`."""
    return pe_bytes


@pytest.fixture(scope="session")
def forge_macho() -> Callable[..., bytes]:
    """:func:`macho_bytes`."""
    return macho_bytes


@pytest.fixture(scope="session")
def forge_fat() -> Callable[..., bytes]:
    """:func:`fat_bytes`."""
    return fat_bytes
