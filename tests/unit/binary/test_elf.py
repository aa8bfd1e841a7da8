"""ELF files forged field by field; real ones are held against other readers in tests/integration."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest

from lamina.binary.look import look
from lamina.binary.model import Binary, Elf, Need

Forge = Callable[..., bytes]

CLASSES = pytest.mark.parametrize(("bits", "little"), [(64, True), (64, False), (32, True), (32, False)])


def looked(content: bytes) -> tuple[Binary, Elf]:
    """What was found, which has to be ELF with its fields."""
    found = look(content)
    assert found is not None
    assert found.elf is not None
    return found, found.elf


@CLASSES
@pytest.mark.parametrize("hashes", ["gnu", "sysv"])
def test_everything_that_a_library_says(forge_elf: Forge, bits: int, hashes: str, *, little: bool) -> None:
    content = forge_elf(
        bits=bits,
        little=little,
        hashes=hashes,
        soname="libx.so.1",
        needed=("libm.so.6", "libc.so.6", "libgomp.so.1"),
        rpath="/opt/lib",
        runpath="$ORIGIN/../x.libs:/usr/lib::",
        needs={
            "libm.so.6": {"GLIBC_2.29": ("pow", "exp", "log"), "GLIBC_2.17": ()},
            "libc.so.6": {"GLIBC_2.2.5": ("free",)},
        },
        weak_needs=("GLIBC_2.17",),
        defines=("X_1.0", "X_1.1"),
        symbols=(
            ("PyObject_Call", "undefined"),
            ("_Py_Dealloc", "undefined"),
            ("PyPreConfig_X", "weak"),
            ("_ZN2Py4noneEv", "undefined"),
            ("Pythonic", "undefined"),
            ("PyInit_x", "defined"),
            ("PyInitU_x", "defined"),
            ("main", "defined"),
            ("PyX_New", "defined"),  # last, so that a symbol too few is seen
        ),
        literals=("libcuda.so.1", "libx.so.1", "libm.so.6", "libdl.so", "dlopen libfoo.so", "libfoo.so: no", "lib.so"),
        written=("libwritten.so.1",),
    )
    found, elf = looked(content)
    assert found == Binary("elf", "x86_64" if (bits, little) == (64, True) else found.machine, library=True, elf=elf)
    assert elf == Elf(
        machine=62,
        bits=bits,
        little=little,
        type=3,
        soname="libx.so.1",
        needed=("libm.so.6", "libc.so.6", "libgomp.so.1"),
        rpath=("/opt/lib",),
        runpath=("$ORIGIN/../x.libs", "/usr/lib", "", ""),
        needs=(
            Need("libm.so.6", "GLIBC_2.29", "exp", weak=False),
            Need("libm.so.6", "GLIBC_2.17", "", weak=True),
            Need("libc.so.6", "GLIBC_2.2.5", "free", weak=False),
        ),
        defines=("X_1.0", "X_1.1"),
        python=("PyObject_Call", "_Py_Dealloc"),
        offers=("PyX_New",),
        opens=("libcuda.so.1", "libdl.so"),
    )


@CLASSES
def test_without_hashes_the_strings_end_the_symbols(forge_elf: Forge, bits: int, *, little: bool) -> None:
    symbols = [(f"Py_{number}", "undefined") for number in range(50)]
    _, elf = looked(forge_elf(bits=bits, little=little, hashes="none", symbols=symbols))
    assert len(elf.python) == 50


def test_a_gnu_hash_table_of_nothing_tells_no_number(forge_elf: Forge) -> None:
    content = forge_elf(symbols=[("Py_A", "undefined"), ("Py_B", "undefined")])
    # As GNU ld writes it: one bucket, empty, and an offset of 1 for the symbols.
    content = content.replace(struct.pack("<IIII", 1, 3, 1, 0), struct.pack("<IIII", 1, 1, 1, 0))
    assert looked(content)[1].python == ("Py_A", "Py_B")


def test_names_that_are_ends_of_others(forge_elf: Forge) -> None:
    content = forge_elf(symbols=[("x_Py_True", "undefined"), ("Py_False", "undefined"), ("Py_True", "undefined")])
    assert content.count(b"Py_True") == 1
    assert looked(content)[1].python == ("Py_False", "Py_True")


@pytest.mark.parametrize(
    ("machine", "bits", "little", "name"),
    [
        (62, 64, True, "x86_64"),
        (183, 64, True, "aarch64"),
        (3, 32, True, "i386"),
        (40, 32, True, "arm"),
        (21, 64, True, "ppc64le"),
        (21, 64, False, "ppc64"),
        (22, 64, False, "s390x"),
        (243, 64, True, "riscv64"),
        (243, 128 // 4, True, "riscv32"),
        (4711, 64, True, "machine 4711"),
    ],
)
def test_machines(forge_elf: Forge, machine: int, bits: int, name: str, *, little: bool) -> None:
    found, elf = looked(forge_elf(machine=machine, bits=bits, little=little, needed=("libc.so.6",)))
    assert (found.machine, found.damage, elf.machine, elf.needed) == (name, "", machine, ("libc.so.6",))


@pytest.mark.parametrize(
    ("given", "library"),
    [
        ({}, True),
        ({"kind": 2}, False),
        ({"pie": True}, False),
        ({"interpreter": "/lib64/ld-linux-x86-64.so.2"}, False),
        ({"interpreter": "/lib64/ld-linux-x86-64.so.2", "soname": "libc.so.6"}, True),
    ],
)
def test_what_is_loaded_and_what_is_run(forge_elf: Forge, given: dict[str, object], *, library: bool) -> None:
    found, elf = looked(forge_elf(**given))
    assert found.library is library
    assert elf.interpreter == given.get("interpreter", "")


@pytest.mark.parametrize(
    ("align", "shift", "told"),
    [
        (0x1000, 0, ""),
        (0x20_0000, 0, ""),
        (0x1000, 0x1000, ""),
        (0x1_0000, 0x3_0000, ""),
        (
            0x1000,
            0x234,
            "segment 0 has file offset 0x0 and address 0x400234, which are not congruent modulo its alignment, 0x1000",
        ),
        (
            0x1_0000,
            0x5000,
            "segment 0 has file offset 0x0 and address 0x405000, which are not congruent modulo its alignment, 0x10000",
        ),
        (
            0,
            0,
            "segment 0 has file offset 0x0 and address 0x400000, which are not the same, as an alignment of 0 demands",
        ),
        (8, 0, "segment 0 has an alignment of 0x8, which is not a multiple of the page size, 0x1000"),
    ],
)
def test_segments_that_cannot_be_mapped(forge_elf: Forge, align: int, shift: int, told: str) -> None:
    found, elf = looked(forge_elf(align=align, shift=shift, needed=("libc.so.6",)))
    assert (elf.unaligned, found.damage, elf.needed) == (told, "", ("libc.so.6",))


def test_a_cut_at_each_byte_is_damage(forge_elf: Forge) -> None:
    content = forge_elf(soname="libx.so.1", needed=("libc.so.6",), needs={"libc.so.6": {"GLIBC_2.17": ("f",)}})
    assert looked(content)[0].damage == ""
    for size in range(4, len(content)):
        found = look(content[:size])
        assert found is not None
        assert found.damage, size


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x7fELF", "the ELF header is cut off after 4 bytes"),
        (
            b"\x7fELF\x03\x01" + bytes(60),
            "the ELF header states class 3 and byte order 1, and neither may be but 1 or 2",
        ),
        (b"\x7fELF\x02\x01" + bytes(20), "the ELF header is cut off after 26 bytes"),
    ],
)
def test_damaged_headers(content: bytes, told: str) -> None:
    found = look(content)
    assert found is not None
    assert (found.format, found.library, found.damage) == ("elf", False, told)


def test_a_segment_beyond_the_file(forge_elf: Forge) -> None:
    content = forge_elf(needed=("libc.so.6",))
    found, elf = looked(content[:-1])
    assert found.damage == (
        f"segment 1 ends at byte {len(content)}, and the file has {len(content) - 1} bytes: it is truncated"
    )
    assert elf.needed == ("libc.so.6",)  # what could be read is told


@pytest.mark.parametrize(
    ("place", "form", "value", "told"),
    [
        (54, "<H", 57, "its program headers are said to have 57 bytes each; they have 56"),
        (56, "<H", 0, "it has no program headers, so that nothing of it can be loaded"),
        (56, "<H", 9999, "its program headers end at byte 560008, and the file has 4097 bytes: it is truncated"),
    ],
)
def test_headers_that_contradict_themselves(forge_elf: Forge, place: int, form: str, value: int, told: str) -> None:
    content = bytearray(forge_elf())
    struct.pack_into(form, content, place, value)
    assert looked(bytes(content))[0].damage == told


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        (14, "a name is said to stand at byte 1879048192 of a string table of 19 bytes"),
        (6, "its symbol table, at address 0x70000000, is in none of its segments"),
        (0x6FFF_FFF0, "its table of symbol versions, at address 0x70000000, is in none of its segments"),
        (0x6FFF_FFFE, "its table of version needs, at address 0x70000000, is in none of its segments"),
        (0x6FFF_FFFC, "its table of version definitions, at address 0x70000000, is in none of its segments"),
        (0x6FFF_FEF5, "its table of symbol hashes, at address 0x70000000, reaches beyond its segments"),
        (5, "its string table, 19 bytes at address 0x70000000, is not in the file as a whole"),
        (10, "its string table, 1879048192 bytes at address {strings:#x}, is not in the file as a whole"),
    ],
)
def test_tables_outside(forge_elf: Forge, tag: int, told: str) -> None:
    # The last value of a tag is the one that counts.
    content = forge_elf(needed=("libc.so.6",), symbols=[("Py_Main", "undefined")], tags={tag: 0x7000_0000})
    strings = 0x40_0000 + content.index(b"\0Py_Main\0libc.so.6\0")
    assert looked(content)[0].damage == told.format(strings=strings)


def test_a_dynamic_section_in_no_segment(forge_elf: Forge) -> None:
    content = bytearray(forge_elf())
    struct.pack_into("<Q", content, 64 + 2 * 56 + 16, 0x99_9999)
    assert looked(bytes(content))[0].damage == "its dynamic section, at address 0x999999, is in none of its segments"


def test_a_dynamic_section_without_an_end(forge_elf: Forge) -> None:
    content = bytearray(forge_elf(needed=("libc.so.6",)))
    place = 64 + 2 * 56 + 32
    struct.pack_into("<Q", content, place, struct.unpack_from("<Q", content, place)[0] - 16)
    found, elf = looked(bytes(content))
    assert found.damage == "its dynamic section does not end: there is no DT_NULL in it"
    assert elf.needed == ("libc.so.6",)


@pytest.mark.parametrize("tag", [0x6FFF_FFFE, 0x6FFF_FFFC])
def test_chains_of_versions_end(forge_elf: Forge, tag: int) -> None:
    """Entries that overlap, each with a chain through all that follow: 100,000 times 100,000 of them."""
    literal = "\x04\0\0\0" * 100_000
    place = forge_elf(literals=[literal]).index(literal.encode())
    started = time.process_time()
    found, elf = looked(forge_elf(soname="libx.so", literals=[literal], tags={tag: 0x40_0000 + place}))
    assert time.process_time() - started < 2
    assert found.damage == "a table of symbol versions has more than 32767 entries"
    assert len(elf.needs) + len(elf.defines) in {0x7FFF, 0x8000}


def test_needs_that_share_a_version_index(forge_elf: Forge) -> None:
    """4,000 needs of one index, and 20,000 symbols bound to it."""
    versions = {f"V_{number}": () for number in range(3999)}
    symbols = tuple(f"s{number:05}" for number in range(20_000))
    content = bytearray(forge_elf(needs={"libc.so.6": {"V": symbols, **versions}}))
    place = content.index(struct.pack("<HH", 1, 4000)) + 16
    for number in range(4000):
        struct.pack_into("<H", content, place + 16 * number + 6, 2)
    started = time.process_time()
    found, elf = looked(bytes(content))
    assert time.process_time() - started < 1
    assert found.damage == ""
    assert [need.symbol for need in elf.needs] == ["s00000"] * 4000


def test_a_link_beyond_the_file(forge_elf: Forge) -> None:
    content = forge_elf(literals=["\xff" * 64])
    place = content.index(b"\xc3\xbf\xc3\xbf")
    found, _ = looked(forge_elf(literals=["\xff" * 64], tags={0x6FFF_FFFE: 0x40_0000 + place}))
    assert found.damage == "a name is said to stand at byte 3217276867 of a string table of 1 bytes"


def test_names_that_overlap_are_bounded(forge_elf: Forge) -> None:
    """A string table whose every byte begins another long name, each of them needed."""
    content = forge_elf(needed=["x" * size for size in range(4000, 0, -1)])
    assert len(content) < 100_000
    found, elf = looked(content)
    assert found.damage == "its names overlap in the string table beyond all measure"
    assert 16_000 < sum(map(len, elf.needed)) < 100_000


def test_objects_are_neither_loaded_nor_damaged(forge_elf: Forge) -> None:
    found, elf = looked(forge_elf(kind=1, needed=("libc.so.6",)))
    assert (found.library, found.damage, elf.needed, elf.type) == (False, "", (), 1)


def test_literals_are_bounded_and_sorted(forge_elf: Forge) -> None:
    names = [f"libn{number:04}.so.{number % 10}" for number in range(3000)]
    _, elf = looked(forge_elf(literals=names[::-1]))
    assert elf.opens == tuple(names[:64])
