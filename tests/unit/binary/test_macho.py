"""Mach-O files: for one machine or several, and told apart from Java classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lamina.binary.look import is_native, look
from lamina.binary.model import Binary

Forge = Callable[..., bytes]
X86_64, ARM64 = 0x0100_0007, 0x0100_000C


@pytest.mark.parametrize(
    ("cpu", "bits", "order", "name"),
    [
        (X86_64, 64, "<", "x86_64"),
        (ARM64, 64, "<", "aarch64"),
        (7, 32, "<", "i386"),
        (18, 32, ">", "ppc"),
        (0x0100_0012, 64, ">", "ppc64"),
        (4711, 64, "<", "machine 4711"),
    ],
)
def test_machines(forge_macho: Forge, cpu: int, bits: int, order: str, name: str) -> None:
    assert look(forge_macho(cpu=cpu, bits=bits, order=order)) == Binary("macho", name, library=True)


@pytest.mark.parametrize(("kind", "library"), [(1, False), (2, False), (6, True), (8, True), (10, False)])
def test_what_is_loaded_and_what_is_run(forge_macho: Forge, kind: int, *, library: bool) -> None:
    assert look(forge_macho(kind=kind)) == Binary("macho", "x86_64", library)


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (255, "load command 0 maps up to byte 256, and there are 255 bytes: it is truncated"),
        (100, "its load commands end at byte 128, and there are 100 bytes: it is truncated"),
        (20, "the Mach-O header is cut off after 20 bytes"),
    ],
)
def test_truncated(forge_macho: Forge, size: int, told: str) -> None:
    machine = "unknown" if size == 20 else "x86_64"
    assert look(forge_macho()[:size]) == Binary("macho", machine, machine != "unknown", told)


def test_load_commands_that_contradict_their_number(forge_macho: Forge) -> None:
    content = forge_macho()
    more = content[:16] + b"\x09\0\0\0" + content[20:]
    assert look(more) == Binary("macho", "x86_64", library=True, damage="it has 2 load commands and states 9")
    none = content[:36] + bytes(4) + content[40:]
    told = "load command 0 is said to have 0 bytes, and 96 are left"
    assert look(none) == Binary("macho", "x86_64", library=True, damage=told)


@pytest.mark.parametrize("wide", [False, True])
def test_fat(forge_macho: Forge, forge_fat: Forge, *, wide: bool) -> None:
    content = forge_fat({X86_64: forge_macho(cpu=X86_64), ARM64: forge_macho(cpu=ARM64)}, wide=wide)
    assert is_native(content[:8])
    assert look(content) == Binary("macho", "x86_64+aarch64", library=True)
    told = (
        f"its part for aarch64 ends at byte {len(content)}, and the file has {len(content) - 1} bytes: it is truncated"
    )
    assert look(content[:-1]) == Binary("macho", "x86_64+aarch64", library=True, damage=told)
    told = "its list of machines is cut off after 20 bytes"
    assert look(content[:20]) == Binary("macho", "unknown", library=False, damage=told)


def test_fat_with_a_damaged_part(forge_macho: Forge, forge_fat: Forge) -> None:
    content = forge_fat({X86_64: forge_macho(), ARM64: forge_macho(cpu=ARM64)[:200]})
    told = "its part for aarch64: load command 0 maps up to byte 256, and there are 200 bytes: it is truncated"
    assert look(content) == Binary("macho", "x86_64+aarch64", library=True, damage=told)
    told = "its part for aarch64: there is no Mach-O header where one should be"
    assert look(forge_fat({ARM64: b"nothing of the kind"})) == Binary("macho", "aarch64", library=False, damage=told)


def test_fat_archives_are_no_damage(forge_fat: Forge) -> None:
    assert look(forge_fat({ARM64: b"!<arch>\n" + bytes(99)})) == Binary("macho", "aarch64", library=False)


@pytest.mark.parametrize("version", [b"\0\0\0\x2d", b"\0\0\0\x41", b"\0\x03\0\x2d"])
def test_java_classes_are_none(version: bytes) -> None:
    content = b"\xca\xfe\xba\xbe" + version + bytes(200)
    assert look(content) is None
    assert not is_native(content[:64])
