"""Tars are what tarfile reads, the same for the same files, and gzip as one member."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina import tarformat as tars
from lamina.errors import IntegrityError

PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda part: part not in {".", ".."}
)
PATHS = st.lists(PARTS, min_size=1, max_size=8).map("/".join)


def written(files: list[tars.File]) -> bytes:
    out = io.BytesIO()
    told = tars.write(files, out)
    content = out.getvalue()
    assert told == (hashlib.sha256(content).hexdigest(), len(content))
    assert b"".join(tars.stream(files)) == content
    return content


def tree(contents: dict[str, bytes]) -> dict[str, bytes]:
    """Without files that stand where others need a folder."""
    return {path: data for path, data in contents.items() if not any(one.startswith(f"{path}/") for one in contents)}


@given(st.dictionaries(PATHS, st.binary(max_size=1500), max_size=12).map(tree))
def test_tarfile_reads_what_is_written(contents: dict[str, bytes]) -> None:
    content = written(
        [tars.held(path, data, 0o755 if data[:1] < b"\x80" else 0o644) for path, data in contents.items()]
    )
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8") as archive:
        members = archive.getmembers()
        files = {member.name: archive.extractfile(member).read() for member in members if member.isfile()}  # type: ignore[union-attr]
        folders = {member.name for member in members if member.isdir()}
    assert files == contents
    assert folders == {parent.as_posix() for path in contents for parent in Path(path).parents} - {"."}
    for member in members:
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (tars.DATE, 0, 0, "", "")
        if member.isfile():
            assert member.mode == (0o755 if contents[member.name][:1] < b"\x80" else 0o644)
        else:
            assert member.mode == 0o755
    names = [f"{member.name}/" if member.isdir() else member.name for member in members]
    assert names == sorted(names, key=str.encode)


@given(st.dictionaries(PATHS, st.binary(max_size=100), max_size=6).map(tree), st.randoms())
def test_the_order_of_files_does_not_count(contents: dict[str, bytes], random: object) -> None:
    files = [tars.held(path, data) for path, data in contents.items()]
    shuffled = files[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert written(files) == written(shuffled)


@pytest.mark.parametrize(
    ("parts", "extended"),
    [
        (["a" * 100], False),
        (["a" * 101], True),
        (["a" * 99, "b" * 100], False),
        (["a" * 99, "b" * 101], True),
        (["a" * 90, "c" * 60, "b" * 100], False),
        (["a" * 90, "c" * 90, "b" * 100], True),
        (["ü"], True),
    ],
)
def test_extended_headers_stand_only_where_a_path_has_no_room(parts: list[str], extended: bool) -> None:  # noqa: FBT001
    path = "/".join(parts)
    content = written([tars.held(path, b"x")])
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8") as archive:
        assert [member.name for member in archive if member.isfile()] == [path]
    assert (b"PaxHeader" in content) == extended


def test_a_large_file_states_its_size_in_an_extended_header() -> None:
    size = 9 * 1024**3
    header = tars._headers("model.bin", tars.File("model.bin", 0o644, size, list))
    info = tarfile.TarInfo.frombuf(header[-512:], "utf-8", "strict")
    assert info.size == 0
    assert b"19 size=9663676416\n" in header


@pytest.mark.parametrize("target", ["b", "../x/" + "y" * 94, "../" + "ü" * 50, "../" + "z" * 200])
def test_a_link_is_one(target: str) -> None:
    content = written([tars.link("a/link", target), tars.held("a/b", b"x")])
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8") as archive:
        member = archive.getmember("a/link")
        assert (member.issym(), member.linkname, member.size, member.mode) == (True, target, 0, 0o777)
        assert archive.extractfile("a/b").read() == b"x"  # type: ignore[union-attr]
    assert (b"linkpath=" in content) == (len(target.encode()) > 100 or not target.isascii())


def test_content_of_another_size_than_was_said_is_refused() -> None:
    with pytest.raises(IntegrityError) as caught:
        tars.write([tars.File("a/b", 0o644, 3, lambda: (b"ab",))], io.BytesIO())
    assert caught.value.message == "a/b: has 2 bytes, of 3 that were to come"
    assert caught.value.hint == "Run the build again."


def test_gzip_is_one_member_without_a_date(tmp_path: Path) -> None:
    content = written([tars.held(f"file {number}", bytes([number]) * 5000) for number in range(50)])
    (tmp_path / "x.tar").write_bytes(content)
    told = tars.gzip(tmp_path / "x.tar", tmp_path / "x.tar.gz")
    packed = (tmp_path / "x.tar.gz").read_bytes()
    assert told == (hashlib.sha256(packed).hexdigest(), len(packed))
    assert packed[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"  # no name, no date
    member = zlib.decompressobj(31)
    assert member.decompress(packed) == content == gzip.decompress(packed)
    assert member.eof
    assert member.unused_data == b""
