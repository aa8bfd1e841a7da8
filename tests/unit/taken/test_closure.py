"""What entries of overlay.from-image become: files with what they need, and not what is there."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from lamina.errors import UsageError
from lamina.overlay import Generated
from lamina.part.model import ELF, PLAIN, SCRIPT
from lamina.taken.closure import Source, Wanted, collect
from lamina.taken.tree import File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OWNER = "the packages of the base image"
LIB = "/usr/lib/x86_64-linux-gnu"


def elf(soname: str = "", needed: Sequence[str] = (), runpath: str = "", machine: int = 62) -> bytes:
    """A shared library that states these names."""
    table = b"\0"
    tags = []
    for tag, name in [*((1, name) for name in needed), (14, soname), (29, runpath)]:
        if name:
            tags.append((tag, len(table)))
            table += name.encode() + b"\0"
    symbols = 64 + 2 * 56
    names = symbols + 24 + 16
    start = names + len(table)
    tags += [(4, symbols + 24), (5, names), (6, symbols), (10, len(table)), (11, 24), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    whole = start + len(dynamic)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, whole, whole, 0x1000)
    section = struct.pack("<IIQQQQQQ", 2, 4, start, start, start, len(dynamic), len(dynamic), 8)
    return head + load + section + bytes(24) + struct.pack("<IIII", 1, 1, 0, 0) + table + dynamic


class Fake:
    """An image of some files and links; ``asked`` are the names of each search."""

    def __init__(self, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> None:
        self.files, self.links = files, dict(links or {})
        self.asked: list[list[str]] = []

    @property
    def source(self) -> Source:
        return Source("base:1", self.locate, self.read)

    def locate(self, wanted: Sequence[Wanted]) -> list[str | None]:
        self.asked.append([one.name for one in wanted])
        return [self.found(one) for one in wanted]

    def found(self, one: Wanted) -> str | None:
        folders = {"library": (*one.folders, LIB), "executable": ("/usr/bin",), "path": ("",)}[one.kind]
        paths = (f"{folder}/{one.name}" if folder else one.name for folder in folders)
        real = (self.links.get(path, path) for path in paths)
        return next((path for path in real if any(f"{file}/".startswith(f"{path}/") for file in self.files)), None)

    def read(self, path: str) -> list[File]:
        return [File(name, self.files[name]) for name in sorted(self.files) if f"{name}/".startswith(f"{path}/")]

    def take(self, *entries: str, there: Sequence[str] = ()) -> tuple[Generated, ...]:
        return collect(entries, self.source, architecture="x86_64", there=there)


def refusal(fake: Fake, *entries: str) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        fake.take(*entries)
    return caught.value.message, caught.value.hint


def test_a_library_stands_under_its_soname_as_the_file_that_a_link_leads_to() -> None:
    gomp = elf("libgomp.so.1", ["libc.so.6", "ld-linux-x86-64.so.2"])
    fake = Fake({f"{LIB}/libgomp.so.1.0.0": gomp}, {f"{LIB}/libgomp.so": f"{LIB}/libgomp.so.1.0.0"})
    assert fake.take("libgomp.so") == (Generated("lib/libgomp.so.1", gomp, ELF, OWNER),)
    assert fake.asked == [["libgomp.so"]]


def test_a_program_comes_with_what_it_needs_and_what_that_needs_but_not_with_what_is_there() -> None:
    files = {
        "/usr/bin/tool": elf("", ["liba.so.1", "libm.so.6", "libz.so.1"]),
        f"{LIB}/liba.so.1": elf("liba.so.1", ["libb.so.2", "libz.so.1", "libnowhere.so.9"]),
        f"{LIB}/libb.so.2": elf("libb.so.2", ["liba.so.1"]),
        f"{LIB}/libz.so.1": elf("libz.so.1"),
        f"{LIB}/libm.so.6": elf("libm.so.6"),
    }
    fake = Fake(files)
    taken = fake.take("tool", there=["libz.so.1"])
    assert [file.path for file in taken] == ["bin/tool", "lib/liba.so.1", "lib/libb.so.2"]
    assert fake.asked == [["tool"], ["liba.so.1"], ["libb.so.2", "libnowhere.so.9"]]


def test_what_is_named_is_taken_even_where_it_is_there() -> None:
    zlib = elf("libz.so.1")
    fake = Fake({f"{LIB}/libz.so.1": zlib})
    assert fake.take("libz.so.1", there=["libz.so.1"]) == (Generated("lib/libz.so.1", zlib, ELF, OWNER),)


def test_folders_that_a_file_names_are_searched_for_its_libraries() -> None:
    files = {
        "/usr/bin/tool": elf("", ["libown.so.1"], runpath="$ORIGIN/../lib/tool:/usr/lib/${LIB}"),
        "/usr/lib/tool/libown.so.1": elf("libown.so.1"),
    }
    assert [file.path for file in Fake(files).take("tool")] == ["bin/tool", "lib/libown.so.1"]


def test_a_library_that_is_needed_under_another_name_stands_under_that() -> None:
    files = {"/usr/bin/tool": elf("", ["liba.so"]), f"{LIB}/liba.so": elf("liba.so.7")}
    assert [file.path for file in Fake(files).take("tool")] == ["bin/tool", "lib/liba.so"]


def test_a_folder_keeps_its_own_name_and_brings_the_libraries_of_its_plug_ins() -> None:
    files = {
        "/data/v5/a.txt": b"text",
        "/data/v5/run": b"#!/bin/sh\n",
        "/data/v5/plug.so": elf("", ["liba.so.1"]),
        f"{LIB}/liba.so.1": elf("liba.so.1"),
    }
    taken = Fake(files, {"/usr/share/data": "/data/v5"}).take("/usr/share/./data")
    assert [(file.path, file.kind) for file in taken] == [
        ("lib/liba.so.1", ELF),
        ("share/data/a.txt", PLAIN),
        ("share/data/plug.so", ELF),
        ("share/data/run", SCRIPT),
    ]


HINT = (
    "Name the package that brings it in builder.system-packages; a library by its full name (libgomp.so.1), a program "
    "by its name, anything else by its absolute path."
)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("libx.so.1", "the loader of the image finds no such library"),
        ("tool", "the image has no such program on its PATH"),
        ("/usr/share/x", "there is no such path in the image"),
    ],
)
def test_what_is_not_there_is_told(entry: str, why: str) -> None:
    assert refusal(Fake({}), entry) == (f"base:1: overlay.from-image: {entry}: {why}", HINT)


def test_libraries_of_glibc_are_never_taken() -> None:
    assert refusal(Fake({f"{LIB}/libm.so.6": elf("libm.so.6")}), "libm.so.6") == (
        "overlay.from-image: libm.so.6 belongs to glibc, which works only with its own loader",
        "Take it out: every runtime has glibc's libraries.",
    )


@pytest.mark.parametrize("content", [b"INPUT(-lx)", elf("libx.so.1", machine=183)])
def test_what_is_no_library_of_the_target_is_refused(content: bytes) -> None:
    assert refusal(Fake({f"{LIB}/libx.so": content}), "libx.so") == (
        f"base:1: {LIB}/libx.so: is no library for x86_64",
        "See what the image has as libx.so.",
    )


def test_a_folder_is_no_program() -> None:
    assert refusal(Fake({"/usr/bin/tool/x": b""}), "tool") == (
        "base:1: /usr/bin/tool: is no file",
        "Give the absolute path of tool instead.",
    )


def test_two_files_for_one_place_are_refused() -> None:
    files = {f"{LIB}/libx.so.1": elf("libx.so.1"), "/usr/lib64/libx.so.1": elf("libx.so.1", ["liba.so"])}
    assert refusal(Fake(files), "libx.so.1", "/usr/lib64/libx.so.1") == (
        f"base:1: {LIB}/libx.so.1 and /usr/lib64/libx.so.1 would both be lib/libx.so.1 in the layer",
        "Take one of the two out of overlay.from-image.",
    )


def test_a_hostile_soname_stays_in_its_folder() -> None:
    fake = Fake({f"{LIB}/libx.so": elf("../../etc/passwd")})
    assert [file.path for file in fake.take("libx.so")] == ["lib/passwd"]
    for soname, why in (("a/..", "a path that leaves the wheel"), ("a\u200bb", "a character that cannot be shown")):
        place = f"lib/{soname.rpartition('/')[2]}"
        assert refusal(Fake({f"{LIB}/libx.so": elf(soname)}), "libx.so") == (
            f"base:1: '{LIB}/libx.so': cannot be {place!r} in the layer: {why}",
            "Take another file: no layer can hold one of that name.",
        )
