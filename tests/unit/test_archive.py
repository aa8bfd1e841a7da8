"""Zips that lie: every refusal with its whole message, and what is tolerated."""

from __future__ import annotations

import contextlib
import io
import mmap
import struct
import tracemalloc
import unicodedata
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamina import archive
from lamina.archive import REPORT, Entry, check_collisions, content, directory
from lamina.errors import IntegrityError, LaminaError, UnsafeWheelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

NAME = "pkg-1.0-py3-none-any.whl"
LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
LINK, DEVICE, PIPE, FOLDER, FILE = 0o120777, 0o020644, 0o010644, 0o040755, 0o100644


class Raw(NamedTuple):
    """One entry, written as it is told: ``local`` and ``central`` override single fields of the two headers."""

    name: str | bytes
    content: bytes = b"content\n"
    method: int = 8
    data: bytes | None = None
    flags: int = 0
    mode: int = 0
    extra: bytes = b""
    local: Mapping[str, int | bytes] = {}
    central: Mapping[str, int] = {}
    central_extra: bytes = b""
    behind: bytes = b""


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zipped(*raws: Raw, before: bytes = b"") -> bytes:
    """A zip of these entries, each lie included."""
    out = bytearray(before)
    records = b""
    for raw in raws:
        name = raw.name if isinstance(raw.name, bytes) else raw.name.encode()
        flags = raw.flags | (0 if name.isascii() or isinstance(raw.name, bytes) else 0x800)
        data = raw.data
        if data is None:
            data = raw.content if raw.method == 0 else deflated(raw.content)
        fields: dict[str, int] = {
            "method": raw.method,
            "crc": zlib.crc32(raw.content),
            "compressed": len(data),
            "size": len(raw.content),
            "flags": flags,
        }
        here = {**fields, "name": name, **raw.local}
        offset = len(out)
        local_name = here["name"]
        assert isinstance(local_name, bytes)
        sizes = (here["crc"], here["compressed"], here["size"])
        start = (here.get("signature", b"PK\3\4"), 20, here["flags"], here["method"], 0, 33)
        out += LOCAL.pack(*start, *sizes, len(local_name), len(raw.extra))
        out += local_name + raw.extra + data + raw.behind
        there = {**fields, "offset": offset - len(before), **raw.central}
        sizes = (there["crc"], there["compressed"], there["size"])
        records += CENTRAL.pack(
            b"PK\1\2", 3 << 8 | 20, 20, there["flags"], there["method"], 0, 33, *sizes,
            len(name), len(raw.central_extra), 0, 0, 0, raw.mode << 16, there["offset"],
        ) + name + raw.central_extra  # fmt: skip
    end = END.pack(b"PK\5\6", 0, 0, len(raws), len(raws), len(records), len(out) - len(before), 0)
    return bytes(out) + records + end


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[mmap.mmap, tuple[Entry, ...]]]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        yield buffer, directory(path, NAME, buffer)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, bytes]]:
    """Every entry of a zip with its content."""

    def reader(data: bytes) -> dict[str, bytes]:
        path = tmp_path / "a.zip"
        path.write_bytes(data)
        with opened(path) as (buffer, entries):
            return {entry.name: b"".join(content(buffer, entry, NAME)) for entry in entries}

    return reader


Reader = "Callable[[bytes], dict[str, bytes]]"


def refusal(read: Callable[[bytes], object], data: bytes) -> tuple[type[LaminaError], str]:
    """The class and the message of the error that reading ends in; the hint and the exit code are always the same."""
    with pytest.raises(LaminaError) as caught:
        read(data)
    assert caught.value.hint == REPORT
    assert caught.value.exit_code == 4
    return type(caught.value), caught.value.message


NAMES = [
    ("/etc/passwd", "an absolute path"),
    ("/", "an absolute path"),
    ("//server/share/x", "an absolute path"),
    ("C:/x.py", "a path with a drive letter"),
    ("c:x.py", "a path with a drive letter"),
    ("../x.py", "a path that leaves the wheel"),
    ("pkg/../../x.py", "a path that leaves the wheel"),
    ("pkg/..", "a path that leaves the wheel"),
    ("..", "a path that leaves the wheel"),
    ("pkg\\x.py", "a backslash in a path"),
    ("..\\x.py", "a backslash in a path"),
    ("\\\\server\\x", "a backslash in a path"),
    ("pkg/\0x.py", "a control character in a path"),
    ("pkg/x.py\0.txt", "a control character in a path"),
    ("pkg/a\nb.py", "a control character in a path"),
    ("pkg/a\x1bb.py", "a control character in a path"),
    ("pkg/a\x7fb.py", "a control character in a path"),
    ("pkg/a\x85b.py", "a control character in a path"),
    ("pkg//x.py", "a path with an empty segment"),
    ("./x.py", "a path with an empty segment"),
    ("pkg/./x.py", "a path with an empty segment"),
    ("pkg/.", "a path with an empty segment"),
    ("", "a path with an empty segment"),
    ("pkg//", "a path with an empty segment"),
    ("a" * 256 + ".py", "a path longer than Linux accepts"),
    ("é" * 128, "a path longer than Linux accepts"),
    ("/".join(["d" * 200] * 6), "a path longer than Linux accepts"),
]


@pytest.mark.parametrize(("name", "why"), NAMES, ids=[ascii(name)[:30] for name, _ in NAMES])
def test_refuses_paths(read: Callable[[bytes], object], name: str, why: str) -> None:
    assert refusal(read, zipped(Raw("pkg/a.py"), Raw(name))) == (UnsafeWheelError, f"{NAME}: {name!r}: {why}")


def test_takes_odd_but_legal_names(read: Callable[[bytes], dict[str, bytes]]) -> None:
    names = [
        "pkg/...", "pkg/..a", "pkg/a..", "pkg/ .py", "pkg/a b.py", "pkg/-x", "pkg/~", "pkg/a:b", "pkg/:", "pkg/aux.py",
        "pkg/\u2028.txt", "pkg/naïve.py", "pkg/日本.py", "pkg/\U0001f600", 'pkg/a,b".txt', "a" * 255, "pkg/%2e%2e",
        "/".join(["d" * 99] * 10),
    ]  # fmt: skip
    found = read(zipped(*(Raw(name, name.encode()) for name in names)))
    assert found == {name: name.encode() for name in names}


KINDS = [
    (Raw("x", mode=LINK), "a symbolic link; the wheel format has none, and installers differ on them"),
    (
        Raw("x", b"../../etc/passwd", mode=LINK),
        "a symbolic link; the wheel format has none, and installers differ on them",
    ),
    (Raw("x", mode=DEVICE), "a device, socket or pipe"),
    (Raw("x", mode=PIPE), "a device, socket or pipe"),
    (Raw("x", mode=FOLDER), "a folder by its mode, a file by its name"),
    (Raw("x/"), "a folder with content"),
    (Raw("x", flags=0x1), "encrypted"),
    (Raw("x", flags=0x41), "encrypted"),
    (Raw("x", method=12, data=b"BZh"), "compressed by method 12; wheels are stored or deflated"),
    (Raw("x", method=93, data=b"zstd"), "compressed by method 93; wheels are stored or deflated"),
    (Raw("x", method=9, data=b"deflate64"), "compressed by method 9; wheels are stored or deflated"),
]


@pytest.mark.parametrize(("raw", "why"), KINDS)
def test_refuses_what_is_no_plain_file(read: Callable[[bytes], object], raw: Raw, why: str) -> None:
    assert refusal(read, zipped(raw)) == (UnsafeWheelError, f"{NAME}: {raw.name!r}: {why}")


def test_leaves_folders_out(read: Callable[[bytes], dict[str, bytes]]) -> None:
    folders = [Raw("pkg/", b"", 0, mode=FOLDER), Raw("pkg/", b"", 0, mode=FOLDER), Raw("empty/", b"")]
    assert read(zipped(*folders, Raw("pkg/a", b"a", mode=FILE))) == {"pkg/a": b"a"}


COLLISIONS = [
    (["a/x", "b", "a/x"], "'a/x': is there twice"),
    (["a/x", "a/X"], "'a/X': collides with 'a/x' where case does not count"),
    (["A/x", "a/x"], "'a/x': collides with 'A/x' where case does not count"),
    (["É", "é"], "'é': collides with 'É' where case does not count"),
    (["\u00e9", "e\u0301"], "'e\u0301': collides with '\u00e9' where case does not count"),
    (["\ufb01.py", "fi.py"], "'fi.py': collides with '\ufb01.py' where case does not count"),
    (["pkg/x", "pkg/x/y"], "'pkg/x': is a file and a folder"),
    (["pkg/x/y/z", "pkg/x"], "'pkg/x': is a file and a folder"),
    (["Pkg/X", "pkg/x/y"], "'Pkg/X': is a file and a folder"),
    (["pkg/x", "pkg/x/"], "'pkg/x': is a file and a folder"),
    (["pkg/x/y/", "pkg/x"], "'pkg/x': is a file and a folder"),
]


@pytest.mark.parametrize(("names", "why"), COLLISIONS, ids=[ascii(names) for names, _ in COLLISIONS])
def test_refuses_names_that_collide(read: Callable[[bytes], object], names: list[str], why: str) -> None:
    raws = [Raw(name, b"" if name.endswith("/") else b"same") for name in names]
    assert refusal(read, zipped(*raws)) == (UnsafeWheelError, f"{NAME}: {why}")


def test_takes_folders_that_differ_in_case_only(read: Callable[[bytes], dict[str, bytes]]) -> None:
    assert len(read(zipped(Raw("Pkg/a.py"), Raw("pkg/b.py"), Raw("pkg.py"), Raw("pkg-x/pkg")))) == 4


@given(st.lists(st.text("aAbBéÉ/", min_size=1, max_size=4).filter(lambda name: "//" not in f"/{name}/"), max_size=8))
def test_collisions_are_those_of_a_file_system_without_case(names: list[str]) -> None:
    tree: dict[str, object] = {}

    def place(name: str) -> bool:
        *folders, last = unicodedata.normalize("NFC", name).casefold().split("/")
        here = tree
        for folder in folders:
            inner = here.setdefault(folder, {})
            if not isinstance(inner, dict):
                return False
            here = inner
        if last in here:
            return False
        here[last] = name
        return True

    placed = [place(name) for name in names]
    if all(placed):
        check_collisions(NAME, names)
    else:
        with pytest.raises(UnsafeWheelError):
            check_collisions(NAME, names)


CONTRADICTIONS: list[tuple[str, Raw]] = [
    ("name", Raw("x", local={"name": b"y"})),
    ("longer name", Raw("x", local={"name": b"x.py"})),
    ("name that is no UTF-8", Raw("x", local={"name": b"\xff", "flags": 0x800})),
    ("size", Raw("x", b"12345678", local={"size": 7})),
    ("compressed size", Raw("x", b"12345678", 0, local={"compressed": 7})),
    ("checksum", Raw("x", local={"crc": 1})),
    ("method", Raw("x", local={"method": 0})),
    ("sizes with a descriptor", Raw("x", flags=0x8, local={"size": 7})),
    ("checksum with a descriptor", Raw("x", flags=0x8, local={"crc": 7})),
    ("zeros without a descriptor", Raw("x", local={"crc": 0, "compressed": 0, "size": 0})),
    ("zip64 without its field", Raw("x", local={"compressed": 0xFFFFFFFF, "size": 0xFFFFFFFF})),
    (
        "zip64 sizes",
        Raw(
            "x", b"1234", 0, extra=struct.pack("<HHQQ", 1, 16, 5, 5), local={"compressed": 2**32 - 1, "size": 2**32 - 1}
        ),
    ),
    (
        "short zip64 field",
        Raw("x", b"1234", 0, extra=struct.pack("<HHQ", 1, 8, 4), local={"compressed": 2**32 - 1, "size": 2**32 - 1}),
    ),
    (
        "zip64 field that is cut",
        Raw("x", b"1234", 0, extra=struct.pack("<HHQ", 1, 16, 4), local={"compressed": 2**32 - 1, "size": 2**32 - 1}),
    ),
]


@pytest.mark.parametrize("raw", [raw for _, raw in CONTRADICTIONS], ids=[what for what, _ in CONTRADICTIONS])
def test_refuses_headers_that_contradict_each_other(read: Callable[[bytes], object], raw: Raw) -> None:
    expected = f"{NAME}: 'x': its local header and the directory contradict each other"
    assert refusal(read, zipped(raw)) == (IntegrityError, expected)


def test_takes_sizes_that_follow_the_data(read: Callable[[bytes], dict[str, bytes]]) -> None:
    open_fields = {"crc": 0, "compressed": 0, "size": 0}
    behind = b"PK\7\x08" + struct.pack("<III", zlib.crc32(b"one"), 3, 3)
    raws = (Raw("a", b"one", 0, flags=0x8, local=open_fields, behind=behind), Raw("b", b"two", flags=0x8))
    assert read(zipped(*raws)) == {"a": b"one", "b": b"two"}


def test_takes_zip64_fields(read: Callable[[bytes], dict[str, bytes]]) -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zf,
        zf.open("pkg/large.bin", "w", force_zip64=True) as entry,
    ):
        entry.write(b"content" * 100)
    assert read(out.getvalue()) == {"pkg/large.bin": b"content" * 100}
    extra = struct.pack("<HHI", 0x5455, 4, 0) + struct.pack("<HHQQ", 1, 16, 4, 4)
    raw = Raw("x", b"1234", 0, extra=extra, local={"compressed": 2**32 - 1, "size": 2**32 - 1})
    assert read(zipped(raw)) == {"x": b"1234"}


def test_takes_what_zipfile_streams(read: Callable[[bytes], dict[str, bytes]]) -> None:
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += data
            return len(data)

    out = Stream()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zf:  # type: ignore[arg-type] # it can only be written
        zf.writestr("pkg/a.py", "import this\n")
    assert read(bytes(out.data)) == {"pkg/a.py": b"import this\n"}


def test_reads_behind_a_prefix(read: Callable[[bytes], dict[str, bytes]]) -> None:
    assert read(zipped(Raw("a", b"one"), before=b"#!/bin/sh\n" * 10)) == {"a": b"one"}


def test_refuses_an_entry_without_a_local_header(read: Callable[[bytes], object]) -> None:
    why = "has no local header where the directory points"
    unsigned = zipped(Raw("x", local={"signature": b"PK\1\2"}))
    assert refusal(read, unsigned) == (IntegrityError, f"{NAME}: 'x': {why}")
    beyond = zipped(Raw("x", central={"offset": 10_000}))
    assert refusal(read, beyond) == (IntegrityError, f"{NAME}: 'x': {why}")


def test_refuses_entries_that_overlap(read: Callable[[bytes], object]) -> None:
    whole = zipped(Raw("inner", b"inner"))
    inner = whole[: whole.index(b"PK\1\2")]
    # Two records of one entry; an entry in another's data; data that reaches into the next entry; into the directory.
    twice = zipped(Raw("a", b"one"), Raw("a", b"one", central={"offset": 0}))
    why = "its data overlaps another entry or the directory"
    assert refusal(read, twice) == (UnsafeWheelError, f"{NAME}: 'a': {why}")
    hidden = Raw("outer", inner, 0)
    start = LOCAL.size + len("outer")
    quoted = zipped(hidden, Raw("inner", b"inner", central={"offset": start}))
    assert refusal(read, quoted) == (UnsafeWheelError, f"{NAME}: 'inner': {why}")
    longer = {"compressed": 10, "size": 10}
    reaching = zipped(Raw("a", b"one", 0, local=longer, central=longer), Raw("b", b"two", 0))
    assert refusal(read, reaching) == (UnsafeWheelError, f"{NAME}: 'b': {why}")
    last = zipped(Raw("a", b"one", 0, local=longer, central=longer))
    assert refusal(read, last) == (UnsafeWheelError, f"{NAME}: 'a': {why}")


BAD_DATA = [
    (
        Raw("x", b"12345678", 0, local={"size": 9}, central={"size": 9}),
        "x: holds 8 bytes with CRC-32 9ae0daaf; its directory states 9 with 9ae0daaf",
    ),
    (
        Raw("x", b"12345678", local={"size": 9}, central={"size": 9}),
        "x: holds 8 bytes with CRC-32 9ae0daaf; its directory states 9 with 9ae0daaf",
    ),
    (
        Raw("x", b"12345678", 0, local={"size": 7}, central={"size": 7}),
        "x: holds more than the 7 bytes that its directory states",
    ),
    (
        Raw("x", b"12345678", local={"size": 7}, central={"size": 7}),
        "x: holds more than the 7 bytes that its directory states",
    ),
    (
        Raw("x", b"12345678", local={"crc": 0}, central={"crc": 0}),
        "x: holds 8 bytes with CRC-32 9ae0daaf; its directory states 8 with 00000000",
    ),
    (
        Raw("x", b"12345678", data=b"\xff\xff"),
        "x: does not inflate: Error -3 while decompressing data: invalid block type",
    ),
    (Raw("x", b"12345678", data=deflated(b"12345678")[:-1]), "x: its compressed data does not end where it should"),
    (Raw("x", b"12345678", data=deflated(b"12345678") + b"!"), "x: its compressed data does not end where it should"),
    (Raw("x", b"", data=b""), "x: its compressed data does not end where it should"),
]


@pytest.mark.parametrize(("raw", "why"), BAD_DATA)
def test_refuses_content_that_is_not_what_is_stated(read: Callable[[bytes], object], raw: Raw, why: str) -> None:
    assert refusal(read, zipped(raw)) == (IntegrityError, f"{NAME}: {why}")


def test_refuses_garbage_a_megabyte_behind_the_stream(read: Callable[[bytes], object]) -> None:
    raw = Raw("x", b"12345678", data=deflated(b"12345678").ljust(3 * 1024**2, b"!"))
    assert refusal(read, zipped(raw)) == (
        IntegrityError,
        f"{NAME}: x: its compressed data does not end where it should",
    )


@pytest.mark.parametrize("size", [0, 1, 1024**2 - 1, 1024**2, 1024**2 + 1, 3 * 1024**2])
@pytest.mark.parametrize("method", [0, 8])
def test_reads_content_of_any_length(read: Callable[[bytes], dict[str, bytes]], size: int, method: int) -> None:
    pattern = bytes(range(251))
    data = (pattern * (size // 251 + 1))[:size]
    assert read(zipped(Raw("x", data, method))) == {"x": data}
    zeros = bytes(size)
    assert read(zipped(Raw("x", zeros, method))) == {"x": zeros}


def test_a_bomb_ends_at_its_stated_size(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(1024**2)
    data = b"".join(packer.compress(zeros) for _ in range(128)) + packer.flush()
    assert len(data) < 1024**2
    path = tmp_path / "bomb.zip"
    path.write_bytes(zipped(Raw("x", b"0" * 1000, data=data)))
    tracemalloc.start()
    try:
        with opened(path) as (buffer, entries), pytest.raises(IntegrityError) as caught:
            for _ in content(buffer, entries[0], NAME):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.message == f"{NAME}: x: holds more than the 1,000 bytes that its directory states"
    assert peak < 8 * 1024**2


def test_refuses_more_than_a_wheel_may_unpack_to(read: Callable[[bytes], object]) -> None:
    large = {"size": 2**31 + 1}
    raws = [Raw(f"x{number}", local=large, central=large) for number in range(4)]
    expected = f"{NAME}: unpacks to 8,589,934,596 bytes; lamina reads at most 8,589,934,592"
    assert refusal(read, zipped(*raws)) == (UnsafeWheelError, expected)


def test_refuses_files_that_no_layer_can_hold(read: Callable[[bytes], object]) -> None:
    sizes = {"size": 2**32 - 1, "compressed": 3}
    extra = struct.pack("<HHQ", 1, 8, 2**32 + 5)
    expected = f"{NAME}: 'x': 4,294,967,301 bytes; no file of a layer can have more than 4,294,967,294"
    assert refusal(read, zipped(Raw("x", b"one", 0, central=sizes, central_extra=extra))) == (
        UnsafeWheelError,
        expected,
    )


def test_refuses_more_entries_than_a_wheel_may_have(
    read: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archive.MOST_ENTRIES == 500_000
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    read(zipped(*(Raw(f"x{number}") for number in range(3))))
    expected = f"{NAME}: 4 entries; lamina reads at most 3"
    assert refusal(read, zipped(*(Raw(f"x{number}") for number in range(4)))) == (UnsafeWheelError, expected)


def test_refuses_what_is_no_zip(read: Callable[[bytes], object]) -> None:
    expected = (IntegrityError, f"{NAME}: is not a readable zip: File is not a zip file")
    whole = zipped(Raw("x"), Raw("y"))
    assert refusal(read, b"<html>404</html>") == expected
    assert refusal(read, b"\0" * 100) == expected
    assert refusal(read, whole[:-10]) == expected
    assert refusal(read, whole[: len(whole) // 2]) == expected
    assert refusal(read, b"\x1f\x8b" + whole[2:-4]) == expected


@pytest.mark.parametrize("what", ["name", "offset", "record"])
def test_refuses_a_directory_that_cannot_be_read(read: Callable[[bytes], object], what: str) -> None:
    whole = zipped(Raw("x", flags=0x800))
    at = whole.index(b"PK\1\2")
    changed = {
        "name": whole[: at + 46] + b"\xff" + whole[at + 47 :],
        "offset": whole[:-10] + struct.pack("<I", 2**31) + whole[-6:],
        "record": whole[:at] + b"PK\1\3" + whole[at + 4 :],
    }
    kind, message = refusal(read, changed[what])
    assert kind is IntegrityError
    assert message.startswith(f"{NAME}: ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_refused_or_harmless(read: Callable[[bytes], dict[str, bytes]], data: st.DataObject) -> None:
    """Whatever happens to the bytes of a zip: an error of ours, or entries that hold what they held."""
    files = {"pkg/a.py": b"import os\n" * 20, "pkg/b.bin": bytes(range(256)), "pkg/c": b""}
    whole = zipped(*(Raw(name, text, 8 if name.endswith(".py") else 0) for name, text in files.items()))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        what = data.draw(st.sampled_from(["flip", "cut", "insert", "zero"]))
        if what == "flip":
            damaged[at] ^= 1 << data.draw(st.integers(0, 7))
        elif what == "cut":
            del damaged[at : at + data.draw(st.integers(1, 50))]
        elif what == "zero":
            damaged[at : at + 4] = bytes(len(damaged[at : at + 4]))
        else:
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        if not damaged:
            return
    try:
        found = read(bytes(damaged))
    except (IntegrityError, UnsafeWheelError):
        return
    # A name may be damaged, or a record be lost together with its count; but no name gets another content.
    assert [name for name, text in found.items() if name in files and files[name] != text] == []
