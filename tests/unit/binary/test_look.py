"""From bytes of any kind to facts, without fail."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.binary.look import is_native, look
from lamina.binary.model import Binary

Forge = Callable[..., bytes]


@pytest.fixture(scope="module")
def samples(forge_elf: Forge, forge_pe: Forge, forge_macho: Forge, forge_fat: Forge) -> list[bytes]:
    """One of each kind, with everything in it that there is to read."""
    full = {
        "soname": "libx.so.1",
        "needed": ("libm.so.6", "libc.so.6"),
        "runpath": "$ORIGIN:/opt/lib",
        "needs": {"libm.so.6": {"GLIBC_2.29": ("pow",)}, "libc.so.6": {"GLIBC_2.17": ("free", "malloc")}},
        "defines": ("X_1.0", "X_1.1"),
        "symbols": (("PyObject_Call", "undefined"), ("PyX_New", "defined"), ("PyInit_x", "defined")),
        "literals": ("libcuda.so.1", "libz.so"),
        "interpreter": "/lib/ld.so",
    }
    elves = [
        forge_elf(bits=bits, little=little, hashes=hashes, **full)
        for bits in (32, 64)
        for little in (True, False)
        for hashes in ("gnu", "sysv", "none")
    ]
    thin = [forge_macho(bits=bits, order=order) for bits in (32, 64) for order in "<>"]
    fat = [forge_fat({7: thin[0], 0x0100_0007: thin[2]}, wide=wide) for wide in (False, True)]
    return [*elves, forge_pe(), *thin, *fat]


def test_each_format_is_told_from_its_first_bytes(samples: list[bytes]) -> None:
    for content in samples:
        found = look(content)
        assert found is not None
        assert found.damage == ""
        assert is_native(content[:64])
        assert is_native(content[:8])


@pytest.mark.parametrize(
    "content", [b"", b"\x7f", b"M", b"\xca\xfe\xba", b"#!/bin/sh\n", b"PK\3\4" + bytes(60), b"\x7fELG" + bytes(60)]
)
def test_other_content(content: bytes) -> None:
    assert look(content) is None
    assert not is_native(content)


def test_a_memory_map_can_be_closed_afterwards(tmp_path: Path, samples: list[bytes]) -> None:
    for number, content in enumerate(samples):
        path = tmp_path / str(number)
        path.write_bytes(content)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert look(mapped) == look(content)
        assert mapped.closed


def test_a_view_is_read_in_place(samples: list[bytes]) -> None:
    content = samples[0]
    assert look(memoryview(b"head" + content + b"tail")[4:-4]) == look(content)


def judged(content: bytes) -> None:
    """Look at it; whatever is found has to be a value that can be stored, found quickly."""
    started = time.process_time()
    found = look(content)
    assert time.process_time() - started < 1
    if found is not None:
        assert is_native(content[:64])
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Binary) == found


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_mutated_and_cut(samples: list[bytes], data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(samples)))
    # Most of what matters stands in the first bytes and in the dynamic section.
    places = st.integers(0, min(1500, len(content) - 1)) | st.integers(0, len(content) - 1)
    values = st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 4, b"\xff" * 8, bytes(8), b"\x01", b"\x7f"])
    for _ in range(data.draw(st.integers(0, 6))):
        place, value = data.draw(places), data.draw(values)
        content[place : place + len(value)] = value
    size = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    judged(bytes(content[:size]))


@given(
    st.sampled_from([b"\x7fELF\2\1", b"\x7fELF\1\2", b"MZ", b"\xca\xfe\xba\xbe\0\0\0\2", b"\xcf\xfa\xed\xfe"]),
    st.binary(),
)
@settings(max_examples=200, deadline=None)
def test_noise_behind_a_magic_number(magic: bytes, noise: bytes) -> None:
    judged(magic + noise)
