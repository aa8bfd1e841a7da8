"""PE files: what is one, what it is for, and what of it is missing."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from lamina.binary.look import look
from lamina.binary.model import Binary

Forge = Callable[..., bytes]


@pytest.mark.parametrize(
    ("machine", "name"),
    [(0x8664, "x86_64"), (0x14C, "i386"), (0xAA64, "aarch64"), (0x1C4, "arm"), (0x1234, "machine 4660")],
)
@pytest.mark.parametrize("library", [True, False])
def test_machines(forge_pe: Forge, machine: int, name: str, *, library: bool) -> None:
    assert look(forge_pe(machine=machine, library=library)) == Binary("pe", name, library)


def test_what_follows_the_sections_is_no_damage(forge_pe: Forge) -> None:
    """Installers append a zip to their launchers."""
    assert look(forge_pe() + b"PK\3\4" + bytes(100)) == Binary("pe", "x86_64", library=True)


@pytest.mark.parametrize(
    ("size", "machine", "told"),
    [
        (2047, "x86_64", "section 2 ends at byte 2048, and the file has 2047 bytes: it is truncated"),
        (1025, "x86_64", "section 1 ends at byte 1536, and the file has 1025 bytes: it is truncated"),
        (400, "x86_64", "its section headers end at byte 472, and the file has 400 bytes: it is truncated"),
        (140, "unknown", "the PE header is cut off after 140 bytes"),
        (131, "unknown", "the PE header is said to be at byte 128, and the file has 131 bytes: it is truncated"),
    ],
)
def test_truncated(forge_pe: Forge, size: int, machine: str, told: str) -> None:
    assert look(forge_pe()[:size]) == Binary("pe", machine, machine != "unknown", told)


def test_a_header_that_is_something_else(forge_pe: Forge) -> None:
    content = forge_pe().replace(b"PE\0\0", b"NE\0\0")
    told = "there is no PE header at byte 128, where the DOS header says it is"
    assert look(content) == Binary("pe", "unknown", library=False, damage=told)


@pytest.mark.parametrize(
    "content",
    [
        b"MZ",
        b"MZ is how this note begins, and it goes on for quite a while, longer than the header of DOS",
        b"MZ" + bytes(300),
        b"MZ" + bytes(58) + struct.pack("<I", 0xFFFF_FFFF) + bytes(300),
    ],
)
def test_other_things_that_begin_so(content: bytes) -> None:
    assert look(content) is None
