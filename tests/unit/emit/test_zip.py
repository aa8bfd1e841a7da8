"""The zip, walked byte for byte: nothing in it is unreferenced, nothing in it tells of the machine."""

from __future__ import annotations

import gc
import hashlib
import io
import random
import struct
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import pytest

from lamina.emit import layout
from lamina.emit import zip as zips
from lamina.errors import FindingsError
from lamina.layer import Layer, assemble
from lamina.overlay import Generated
from lamina.part.make import libdeflate
from lamina.part.model import PLAIN, SCRIPT, Entry
from lamina.prune.decide import decide
from lamina.recipe import Prune
from lamina.zipformat import MOST_CLASSIC_BYTES, end_of_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    Forge = Callable[..., Path]
    MakePart = Callable[[Path], Any]

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
NOTICES = Generated("licenses/test.txt", b"notices\n" * 20, PLAIN, "lamina")


class Record(NamedTuple):
    """One record of the directory, as it was found."""

    path: str
    method: int
    crc: int
    compressed: int
    size: int
    mode: int
    offset: int


def walk(data: bytes) -> list[Record]:
    """Read a zip from its first byte to its last: each belongs to something, and each field is the fixed one."""
    locals_ = {}
    at = 0
    while data[at : at + 4] == b"PK\3\4":
        _, needed, flags, method, time, date, crc, compressed, size, name, extra = LOCAL.unpack_from(data, at)
        path = data[at + 30 : at + 30 + name]
        assert (needed, flags, time, date, extra) == (20, 0 if path.isascii() else 0x800, 0, 0x41, 0)
        locals_[at] = (path, method, crc, compressed, size)
        at += 30 + name + compressed
    directory = at
    found = []
    while data[at : at + 4] == b"PK\1\2":
        fields = CENTRAL.unpack_from(data, at)
        (
            _,
            made,
            needed,
            flags,
            method,
            time,
            date,
            crc,
            compressed,
            size,
            name,
            extra,
            comment,
            disk,
            inner,
            mode,
            to,
        ) = fields
        path = data[at + 46 : at + 46 + name]
        assert (made, needed, flags) == (0x314, 20, 0 if path.isascii() else 0x800)
        assert (time, date, extra, comment, disk, inner) == (0, 0x41, 0, 0, 0, 0)
        assert locals_.pop(to) == (path, method, crc, compressed, size)
        assert mode & 0xFFFF == 0
        found.append(Record(path.decode(), method, crc, compressed, size, mode >> 16, to))
        at += 46 + name
    assert locals_ == {}, "local records that nothing refers to"
    size = at - directory
    count = len(found)
    if count > 65_535:
        zip64 = (b"PK\6\6", 44, 0x314, 45, 0, 0, count, count, size, directory)
        assert struct.unpack_from("<4sQHHIIQQQQ", data, at) == zip64
        assert struct.unpack_from("<4sIQI", data, at + 56) == (b"PK\6\7", 0, at, 1)
        at += 56 + 20
        count = 65_535
    assert END.unpack_from(data, at) == (b"PK\5\6", 0, 0, count, count, size, directory, 0)
    assert len(data) == at + END.size
    return found


def written(layer: Layer, data: Sequence[bytes], folder: Path) -> bytes:
    """Draw and write a layer whose parts hold these bytes; size and digest are what was promised."""
    keys = [f"{number:02x}" for number in range(len(data))]
    for key, content in zip(keys, data, strict=True):
        folder.joinpath(key).write_bytes(content)
    blueprint = layout.draw(layer, keys, libdeflate)
    out = io.BytesIO()
    digest = zips.write(blueprint, folder.joinpath, out)
    assert digest == hashlib.sha256(out.getvalue()).hexdigest()
    assert blueprint.zipped_bytes == len(out.getvalue())
    return out.getvalue()


def layer_of(parts: Sequence[Any], prune: Prune | None = None, overlay: Sequence[Generated] = ()) -> Layer:
    pairs = [part.pair for part in parts]
    decisions = decide(pairs, prune or Prune())
    return assemble(
        pairs, decisions, interpreter="/var/lang/bin/python3.11", overlay=overlay, notices=NOTICES, trim=True
    )


def test_a_zip_of_two_wheels(forge: Forge, make_part: MakePart, tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(3000)  # noqa: S311 - any bytes that do not compress
    one = {
        "one/__init__.py": "import os\n" * 30,
        "one/tests/test_x.py": "x" * 500,
        "one/x.so": b"\x7fELF" + bytes(999),
        "one/noise.bin": noise,
        "one/empty": "",
        "one/ünï.txt": "ü" * 99,
        "one-1.0.data/scripts/tool": "#!python\n",
        "shared.txt": "shared\n" * 9,
    }
    two = {"two/__init__.py": "", "shared.txt": "shared\n" * 9, "two/docs/x": "", "two/z.py": "#!/bin/sh\n"}
    parts = [
        make_part(forge("one", files=one, stored=True)),
        make_part(forge("two", files=two, metadata={"entry_points.txt": "[console_scripts]\ncmd = two:main\n"})),
    ]
    overlay = [Generated("lib/ö", b"", PLAIN, "the overlay"), Generated("bin/run", b"#!/bin/sh\n" * 30, SCRIPT, "x")]
    layer = layer_of(parts, overlay=overlay)
    data = written(layer, [part.data for part in parts], tmp_path)
    records = walk(data)
    paths = [record.path for record in records]
    assert paths == sorted(paths, key=str.encode)
    assert len(set(paths)) == len(paths) == layer.files
    assert sum(record.size for record in records) == layer.unzipped_bytes
    modes = {record.path: oct(record.mode) for record in records}
    executable = {path for path, mode in modes.items() if mode == "0o100755"}
    assert executable == {"python/one/x.so", "python/two/z.py", "bin/tool", "bin/cmd", "bin/run"}
    assert {mode for path, mode in modes.items() if path not in executable} == {"0o100644"}
    stored = {record.path for record in records if record.method == 0}
    assert {"python/one/noise.bin", "python/one/empty", "lib/ö"} <= stored
    assert not {"python/one/__init__.py", "python/one/x.so", "licenses/test.txt"} & stored
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.comment == b""
        assert {info.date_time for info in archive.infolist()} == {(1980, 2, 1, 0, 0, 0)}
        assert archive.namelist() == paths
        assert archive.read("python/one/noise.bin") == noise
        assert archive.read("python/one/ünï.txt").decode() == "ü" * 99
        assert archive.read("licenses/test.txt") == NOTICES.content
        assert archive.read("lib/ö") == b""
    assert not [path for path in paths if "/tests/" in path or "/docs/" in path]
    assert paths.count("python/shared.txt") == 1


def test_order_of_data_is_that_of_the_parts(forge: Forge, make_part: MakePart, tmp_path: Path) -> None:
    parts = [make_part(forge(name, files={f"{name}.py": ""})) for name in ("zzz", "aaa")]
    records = walk(written(layer_of(parts), [part.data for part in parts], tmp_path))
    by_place = [record.path for record in sorted(records, key=lambda record: record.offset)]
    assert by_place == [
        "python/zzz-1.0.dist-info/METADATA",
        "python/zzz-1.0.dist-info/WHEEL",
        "python/zzz.py",
        "python/aaa-1.0.dist-info/METADATA",
        "python/aaa-1.0.dist-info/WHEEL",
        "python/aaa.py",
        "licenses/test.txt",
        "python/aaa-1.0.dist-info/RECORD",
        "python/zzz-1.0.dist-info/RECORD",
    ]


@pytest.mark.parametrize("drop", [(), ("a",), ("b", "c"), ("a", "z"), ("a", "c", "z"), ("**",)])
def test_neighbours_are_one_range(forge: Forge, make_part: MakePart, tmp_path: Path, drop: tuple[str, ...]) -> None:
    part = make_part(forge(files={name: name * 50 for name in "abcdz"}))
    layer = layer_of([part], Prune(drop=drop))
    (piece,) = layout.draw(layer, ["00"], libdeflate).pieces
    paths = [entry.path for entry in part.index.entries]
    runs = 0
    before = None
    for path in [entry.path for entry in layer.picks[0]]:
        here = paths.index(path)
        runs += before is None or here != before + 1
        before = here
    assert len(piece.ranges) == 2 * runs
    assert len(walk(written(layer, [part.data], tmp_path))) == layer.files


def generated(count: int) -> Layer:
    files = tuple(Generated(f"f/{number:05}", b"", PLAIN, "x") for number in range(count))
    return Layer((), files, ())


@pytest.mark.parametrize("count", [0, 1, 65_535])
def test_no_zip64_up_to_what_a_classic_zip_holds(tmp_path: Path, count: int) -> None:
    data = written(generated(count), [], tmp_path)
    assert b"PK\6\6" not in data
    assert b"PK\6\7" not in data
    assert len(walk(data)) == count
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.namelist()) == count


@pytest.mark.parametrize("count", [65_536])
def test_zip64_above(tmp_path: Path, count: int) -> None:
    data = written(generated(count), [], tmp_path)
    assert len(walk(data)) == count
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.namelist()) == count
        assert archive.read(f"f/{count - 1:05}") == b""


def test_no_zip_beyond_four_gigabytes() -> None:
    assert len(end_of_directory(1, 10, MOST_CLASSIC_BYTES - 10)) == END.size
    message = "a layer of 4,294,967,296 bytes zipped: sixteen times what Lambda takes unzipped"
    with pytest.raises(FindingsError, match=message) as caught:
        end_of_directory(1, 10, MOST_CLASSIC_BYTES - 9)
    assert caught.value.hint == (
        "Require fewer packages, omit what is never imported, or ship an image instead of a layer."
    )
    half = Entry("x", 0, 2**31, 0, 0, 2**31 - 31, 2**31 - 31, PLAIN, b"")
    with pytest.raises(FindingsError, match=message):
        layout.draw(Layer(((half,), (half,)), (), ()), ["a", "b"], libdeflate)
    third = Entry("x", 0, 2**31 + 1, 0, 0, 2**31, 2**31, PLAIN, b"")
    with pytest.raises(FindingsError, match="a layer of 6,442,450,947 bytes zipped"):
        layout.draw(Layer(((third,) * 3,), (), ()), ["a"], libdeflate)


def test_damaged_parts_are_no_crash(forge: Forge, make_part: MakePart, tmp_path: Path) -> None:
    """What the planner heals: a part that is gone, empty or too short ends in one of three errors."""
    part = make_part(forge(files={"pkg.py": "import os\n" * 30}))
    blueprint = layout.draw(layer_of([part]), ["part"], libdeflate)
    path = tmp_path / "part"
    with pytest.raises(FileNotFoundError):
        zips.write(blueprint, tmp_path.joinpath, io.BytesIO())
    path.touch()
    with pytest.raises(ValueError, match="empty"):
        zips.write(blueprint, tmp_path.joinpath, io.BytesIO())
    path.write_bytes(part.data[:-1])
    with pytest.raises(EOFError, match="part part ends before its last entry"):
        zips.write(blueprint, tmp_path.joinpath, io.BytesIO())
    path.write_bytes(part.data)
    whole = zips.write(blueprint, tmp_path.joinpath, io.BytesIO())
    path.write_bytes(part.data[:40] + b"!" + part.data[41:])
    assert zips.write(blueprint, tmp_path.joinpath, io.BytesIO()) != whole


def test_a_part_that_gives_nothing_is_not_opened(forge: Forge, make_part: MakePart, tmp_path: Path) -> None:
    part = make_part(forge(files={"pkg.py": ""}))
    layer = layer_of([part], Prune(drop=("**",)))
    blueprint = layout.draw(layer, ["nowhere"], libdeflate)
    out = io.BytesIO()
    zips.write(blueprint, tmp_path.joinpath, out)
    assert [record.path for record in walk(out.getvalue())] == ["licenses/test.txt"]


def test_writing_leaves_no_file_open(forge: Forge, make_part: MakePart, tmp_path: Path) -> None:
    part = make_part(forge(files={"pkg.py": "x" * 999}))
    written(layer_of([part]), [part.data], tmp_path)
    (tmp_path / "00").unlink()  # Windows refuses this for a file that is open; elsewhere a warning is an error
    gc.collect()
