"""Native files without what no segment maps: what goes, what moves, and what makes a file stay as it is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.binary.look import look
from lamina.binary.segments import Segment, misalignment, read_header, read_segments
from lamina.binary.trim import trimmed

ForgeElf = Callable[..., bytes]

PAGE = 4096
AARCH64, PPC64, CUDA = 183, 21, 190
#: Loads the data segment; the second of three in forged files.
DATA = 1


def words(content: bytes) -> tuple[str, bool]:
    """The order of bytes and whether the file has 64 bits."""
    return "<" if content[5] == 1 else ">", content[4] == 2


def segments_of(content: bytes) -> tuple[Segment, ...]:
    with memoryview(content) as view:
        faults: list[str] = []
        header = read_header(view, faults)
        assert header is not None
        segments = read_segments(view, header, faults)
    assert not faults
    return segments


def described(
    base: bytes,
    *,
    middle: bytes = b"",
    tail: bytes = b"",
    name: bytes = b".debug_info",
    kind: int = 1,
    flags: int = 0,
    appended: bytes = b"",
    described_to: int | None = None,
) -> bytes:
    """A forged file with ``middle`` between its segments, ``tail`` behind them, and section headers for both.

    ``middle`` and ``tail`` are sections of this ``name``, ``kind`` and these ``flags``; the first is said to have
    ``described_to`` bytes. ``appended`` stands behind the section headers, which do not tell of it.
    """
    order, wide = words(base)
    data = segments_of(base)[DATA].offset // PAGE * PAGE
    content = bytearray(base[:data] + middle + base[data:])
    entry, table = (56, 64) if wide else (32, 52)
    place = table + DATA * entry + (8 if wide else 4)
    word = order + ("Q" if wide else "I")
    struct.pack_into(word, content, place, struct.unpack_from(word, content, place)[0] + len(middle))
    end = len(content)
    names = b"\0" + name + b"\0.shstrtab\0"
    content += tail + names
    content += bytes(-len(content) % 8)
    start = len(content)
    stated = len(middle) if described_to is None else described_to
    rows = [(0, 0, 0, 0, 0), (1, kind, flags, data, stated), (1, kind, flags, end, len(tail))]
    rows.append((2 + len(name), 3, 0, end + len(tail), len(names)))
    form = struct.Struct(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"))
    for label, type_, flag, offset, size in rows:
        content += form.pack(label, type_, flag, 0, offset, size, 0, 0, int(bool(type_)), 0)
    struct.pack_into(word, content, 40 if wide else 32, start)
    struct.pack_into(order + "HHH", content, 58 if wide else 46, form.size, len(rows), len(rows) - 1)
    return bytes(content + appended)


def is_same(before: bytes, after: bytes) -> bool:
    """Whether a loader maps the same, and an audit reads the same."""
    pairs = zip(segments_of(before), segments_of(after), strict=True)
    header = 64 + 4 * 56
    for old, new in pairs:
        assert old._replace(offset=0) == new._replace(offset=0)
        skip = max(0, header - old.offset)
        assert before[old.offset + skip : old.offset + old.stored] == after[new.offset + skip : new.offset + new.stored]
        assert new.offset + new.stored <= len(after)
    assert misalignment(segments_of(after)) == ""
    return look(before) == look(after)


FILES = st.fixed_dictionaries(
    {
        "bits": st.sampled_from([32, 64]),
        "little": st.booleans(),
        "machine": st.sampled_from([62, AARCH64, 3, 40, PPC64, 22, 243]),
        "soname": st.sampled_from(["", "libx.so.1"]),
        "needed": st.lists(st.sampled_from(["libc.so.6", "libm.so.6"]), unique=True),
        "literals": st.lists(st.sampled_from(["libcuda.so.1", "no"]), max_size=2),
        "written": st.lists(st.text("ab", max_size=PAGE // 2), max_size=2),
        "kind": st.sampled_from([2, 3]),
    }
)


@given(FILES, st.integers(0, 40), st.integers(0, 3 * PAGE), st.binary(max_size=1))
@settings(max_examples=80, deadline=None)
def test_what_a_loader_sees_is_the_same_and_the_rest_goes(
    forge_elf: ForgeElf, fields: dict[str, Any], pages: int, tail: int, fill: bytes
) -> None:
    base = forge_elf(**fields, symbols=[("PyInit_x", "defined"), ("PyList_New", "undefined")])
    before = described(base, middle=(fill or b"\0") * (pages * PAGE), tail=b"d" * tail)
    after = trimmed(before)
    step = 16 * PAGE if fields["machine"] in {AARCH64, 40, PPC64} else PAGE
    expected = len(base) + pages * PAGE % step
    if len(before) - expected < PAGE:
        assert after is None
        return
    assert after is not None
    assert is_same(before, after)
    assert len(after) <= expected
    assert trimmed(after) is None
    order, wide = words(after)
    assert struct.unpack_from(order + ("Q" if wide else "I"), after, 40 if wide else 32) == (0,)
    assert struct.unpack_from(order + "HH", after, 60 if wide else 48) == (0, 0)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damage_never_fails_and_never_changes_what_is_loaded(forge_elf: ForgeElf, data: st.DataObject) -> None:
    content = bytearray(described(forge_elf(needed=["libc.so.6"]), middle=b"m" * 2 * PAGE, tail=b"t" * PAGE))
    headers = [*range(64 + 3 * 56), *range(len(content) - 4 * 64, len(content))]
    for place in data.draw(st.lists(st.sampled_from(headers), min_size=1, max_size=6)):
        content[place] = data.draw(st.sampled_from([0, 1, 2, 8, 0x10, 0x7F, 0x80, 0xFF]))
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    before = bytes(content[:cut])
    after = trimmed(before)
    if after is not None:
        assert is_same(before, after)


def test_pages_between_segments_go_and_the_segment_behind_moves_by_them(forge_elf: ForgeElf) -> None:
    base = forge_elf()
    before = described(base, middle=b"m" * 5 * PAGE)
    after = trimmed(before)
    assert after is not None
    assert segments_of(after)[DATA].offset == segments_of(before)[DATA].offset - 5 * PAGE
    assert len(after) == len(base)


def test_where_pages_have_64_kib_whole_ones_go(forge_elf: ForgeElf) -> None:
    base = forge_elf(machine=AARCH64)
    before = described(base, middle=b"m" * 35 * PAGE)
    after = trimmed(before)
    assert after is not None
    assert segments_of(before)[DATA].offset - segments_of(after)[DATA].offset == 32 * PAGE
    assert after.count(b"m") == 0  # what is left of it is zero


def test_what_saves_less_than_a_page_stays(forge_elf: ForgeElf) -> None:
    base = forge_elf()
    small = len(described(base)) - len(base)
    assert trimmed(described(base, tail=b"t" * (PAGE - small - 8))) is None
    assert trimmed(described(base, tail=b"t" * PAGE)) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"appended": b"PK\3\4"},  # a zip behind the last section: an executable that unpacks itself
        {"appended": b"\0" * 9000 + b"1"},
        {"name": b"pydata"},  # PyInstaller's archive
        {"name": b".rodata"},
        {"flags": 2},  # said to be mapped
        {"described_to": PAGE},  # and the second page of it belongs to nothing
        {"kind": 14},
    ],
)
def test_bytes_that_a_program_may_read_stay(forge_elf: ForgeElf, fields: dict[str, Any]) -> None:
    base = forge_elf()
    assert trimmed(described(base, middle=b"m" * 2 * PAGE, tail=b"t" * PAGE)) is not None
    assert trimmed(described(base, middle=b"m" * 2 * PAGE, tail=b"t" * PAGE, **fields)) is None


def test_zeros_behind_all_are_padding(forge_elf: ForgeElf) -> None:
    base = forge_elf()
    assert trimmed(described(base, tail=b"t" * PAGE, appended=bytes(100))) == trimmed(described(base, tail=b"t" * PAGE))


def test_section_headers_that_patchelf_left_behind_go(forge_elf: ForgeElf) -> None:
    base = forge_elf()
    old = described(base)[-4 * 64 :]
    middle = (b"m" * PAGE + old).ljust(2 * PAGE, b"\0")
    after = trimmed(described(base, middle=middle, described_to=PAGE))
    assert after is not None
    assert len(after) == len(base)
    assert trimmed(described(base, middle=middle[:-1] + b"1", described_to=PAGE)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": 1},  # an object file
        {"kind": 4},  # a core dump
        {"machine": CUDA},
        {"machine": 9999},
        {"align": 0x1800},
        {"shift": 0x10},  # does not load: offset and address are not congruent
    ],
)
def test_what_is_no_sound_program_or_library_of_a_host_stays(forge_elf: ForgeElf, fields: dict[str, Any]) -> None:
    assert trimmed(described(forge_elf(**fields), tail=b"t" * 2 * PAGE)) is None


def test_files_without_section_headers_or_that_are_none_stay(forge_elf: ForgeElf) -> None:
    assert trimmed(forge_elf() + b"t" * 2 * PAGE) is None
    assert trimmed(b"") is None
    assert trimmed(b"!<arch>\n" + bytes(2 * PAGE)) is None
    assert trimmed(b"\x7fELF") is None


def test_debug_information_alone_stays(forge_elf: ForgeElf) -> None:
    """``objcopy --only-keep-debug`` leaves the program headers, with no bytes."""
    content = bytearray(described(forge_elf(), tail=b"t" * 2 * PAGE))
    for number in range(3):
        struct.pack_into("<Q", content, 64 + 56 * number + 32, 0)
    assert trimmed(bytes(content)) is None


def test_an_empty_segment_that_begins_within_a_page_keeps_its_page(forge_elf: ForgeElf) -> None:
    """A loader maps that page and fills it with zeros from there: beyond the end of the file it would crash."""
    content = bytearray(described(forge_elf(), tail=b"t" * 4 * PAGE))
    segment = segments_of(bytes(content))[DATA]
    end = len(content) - PAGE
    offset = end - end % PAGE + 0x10
    struct.pack_into("<QQQQ", content, 64 + 56 * DATA + 8, offset, segment.address // PAGE * PAGE + 0x10, 0, 0)
    before = bytes(content)
    after = trimmed(before)
    assert after is not None
    assert is_same(before, after)
    moved = segments_of(after)[DATA].offset
    assert moved % PAGE == 0x10
    assert moved <= len(after)
