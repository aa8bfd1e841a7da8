"""Tars from front to back, whatever they hold."""

from __future__ import annotations

import io
import itertools
import tarfile

import pytest

from lamina.errors import IntegrityError
from lamina.oci.tars import Pieces, Tar


@pytest.mark.parametrize("size", [1, 7, 512, 100_000])
def test_pieces_of_any_length_are_one_stream(size: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a", "é" * 200):
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(b"x" * 700))
    content = out.getvalue()
    tar = Tar(Pieces(content[start : start + size] for start in range(0, len(content), size)))
    read = [(member.name, len(b"".join(tar.pieces())) if member.name == "a" else -1) for member in tar]
    assert read == [("a", 700), ("é" * 200, -1)]


def test_a_stream_ends_where_its_pieces_do() -> None:
    stream = Pieces([b"abc", b"de"])
    assert (stream.read(2), stream.skip(2), stream.read(9), stream.read(1)) == (b"ab", True, b"e", b"")
    assert Pieces([b"abc"]).skip(4) is False


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_without_end_are_refused(kind: bytes) -> None:
    header = tarfile.TarInfo("more")
    header.type = kind
    with pytest.raises(IntegrityError) as caught:
        list(Tar(Pieces(itertools.repeat(header.tobuf()))))
    assert caught.value.message == "has more than 8 headers of one file"
