"""The one file out of a container: whatever the tar holds, a wheel of bounded size or a sentence."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from lamina.errors import IntegrityError
from lamina.local.received import receive

MOST = 1000


def tar(*members: tuple[str, bytes, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "elsewhere"
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def pieces(content: bytes, size: int = 100) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def received(content: bytes, size: int = 100) -> bytes:
    out = io.BytesIO()
    receive(pieces(content, size), out, "x", MOST)
    return out.getvalue()


def refused(content: bytes) -> str:
    with pytest.raises(IntegrityError) as caught:
        receive(pieces(content), io.BytesIO(), "./app", MOST)
    assert caught.value.hint == (
        "What ran in the container left something else than a wheel; look at the sources that were built."
    )
    return caught.value.message


@pytest.mark.parametrize("size", [1, 100, 512, 1 << 20])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("name", ["wheel", "../../" + "é" * 150])
def test_one_file_whatever_its_name(size: int, form: int, name: str) -> None:
    assert received(tar((name, tarfile.REGTYPE, b"x" * 700), form=form), size) == b"x" * 700


def test_what_is_no_single_file() -> None:
    file = ("wheel", tarfile.REGTYPE, b"x")
    assert refused(tar(file, file)) == "./app: what the build left holds more than one file"
    assert refused(tar()) == "./app: what the build left holds no file"
    assert refused(b"") == "./app: what the build left holds no file"
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        assert refused(tar(("wheel", kind, b""))) == "./app: what the build left holds something else than a file"


def test_sizes_that_are_lies() -> None:
    whole = tar(("wheel", tarfile.REGTYPE, b"x" * 700))
    assert refused(whole[:900]) == "./app: what the build left breaks off in a file"
    huge = tarfile.TarInfo("wheel")
    huge.size = 1 << 50
    message = "./app: what the build left holds a wheel of 1,125,899,906,842,624 bytes; at most 1,000 are taken"
    assert refused(huge.tobuf(tarfile.GNU_FORMAT)) == message
    huge.type = tarfile.XHDTYPE
    assert refused(huge.tobuf(tarfile.GNU_FORMAT)) == (
        "./app: what the build left has a header of 1,125,899,906,842,624 bytes"
    )
    assert refused(b"rubbish" * 200).startswith("./app: what the build left has a header that cannot be read: ")


def test_headers_without_end() -> None:
    header = tarfile.TarInfo("more")
    header.type = tarfile.XHDTYPE
    endless = (header.tobuf() for _ in iter(int, 1))
    with pytest.raises(IntegrityError, match="left has more than 8 headers of one file"):
        receive(endless, io.BytesIO(), "./app", MOST)
