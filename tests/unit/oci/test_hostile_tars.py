"""Tars that lie: about sizes, about names, and with headers that never end."""

from __future__ import annotations

import io
import itertools
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.errors import IntegrityError
from lamina.oci.blobs import TarBlobs
from lamina.oci.tars import Member, Tar


class Endless:
    """Blocks as a stream, however many there are."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._held = blocks, b""

    def read(self, size: int, /) -> bytes:
        while len(self._held) < size and (block := next(self._blocks, b"")):
            self._held += block
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def skip(self, size: int, /) -> bool:
        while size and (taken := len(self.read(min(size, 1 << 20)))):
            size -= taken
        return not size


def header(name: str, size: int, kind: bytes = b"0") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def extended(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n"
    length = next(n for n in range(len(rest), len(rest) + 9) if len(str(n)) + len(rest) == n)
    record = f"{length}{rest}".encode()
    return header("pax", len(record), b"x") + padded(record)


def members(content: bytes) -> list[Member]:
    return list(Tar(Endless(iter([content]))))


def test_a_size_that_only_the_extended_header_states_is_the_files() -> None:
    hidden = header("opt/hidden", 0)
    content = extended("size", "512") + header("opt/a", 0) + hidden + header("opt/b", 0) + bytes(1024)
    assert [(member.name, member.size) for member in members(content)] == [("opt/a", 512), ("opt/b", 0)]


@pytest.mark.parametrize("size", [1 << 63, 1 << 70, -1])
def test_sizes_that_nothing_has(tmp_path: Path, size: int) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(header("blobs/a", size) + bytes(1024))
    with path.open("rb") as file, pytest.raises(IntegrityError) as caught:
        TarBlobs(file)
    assert caught.value.message == f"has a file of {size:,} bytes"


def test_extended_headers_without_end_are_refused_and_held_in_no_memory() -> None:
    """Each has a key of its own; a gigabyte of them compresses to a megabyte."""
    headers = (extended(f"LAMINA.{number}", "x" * 900_000) for number in itertools.count())
    few = [*itertools.islice(headers, 8), header("a", 0), bytes(1024)]
    tracemalloc.start()
    assert [member.name for member in Tar(Endless(iter(few)))] == ["a"]
    with pytest.raises(IntegrityError) as caught:
        list(Tar(Endless(headers)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.message == "has more than 8 headers of one file"
    assert peak < 12 << 20


@pytest.mark.parametrize("key", ["path", "linkpath"])
def test_names_are_as_long_as_linux_takes_them(key: str) -> None:
    longest = extended(key, "a/" * 2048) + header("a", 0) + bytes(1024)
    assert max(map(len, (members(longest)[0].name, members(longest)[0].link))) == 4096
    with pytest.raises(IntegrityError) as caught:
        members(extended(key, "a" * 4097) + header("a", 0) + bytes(1024))
    assert caught.value.message == "has names of more than 4,096 bytes, or too many long ones"


def test_all_names_together_are_bounded() -> None:
    many = (extended("path", f"{number:06}" + "a" * 4090) + header("a", 0) for number in itertools.count())
    seen: list[int] = []
    with pytest.raises(IntegrityError):
        seen.extend(member.size for member in Tar(Endless(many)))
    assert len(seen) == (64 << 20) // 4096


def test_a_tar_of_the_standard_library_is_read_as_it_reads_it() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("short", "é" * 200, "a" * 300):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    assert [member.name for member in members(out.getvalue())] == ["short", "é" * 200, "a" * 300]
