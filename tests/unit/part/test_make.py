"""Wheels become parts: where every file goes, as which bytes, and what is told of it."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

import pytest

from lamina.archive import REPORT
from lamina.errors import IntegrityError, LaminaError, UnsafeWheelError
from lamina.part import make as module
from lamina.part.make import libdeflate, make
from lamina.part.model import ELF, PLAIN, SCRIPT, Entry, EntryPoint, Facts, Index
from lamina.wheel import open_wheel
from lamina.zipformat import DEFLATED, STORED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Forge = Callable[..., Path]

NAME = "pkg-1.0-py3-none-any.whl"
INFO = "pkg-1.0.dist-info"
DATA = "pkg-1.0.data"
METADATA = {f"python/{INFO}/METADATA", f"python/{INFO}/WHEEL"}


class Part(NamedTuple):
    index: Index
    facts: Facts
    data: bytes

    @property
    def files(self) -> dict[str, Entry]:
        """The entries that do not belong to every wheel's metadata."""
        return {entry.path: entry for entry in self.index.entries if entry.path not in METADATA}

    def content(self, path: str) -> bytes:
        """What a reader of the part's bytes alone finds: a local header, then the data that it describes."""
        entry = {entry.path: entry for entry in self.index.entries}[path]
        record = self.data[entry.offset : entry.offset + entry.length]
        fields = struct.unpack_from("<4sHHHHHIIIHH", record)
        name = path.encode()
        flags = 0 if path.isascii() else 0x800
        sizes = (entry.crc, entry.compressed, entry.size)
        assert fields == (b"PK\3\4", 20, flags, entry.method, 0, 0x41, *sizes, len(name), 0)
        assert record[30 : 30 + len(name)] == name
        packed = record[30 + len(name) :]
        assert len(packed) == entry.compressed
        content = zlib.decompress(packed, -15) if entry.method == DEFLATED else packed
        assert (len(content), zlib.crc32(content)) == (entry.size, entry.crc)
        assert hashlib.sha256(content).digest() == entry.sha256
        return content


def part_of(path: Path) -> Part:
    out = io.BytesIO()
    with open_wheel(path, path.name) as wheel:
        index, facts = make(wheel, "ab" * 32, out, libdeflate)
    return Part(index, facts, out.getvalue())


def refusal(path: Path, hint: str = REPORT) -> tuple[type[LaminaError], str]:
    with pytest.raises(LaminaError) as caught:
        part_of(path)
    assert caught.value.hint == hint
    return type(caught.value), caught.value.message


def test_every_byte_of_a_part_is_an_entry(forge: Forge) -> None:
    files = {"pkg/__init__.py": "import os\n" * 50, "pkg/ünïcode.txt": "x" * 100, "pkg/empty": "", "a": "1"}
    part = part_of(forge(files=files))
    index = part.index
    assert (index.name, index.version, index.wheel, index.wheel_sha256) == ("pkg", "1.0", NAME, "ab" * 32)
    assert index.dist_info == f"python/{INFO}"
    assert (index.data_sha256, index.data_bytes) == (hashlib.sha256(part.data).hexdigest(), len(part.data))
    end = 0
    for entry in index.entries:
        assert entry.offset == end
        end += entry.length
    assert end == len(part.data)
    paths = [entry.path for entry in index.entries]
    assert paths == sorted(paths, key=str.encode)
    assert set(paths) == {f"python/{name}" for name in files} | METADATA
    for name, content in files.items():
        assert part.content(f"python/{name}") == content.encode()


def test_copies_what_is_deflated(forge: Forge) -> None:
    path = forge(files={"pkg/a.py": "import os\n" * 50})
    part = part_of(path)
    entry = part.files["python/pkg/a.py"]
    with open_wheel(path, NAME) as wheel:
        source = wheel.entry("pkg/a.py")
        assert source is not None
        with wheel.raw(source) as raw:
            assert part.data[entry.offset + entry.length - entry.compressed : entry.offset + entry.length] == raw


def test_deflates_what_is_stored_where_that_helps(forge: Forge) -> None:
    noise = random.Random(1).randbytes(1000)  # noqa: S311 - any bytes that do not compress
    part = part_of(forge(files={"a": "x" * 1000, "b": noise, "c": ""}, stored=True))
    assert {path: entry.method for path, entry in part.files.items()} == {
        "python/a": DEFLATED,
        "python/b": STORED,
        "python/c": STORED,
    }
    assert part.files["python/a"].compressed < 50
    assert part.content("python/a") == b"x" * 1000
    assert part.content("python/b") == noise
    assert part.content("python/c") == b""


def test_leaves_huge_stored_entries_stored(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_DEFLATED_AT_ONCE", 999)
    part = part_of(forge(files={"a": "x" * 1000, "b": "x" * 999}, stored=True))
    assert [entry.method for entry in part.files.values()] == [STORED, DEFLATED]


def test_places_schemes(forge: Forge) -> None:
    files = {
        "pkg/__init__.py": "",
        f"{DATA}/purelib/pure.py": "pure",
        f"{DATA}/purelib/pkg/more.py": "",
        f"{DATA}/platlib/plat.so": "\x7fELF",
        f"{DATA}/scripts/tool": "#!/bin/sh\n",
        f"{DATA}/scripts/sub/tool": "",
        f"{DATA}/data/lib/libx.so.1": "\x7fELF",
        f"{DATA}/data/share/doc/x.txt": "",
        f"{DATA}/data/etc.conf": "",
        f"{DATA}/data/python/late.py": "",
        f"{DATA}/headers/pkg.h": "",
        f"{DATA}/headers/sub/pkg.h": "",
        "other-1.0.data/scripts/x": "",
        f"pkg/{DATA}/scripts/x": "",
    }
    part = part_of(forge(files=files))
    assert set(part.files) == {
        "python/pkg/__init__.py",
        "python/pure.py",
        "python/pkg/more.py",
        "python/plat.so",
        "bin/tool",
        "bin/sub/tool",
        "lib/libx.so.1",
        "share/doc/x.txt",
        "etc.conf",
        "python/late.py",
        "python/other-1.0.data/scripts/x",
        f"python/pkg/{DATA}/scripts/x",
    }
    assert part.facts.headers_dropped == 2
    assert part.content("python/pure.py") == b"pure"


def test_drops_record_and_its_signatures(forge: Forge) -> None:
    part = part_of(forge(metadata={"RECORD.jws": "{}", "RECORD.p7s": "", "RECORD.txt": "", "sub/RECORD": ""}))
    assert set(part.files) == {f"python/{INFO}/RECORD.txt", f"python/{INFO}/sub/RECORD"}


SCHEMES_HINT = "A wheel's .data folder holds purelib, platlib, scripts, data and headers only."


@pytest.mark.parametrize(("path", "scheme"), [("x.py", "x.py"), ("include/x.h", "include"), ("Scripts/x", "Scripts")])
def test_refuses_unknown_schemes(forge: Forge, path: str, scheme: str) -> None:
    wheel = forge(files={f"{DATA}/{path}": ""})
    expected = f"{NAME}: '{DATA}/{path}': {scheme!r} is no installation scheme"
    assert refusal(wheel, SCHEMES_HINT) == (UnsafeWheelError, expected)


TWICE = [
    ("pkg/a.py", f"{DATA}/purelib/pkg/a.py", "python/pkg/a.py"),
    (f"{DATA}/platlib/a.py", f"{DATA}/purelib/a.py", "python/a.py"),
    ("a.py", f"{DATA}/data/python/a.py", "python/a.py"),
    (f"{DATA}/scripts/a", f"{DATA}/data/bin/a", "bin/a"),
]


@pytest.mark.parametrize(("one", "other", "path"), TWICE)
def test_refuses_two_schemes_with_one_path(forge: Forge, one: str, other: str, path: str) -> None:
    wheel = forge(files={one: "same", other: "same"})
    assert refusal(wheel) == (UnsafeWheelError, f"{NAME}: {one!r} and {other!r} would both become {path}")


def test_refuses_what_collides_only_in_the_layer(forge: Forge) -> None:
    wheel = forge(files={"A.py": "", f"{DATA}/purelib/a.py": ""})
    expected = f"{NAME}: 'python/a.py': collides with 'python/A.py' where case does not count"
    assert refusal(wheel) == (UnsafeWheelError, expected)
    wheel = forge(files={"a": "", f"{DATA}/purelib/a/b.py": ""})
    assert refusal(wheel) == (UnsafeWheelError, f"{NAME}: 'python/a': is a file and a folder")
    record = f"{INFO}/RECORD"
    wheel = forge(files={f"{DATA}/purelib/{record}": ""})
    expected = f"{NAME}: {record!r} and '{DATA}/purelib/{record}' would both become python/{record}"
    assert refusal(wheel) == (UnsafeWheelError, expected)


def test_modes_come_from_content(forge: Forge) -> None:
    files: Mapping[str, bytes] = {
        "pkg/x.so": b"\x7fELF\2\1\1",
        "pkg/program": b"\x7fELF",
        "pkg/text.so": b"INPUT(libx.so.1)",
        "pkg/cli.py": b"#!/usr/bin/env python\n",
        "pkg/run.sh": b"#!/bin/sh\n",
        "pkg/shebang": b"#!",
        "pkg/hash": b"#",
        "pkg/elf": b"\x7fEL",
        "pkg/empty": b"",
        f"{DATA}/scripts/plain": b"no shebang",
    }
    # Whatever the wheel says of modes.
    part = part_of(forge(files=files, modes=dict.fromkeys(files, 0o777)))
    kinds = {path.rpartition("/")[2]: (entry.kind, oct(entry.mode)) for path, entry in part.files.items()}
    assert kinds == {
        "x.so": (ELF, "0o755"),
        "program": (ELF, "0o755"),
        "text.so": (PLAIN, "0o644"),
        "cli.py": (SCRIPT, "0o755"),
        "run.sh": (SCRIPT, "0o755"),
        "shebang": (SCRIPT, "0o755"),
        "hash": (PLAIN, "0o644"),
        "elf": (PLAIN, "0o644"),
        "empty": (PLAIN, "0o644"),
        "plain": (PLAIN, "0o644"),
    }


def test_kind_is_seen_even_where_content_comes_in_crumbs(tmp_path: Path, make_wheel: Callable[..., bytes]) -> None:
    """Two megabytes of empty deflate blocks before each of the first bytes: nothing says that a piece holds four."""
    content = b"\x7fELF and more"
    padding = b"\0\0\0\xff\xff" * 450_000
    packed = b"".join(padding + struct.pack("<BHH", 0, 1, 0xFFFE) + bytes([byte]) for byte in content)
    packed += b"\1\0\0\xff\xff"
    assert zlib.decompress(packed, -15) == content
    path = tmp_path / NAME
    whole = make_wheel(files={"x.so": content}, metadata={"RECORD": ""})
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            if info.filename == "x.so":
                target.writestr(info.filename, packed)
            else:
                target.writestr(info, source.read(info))
    # Tell zipfile's stored entry for the deflated one that it is.
    data = bytearray(path.read_bytes())
    crc = struct.pack("<I", zlib.crc32(packed))
    for start, (method, at) in {data.index(b"PK\3\4"): (8, 14), data.index(b"PK\1\2"): (10, 16)}.items():
        assert data[start + at : start + at + 4] == crc
        data[start + method : start + method + 2] = b"\x08\0"
        data[start + at : start + at + 4] = struct.pack("<I", zlib.crc32(content))
        data[start + at + 8 : start + at + 12] = struct.pack("<I", len(content))
    path.write_bytes(data)
    assert part_of(path).files["python/x.so"].kind == ELF


SHAPED = {
    "plain": b"#!python\nprint()\n",
    "window": b"#!pythonw\r\nprint()\r\n",
    "three": b"#!python3\n",
    "options": b"#!python -E\n",
    "crlf": b"#!/bin/sh\r\necho\r\n",
    "endless": b"#!python",
}
COPIED = {
    "sh": b"#!/bin/sh\necho\n",
    "env": b"#!/usr/bin/env python3\nimport pkg.tests.util\n",
    "space": b"#! python\n",
    "binary": b"\x7fELF#!python",
    "text": b"echo\r\n",
}


def test_scripts_that_depend_on_the_target_wait_for_it(forge: Forge) -> None:
    files = {f"{DATA}/scripts/{name}": content for name, content in {**SHAPED, **COPIED}.items()}
    part = part_of(forge(files=files))
    assert dict(part.facts.scripts) == SHAPED
    assert [name for name, _ in part.facts.scripts] == sorted(SHAPED)
    assert set(part.files) == {f"bin/{name}" for name in COPIED}
    assert part.content("bin/env") == COPIED["env"]


def test_large_scripts_are_copied_unread(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SOURCE_BYTES", 100)
    part = part_of(forge(files={f"{DATA}/scripts/tool": b"#!python\n".ljust(101), "pkg/data.py": "#" * 101}))
    assert (part.facts.scripts, dict(part.facts.sources)) == ((), {})
    assert set(part.files) == {"bin/tool", "python/pkg/data.py"}


def test_scans_modules_pth_files_and_python_scripts(forge: Forge) -> None:
    files = {
        "pkg/__init__.py": "from pkg import tests\n",
        "pkg/broken.py": "def (:\n'",
        "pkg/page.txt": "import os\n",
        "pkg.pth": "import pkg\n",
        f"{DATA}/scripts/env": COPIED["env"],
        f"{DATA}/scripts/plain": SHAPED["plain"],
        f"{DATA}/scripts/sh": COPIED["sh"],
        f"{DATA}/data/python/late.py": "import late_too\n",
    }
    sources = part_of(forge(files=files)).facts.sources
    assert set(sources) == {
        "python/pkg/__init__.py",
        "python/pkg/broken.py",
        "python/pkg.pth",
        "bin/env",
        "bin/plain",
        "python/late.py",
    }
    assert [(found.module, found.names) for found in sources["python/pkg/__init__.py"].imports] == [("pkg", ("tests",))]
    assert [found.module for found in sources["bin/env"].imports] == ["pkg.tests.util"]
    assert not sources["python/pkg/broken.py"].readable


def test_tells_metadata_licences_and_bills(forge: Forge) -> None:
    head = "Metadata-Version: 2.4\nName: pkg\nVersion: 1.0\nAuthor: Jörg\nLicense-File: TERMS\n"
    head += "Classifier: A\nClassifier: B\n"
    metadata = {
        "METADATA": head + "\nText.\n",
        "TERMS": "terms",
        "LICENSE.txt": "mit",
        "licence": "uk",
        "COPYING": "gpl",
        "NOTICE.md": "notice",
        "AUTHORS": "us",
        "licenses/LICENSE": "new",
        "licenses/sub/APACHE": "apache",
        "license_files/BSD": "bsd",
        "sboms/auditwheel.cdx.json": "{}",
        "sboms/sub/x.json": "[]",
        "top_level.txt": "pkg\n",
        "README": "",
        "sub/LICENSE": "deeper",
        "COPYING.latin": "é".encode("latin-1"),
    }
    facts = part_of(forge(metadata=metadata)).facts
    assert facts.metadata == (
        ("Metadata-Version", "2.4"),
        ("Name", "pkg"),
        ("Version", "1.0"),
        ("Author", "Jörg"),
        ("License-File", "TERMS"),
        ("Classifier", "A"),
        ("Classifier", "B"),
    )
    assert dict(facts.licences) == {
        "TERMS": "terms",
        "LICENSE.txt": "mit",
        "licence": "uk",
        "COPYING": "gpl",
        "NOTICE.md": "notice",
        "AUTHORS": "us",
        "licenses/LICENSE": "new",
        "licenses/sub/APACHE": "apache",
        "license_files/BSD": "bsd",
        "COPYING.latin": "é",
    }
    assert facts.sboms == (("sboms/auditwheel.cdx.json", "{}"), ("sboms/sub/x.json", "[]"))


def test_tells_entry_points(forge: Forge) -> None:
    text = """\
[pkg.plugins]
b = pkg.b
a = pkg.a : Class.method [extra, other]
odd name! = pkg.c:thing
; a comment
other = anything goes: here %(x)s

[console_scripts]
tool = pkg.cli:main
Tool.2 = pkg.cli : app.run [extra]
tool=pkg.cli:last

[gui_scripts]
window = pkg.gui:main
"""
    points = part_of(forge(metadata={"entry_points.txt": text})).facts.entry_points
    assert points == (
        EntryPoint("console_scripts", "Tool.2", "pkg.cli", "app.run"),
        EntryPoint("console_scripts", "tool", "pkg.cli", "last"),
        EntryPoint("gui_scripts", "window", "pkg.gui", "main"),
        EntryPoint("pkg.plugins", "a", "pkg.a", "Class.method"),
        EntryPoint("pkg.plugins", "b", "pkg.b", ""),
        EntryPoint("pkg.plugins", "odd name!", "pkg.c", "thing"),
    )


POINTS = f"{NAME}: {INFO}/entry_points.txt: "
BAD_POINTS = [
    ("tool = pkg.cli:main\n", "cannot be read: File contains no section headers."),
    ("[a]\nno equals sign\n", "cannot be read: Source contains parsing errors: '<string>'"),
    (b"[a]\nx = \xff\n", "cannot be read: 'utf-8' codec can't decode byte 0xff in position 8: invalid start byte"),
    ("[console_scripts]\ntool = pkg.cli\n", "tool = pkg.cli: is no command"),
    ("[console_scripts]\ntool = os; x:main\n", "tool = os; x:main: is no command"),
    ("[gui_scripts]\ntool = pkg:a b\n", "tool = pkg:a b: is no command"),
    ("[console_scripts]\n../tool = pkg:main\n", "../tool = pkg:main: is no command"),
    ("[console_scripts]\n/bin/sh = pkg:main\n", "/bin/sh = pkg:main: is no command"),
    ("[console_scripts]\n= pkg:main\n", "cannot be read: Source contains parsing errors: '<string>'"),
]


@pytest.mark.parametrize(("text", "why"), BAD_POINTS)
def test_refuses_entry_points_that_are_none(forge: Forge, text: str | bytes, why: str) -> None:
    wheel = forge(metadata={"entry_points.txt": text})
    assert refusal(wheel, "Lock another version.") == (IntegrityError, POINTS + why)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("..", "a path that leaves the wheel"),
        (".", "a path with an empty segment"),
        ("a\\b", "a backslash in a path"),
        ("a\x1bb", "a control character in a path"),
        ("a\0b", "a control character in a path"),
        ("x" * 256, "a path longer than Linux accepts"),
    ],
)
def test_refuses_commands_that_no_folder_can_hold(forge: Forge, name: str, why: str) -> None:
    wheel = forge(metadata={"entry_points.txt": f"[console_scripts]\n{name} = pkg:main\n"})
    assert refusal(wheel) == (UnsafeWheelError, f"{POINTS}{name!r}: {why}")


def test_the_same_wheel_gives_the_same_part(forge: Forge) -> None:
    files = {"b.py": "import os\n" * 99, "a/x.so": b"\x7fELF" + bytes(5000), f"{DATA}/scripts/tool": "#!python\n"}
    path = forge(files=files, stored=True, metadata={"entry_points.txt": "[console_scripts]\na = b:c\n"})
    assert part_of(path) == part_of(path)
