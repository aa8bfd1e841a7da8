"""Tars that an engine gives: what is taken of them, and what is refused."""

from __future__ import annotations

import contextlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import IntegrityError, LaminaError, UsageError
from lamina.taken.tree import Budget, File, read

if TYPE_CHECKING:
    from collections.abc import Iterator

Entry = tuple[str, bytes, bytes | str]

LOOK = "Look at that path in the image, or take another image."


def tar(*entries: Entry) -> bytes:
    """Entries of a name, a type, and content or link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, value in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            content = value if isinstance(value, bytes) else b""
            info.size = len(content)
            info.linkname = value if isinstance(value, str) else ""
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def pieces(content: bytes, size: int = 700) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def taken(*entries: Entry, most_bytes: int = 10_000, most_files: int = 100) -> list[File]:
    return read(pieces(tar(*entries)), "/usr/share/data", "base:1", Budget("base:1", most_bytes, most_files))


def test_all_files_below_a_folder_with_links_replaced() -> None:
    found = taken(
        ("data/", tarfile.DIRTYPE, b""),
        ("data/b", tarfile.SYMTYPE, "sub/a"),
        ("data/sub/", tarfile.DIRTYPE, b""),
        ("data/sub/a", tarfile.REGTYPE, b"x" * 2000),
        ("data/c", tarfile.SYMTYPE, "/usr/share/data/b"),
        ("data/d", tarfile.LNKTYPE, "data/sub/a"),
        ("data/" + "l" * 150, tarfile.REGTYPE, b"long"),
    )
    whole = b"x" * 2000
    assert found == [
        File("/usr/share/data/b", whole),
        File("/usr/share/data/c", whole),
        File("/usr/share/data/d", whole),
        File("/usr/share/data/" + "l" * 150, b"long"),
        File("/usr/share/data/sub/a", whole),
    ]


def test_a_single_file() -> None:
    assert taken(("data", tarfile.REGTYPE, b"1")) == [File("/usr/share/data", b"1")]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("data/../../etc/x", tarfile.REGTYPE, b""), "'data/../../etc/x': a path that leaves the wheel"),
        (("/data/x", tarfile.REGTYPE, b""), "'/data/x': an absolute path"),
        (("other/x", tarfile.REGTYPE, b""), "'other/x' is not below data"),
        (("data/a\nb", tarfile.REGTYPE, b""), "'data/a\\nb': a control character in a path"),
        (("data/null", tarfile.CHRTYPE, b""), "/usr/share/data/null is a device, socket or pipe"),
        (("data/pipe", tarfile.FIFOTYPE, b""), "/usr/share/data/pipe is a device, socket or pipe"),
        (("data/x", tarfile.REGTYPE, b"2"), "/usr/share/data/x comes twice"),
    ],
)
def test_refuses_what_no_such_tar_holds(entry: Entry, message: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        taken(("data/x", tarfile.REGTYPE, b"1"), entry)
    assert caught.value.message == (f"base:1: /usr/share/data: what the engine gives of it cannot be used: {message}")
    assert caught.value.hint == LOOK


def test_refuses_a_tar_that_breaks_off() -> None:
    content = tar(("data/x", tarfile.REGTYPE, b"1" * 2000))[:1500]
    with pytest.raises(IntegrityError) as caught:
        read(pieces(content), "/usr/share/data", "base:1", Budget("base:1", 10_000, 10))
    assert caught.value.message == (
        "base:1: /usr/share/data: what the engine gives of it cannot be used: breaks off in a file"
    )


@pytest.mark.parametrize(
    ("target", "resolved"),
    [
        ("/etc/shadow", "/etc/shadow"),
        ("../../../etc/shadow", "/etc/shadow"),
        ("gone", "/usr/share/data/gone"),
        ("sub", "/usr/share/data/sub"),
        ("link", "/usr/share/data/link"),
    ],
)
def test_refuses_a_link_that_leads_to_no_file_of_the_folder(target: str, resolved: str) -> None:
    with pytest.raises(UsageError) as caught:
        taken(("data/sub/", tarfile.DIRTYPE, b""), ("data/link", tarfile.SYMTYPE, target))
    assert caught.value.message == (
        f"base:1: /usr/share/data/link: is a link to {resolved!r}, which is no file of the folder that is taken"
    )
    assert caught.value.hint == (
        "Name the files that are needed in overlay.from-image one by one, or the folder that the link leads to."
    )


@pytest.mark.parametrize(("most_bytes", "most_files"), [(1999, 100), (10_000, 1), (3999, 100)])
def test_refuses_more_than_may_be_taken(most_bytes: int, most_files: int) -> None:
    with pytest.raises(UsageError) as caught:
        taken(
            ("data/a", tarfile.REGTYPE, b"1" * 2000),
            ("data/b", tarfile.SYMTYPE, "a"),
            most_bytes=most_bytes,
            most_files=most_files,
        )
    assert caught.value.message.endswith(
        f": with it more than {most_bytes:,} bytes in {most_files:,} files and folders would be taken"
    )


def test_a_lie_about_the_size_costs_no_memory() -> None:
    info = tarfile.TarInfo("data/x")
    info.size = 8 * 1024**3
    with pytest.raises(UsageError):
        read(pieces(info.tobuf(tarfile.GNU_FORMAT)), "/usr/share/data", "base:1", Budget("base:1", 10_000, 10))


@given(st.binary(max_size=3000), st.integers(0, 2000))
def test_whatever_comes_is_read_or_refused(noise: bytes, at: int) -> None:
    good = tar(("data/x", tarfile.REGTYPE, b"1" * 600), ("data/l", tarfile.SYMTYPE, "x"))
    content = good[:at] + noise + good[at + len(noise) :]
    with contextlib.suppress(LaminaError):
        found = read(pieces(content), "/usr/share/data", "base:1", Budget("base:1", 10_000, 10))
        assert all(file.path.startswith("/usr/share/data") and len(file.content) <= 10_000 for file in found)
