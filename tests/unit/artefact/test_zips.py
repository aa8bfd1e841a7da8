"""Zips of any maker: what is in them, and every lie with its whole message."""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamina import archive
from lamina.artefact import gathered, links, open_artefact
from lamina.errors import UsageError
from lamina.part.model import EntryPoint

LINK, DEVICE, FOLDER = 0o120777, 0o020644, 0o040755
REPACK = "Pack it again from a folder in which it has a plain relative path."
REBUILD = "Make it again, or fetch it again: a copy that broke off looks like this."
Zipped = Callable[..., str]


def told(name: str, **kwargs: object) -> list[tuple[str, str, str]]:
    """Code, path and message of what reading found."""
    return [(found.code, found.path, found.message) for found in open_artefact(name, **kwargs).findings]  # type: ignore[arg-type]


def test_a_layer_as_lambda_gets_it(zipped: Zipped, native: bytes) -> None:
    name = zipped(
        {
            "python/": (b"", FOLDER),
            "python/pkg/__init__.py": b"import os\n",
            "python/pkg/x.so": (native, 0o100755),
            "python/pkg/__pycache__/a.pyc": b"\xa7\r\r\n" + bytes(12),
            "bin/tool": (b"#!/usr/bin/env python\n", 0o100755),
            "lib/liba.so": (b"liba.so.1", LINK),
            "lib/liba.so.1": b"no library",
        }
    )
    layer = open_artefact(name)
    items = {item.path: item for item in layer.items}
    assert (layer.name, layer.kind, layer.findings, layer.zipped) == (name, "layer", (), Path(name).stat().st_size)
    assert list(items) == sorted(items)
    assert items["python"].kind == "folder"
    assert items["python"].mode == 0o755
    source = items["python/pkg/__init__.py"].source
    assert source is not None
    assert [imported.module for imported in source.imports] == ["os"]
    assert items["python/pkg/__init__.py"].place == "/opt/python/pkg/__init__.py"
    binary = items["python/pkg/x.so"].binary
    assert binary is not None
    assert not binary.damage
    assert items["python/pkg/x.so"].mode == 0o755
    assert items["python/pkg/x.so"].size == len(native)
    assert items["python/pkg/__pycache__/a.pyc"].magic == b"\xa7\r\r\n"
    assert items["bin/tool"].script
    assert (items["lib/liba.so"].kind, items["lib/liba.so"].target) == ("link", "liba.so.1")
    assert items["lib/liba.so.1"].binary is None
    assert layer.unzipped == len(native) + 10 + 16 + 22 + 10


def test_sources_only_where_asked_for(zipped: Zipped) -> None:
    layer = open_artefact(zipped({"python/a.py": b"import os\n"}), sources=False)
    assert [item.source for item in layer.items] == [None]


def test_a_large_native_file_goes_through_a_file(
    zipped: Zipped, native: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = zipped({"python/x.so": native})
    [whole] = open_artefact(name).items
    monkeypatch.setattr("lamina.binary.gather._IN_MEMORY", 1000)
    assert open_artefact(name).items == (whole,)
    assert whole.binary is not None


def test_sources_are_read_up_to_what_a_function_can_hold(zipped: Zipped, monkeypatch: pytest.MonkeyPatch) -> None:
    name = zipped({"python/a.py": b"import os\n", "python/b.py": b"import os\n", "python/c.txt": b"x" * 100})
    monkeypatch.setattr(gathered, "_MOST_SOURCE_BYTES", 15)
    assert [item.source is not None for item in open_artefact(name).items] == [True, False, False]


def test_links_that_take_too_long_to_follow(zipped: Zipped, monkeypatch: pytest.MonkeyPatch) -> None:
    name = zipped({f"python/{number}": (b"./" * 20 + b"0.py", LINK) for number in range(3)} | {"python/0.py": b""})
    assert told(name) == []
    monkeypatch.setattr(links, "_MOST_STEPS", 30)
    assert told(name) == [("unsafe-path", "python/2", "is one of 3 links, too long and too many to follow")]


def test_modes_count_only_where_unix_stated_them(zipped: Zipped) -> None:
    assert open_artefact(zipped({"python/a.py": (b"", 0o100600)}, system=0)).items[0].mode is None
    assert open_artefact(zipped({"python/a.py": (b"", 0)})).items[0].mode is None
    assert open_artefact(zipped({"python/a.py": (b"", 0o100600)})).items[0].mode == 0o600


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc/passwd", "an absolute path"),
        ("../up.py", "a path that leaves the folder it is unpacked in"),
        ("python/../../up.py", "a path that leaves the folder it is unpacked in"),
        ("C:/x.py", "a path with a drive letter"),
        (
            "python\\pkg\\a.py",
            "a backslash in a path: Linux takes it for a part of the file's name, and Python finds no package",
        ),
    ],
)
def test_a_path_that_must_not_be_unpacked(zipped: Zipped, path: str, message: str) -> None:
    name = zipped({"python/a.py": b"", path: b""})
    assert told(name) == [("unsafe-path", path, message)]
    assert [item.path for item in open_artefact(name).items] == ["python/a.py"]


def test_a_control_character_is_shown_escaped(zipped: Zipped) -> None:
    assert told(zipped({"python/a\x1b[31m.py": b""})) == [
        ("unsafe-path", "python/a\\x1b[31m.py", "a control character in a path")
    ]


def test_many_paths_of_one_mistake_are_one_finding(zipped: Zipped) -> None:
    [found] = open_artefact(zipped({f"python\\{number}.py": b"" for number in range(6)})).findings
    assert found.path == "python\\0.py"
    assert found.message == (
        "a backslash in a path: Linux takes it for a part of the file's name, and Python finds no package "
        "(6 such paths; this is the first)"
    )
    assert found.hint == "Pack it again with a tool that writes / between folders, as Python's zipfile does."


def test_duplicates_devices_and_a_file_used_as_a_folder(zipped: Zipped) -> None:
    files = [("python/a.py", b"1"), ("python/a.py", b"22"), ("python/d", (b"", DEVICE)), ("python/f", b"")]
    with pytest.warns(UserWarning, match="Duplicate name"):
        name = zipped([*files, ("python/f/g.py", b"")])
    assert told(name) == [
        ("unsafe-path", "python/a.py", "is there twice: which of the two is unpacked depends on the tool"),
        ("unsafe-path", "python/d", "a device, socket or pipe"),
        ("unsafe-path", "python/f", "is a file and a folder: what is below it cannot be unpacked"),
    ]
    assert next(item for item in open_artefact(name).items if item.path == "python/a.py").size == 2


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("b.py", ""),
        ("./../python/./b.py", ""),
        ("d", ""),
        ("d/c.py", ""),
        ("good", ""),
        ("gone", "which is not there"),
        ("b.py/x", "which is not there"),
        ("../../etc/passwd", "which leads out of the artefact"),
        (
            "/opt/python/b.py",
            "which leads to an absolute path: where Lambda unpacks it, that is something else, or nothing",
        ),
        ("link", "which leads round in a circle"),
        ("", "which is no path"),
    ],
)
def test_where_a_link_leads(zipped: Zipped, target: str, what: str) -> None:
    files = {"python/b.py": b"", "python/d/c.py": b"", "python/good": (b"d/c.py", LINK)}
    name = zipped({**files, "python/link": (target.encode(), LINK)})
    expected = [("unsafe-path", "python/link", f"is a link to {target}, {what}")] if what else []
    assert told(name) == expected


def test_content_that_is_not_what_the_directory_says(zipped: Zipped) -> None:
    name = zipped({"python/a.py": b"x = 1\n" * 100, "python/b.py": b"good = 1\n"})
    data = bytearray(Path(name).read_bytes())
    at = data.index(b"python/a.py") + len("python/a.py")
    data[at : at + 4] = b"\xff\xff\xff\xff"
    Path(name).write_bytes(data)
    [found] = open_artefact(name).findings
    assert (found.code, found.path, found.hint) == ("damaged-file", "python/a.py", REBUILD)
    assert found.message.startswith("does not inflate: Error -3 while decompressing data")
    read = {item.path: item.source is not None for item in open_artefact(name).items}
    assert read == {"python/a.py": False, "python/b.py": True}


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, 1, "is encrypted: Lambda cannot read it"),
        (10, 12, "is compressed by method 12: every zip reader knows only 0 and 8"),
        (24, 7, "its local header and the directory contradict each other"),
    ],
)
def test_an_entry_that_cannot_be_read(zipped: Zipped, offset: int, value: int, message: str) -> None:
    name = zipped({"python/a.py": b"x"})
    data = bytearray(Path(name).read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + offset, value)
    Path(name).write_bytes(data)
    assert told(name) == [("damaged-file", "python/a.py", message)]


def test_entries_that_share_their_data(zipped: Zipped) -> None:
    name = zipped({"python/a.py": b"x", "python/b.py": b"x"})
    data = bytearray(Path(name).read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 42, 0)
    Path(name).write_bytes(data)
    assert ("damaged-file", "python/b.py", "its data overlaps another entry or the directory") in told(name)


@pytest.mark.parametrize("name", ["a.zip", "pkg-1.0-py3-none-any.whl"])
def test_what_is_named_like_a_zip_and_is_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"hello")
    assert told(str(path)) == [("damaged-file", str(path), "is not a readable zip: File is not a zip file")]
    path.write_bytes(b"")
    assert told(str(path)) == [("damaged-file", str(path), "is empty")]


def test_bombs_are_not_inflated(zipped: Zipped, monkeypatch: pytest.MonkeyPatch) -> None:
    name = zipped({"python/a.py": b"x" * 2000, "python/b.py": b""})
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    assert told(name) == [("damaged-file", name, "unpacks to 2,000 bytes; lamina reads at most 1,000")]
    monkeypatch.setattr(archive, "MOST_ENTRIES", 1)
    assert told(name) == [("damaged-file", name, "2 entries; lamina reads at most 1")]


def test_a_zip_from_the_standard_library(tmp_path: Path) -> None:
    folder = tmp_path / "layer" / "python" / "pkg"
    folder.mkdir(parents=True)
    folder.joinpath("__init__.py").write_bytes(b"")
    name = shutil.make_archive(str(tmp_path / "out"), "zip", tmp_path / "layer")
    layer = open_artefact(name)
    assert layer.findings == ()
    assert [item.path for item in layer.items] == ["python", "python/pkg", "python/pkg/__init__.py"]


def test_a_wheel_stands_where_an_installer_puts_it(forge: Callable[..., Path], native: bytes) -> None:
    path = forge(
        files={
            "pkg/__init__.py": b"",
            "pkg/x.so": native,
            "pkg-1.0.data/scripts/run": b"#!python\n",
            "pkg-1.0.data/data/lib/liba.so": b"",
            "pkg-1.0.data/headers/a.h": b"",
            "other.data/platlib/y.py": b"",
        },
        metadata={"entry_points.txt": "[console_scripts]\nrun = pkg:main\n[odd]\nx = 1 2\n"},
    )
    wheel = open_artefact(str(path))
    assert wheel.kind == "wheel"
    assert wheel.findings == ()
    assert {item.path: item.place for item in wheel.items if "dist-info" not in item.path} == {
        "other.data/platlib/y.py": "/opt/python/y.py",
        "pkg-1.0.data/data/lib/liba.so": "/opt/lib/liba.so",
        "pkg-1.0.data/headers/a.h": "/opt/include/a.h",
        "pkg-1.0.data/scripts/run": "/opt/bin/run",
        "pkg/__init__.py": "/opt/python/pkg/__init__.py",
        "pkg/x.so": "/opt/python/pkg/x.so",
    }
    [package] = wheel.packages
    assert (package.name, package.version, package.folder) == ("pkg", "1.0", "pkg-1.0.dist-info")
    assert package.tags == ("py3-none-any",)
    assert package.metadata
    assert package.entry_points == (EntryPoint("console_scripts", "run", "pkg", "main"),)
    assert package.files == {item.path for item in wheel.items}


def test_packages_of_a_layer_are_read_tolerantly(zipped: Zipped) -> None:
    info = "python/Pkg_A-2.0.dist-info"
    layer = open_artefact(
        zipped(
            {
                "python/pkg.py": b"",
                "bin/run": b"",
                f"{info}/RECORD": b"pkg.py,,\r\n../bin/run,,\r\n../../etc/passwd,,\r\ngone.py,,\r\n",
                f"{info}/entry_points.txt": b"no section",
                "python/b-1.dist-info/METADATA": b"Name: B.b\nVersion: 3\n\nText",
                "python/b-1.dist-info/RECORD": b'"open\xff',
            }
        )
    )
    assert [(pkg.name, pkg.version, pkg.metadata, pkg.files, pkg.entry_points) for pkg in layer.packages] == [
        ("pkg-a", "2.0", False, {"python/pkg.py", "bin/run"}, ()),
        ("b-b", "3", True, set(), ()),
    ]


def test_a_pex_is_told_with_the_way_out(zipped: Zipped) -> None:
    function = open_artefact(zipped({"PEX-INFO": b"{}", "__main__.py": b"", ".deps/a/a.py": b""}, name="app.pex"))
    [found] = function.findings
    assert function.kind == "function"
    assert (found.code, found.path) == ("bad-layout", "PEX-INFO")
    assert found.message == (
        "is a PEX: its packages are below .deps/, where Python does not look until the PEX's own start-up code has "
        "run, and Lambda does not run it"
    )
    assert found.hint == (
        "Export it: pex3 venv create --pex-repository app.pex --layout flat-zipped --prefix python --dest-dir layer "
        "writes layer.zip, with packages below python/; without --prefix python it is a function."
    )


@pytest.fixture(scope="module")
def sample() -> bytes:
    """A zip with everything that the reader looks at."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("python/a.py", b"import os\n" * 20)
        made.writestr("python/a-1.dist-info/METADATA", b"Name: a\nVersion: 1\n")
        made.writestr("python/a-1.dist-info/RECORD", b"a.py,,\n")
        made.writestr("python/x.so", b"\x7fELF\x02\x01\x01" + bytes(57))
        link = zipfile.ZipInfo("python/l")
        link.create_system, link.external_attr = 3, LINK << 16
        made.writestr(link, b"a.py")
    return out.getvalue()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, 2000) | st.none(),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8),
)
def test_no_mutation_crashes(tmp_path: Path, sample: bytes, cut: int | None, changes: list[tuple[int, int]]) -> None:
    data = bytearray(sample)
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path / "fuzz.zip"
    path.write_bytes(bytes(data[:cut]))
    read = open_artefact(str(path))
    assert all(".." not in item.path.split("/") and not item.path.startswith("/") for item in read.items)


def test_what_is_none_of_these(tmp_path: Path) -> None:
    known = "lamina audits layer zips, function zips, wheels, folders, image archives (.tar) and single native files."
    text = tmp_path / "a.txt"
    text.write_bytes(b"hello")
    with pytest.raises(UsageError) as error:
        open_artefact(str(text))
    assert (error.value.message, error.value.hint) == (
        f"{text}: is no zip, wheel, image archive or native file",
        known,
    )
    with pytest.raises(UsageError) as error:
        open_artefact(str(tmp_path / "gone.zip"))
    assert (error.value.message, error.value.hint) == (
        f"{tmp_path / 'gone.zip'}: there is no such file or folder",
        "Check the path; build first.",
    )
    with pytest.raises(UsageError):
        open_artefact("a\0b.zip")
    with pytest.raises(UsageError) as error:
        open_artefact(str(tmp_path), kind="image")
    assert error.value.message == f"{tmp_path}: is no OCI layout: it has no oci-layout and index.json"


def test_a_single_native_file_is_a_layer_with_it(tmp_path: Path, native: bytes) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(native)
    layer = open_artefact(str(path))
    [item] = layer.items
    assert (layer.kind, item.path, item.place, item.mode) == ("layer", "x.so", "/opt/python/x.so", None)
    assert item.binary is not None
