"""What is read of an artefact: zips of lamina, of others, damaged and hostile ones, and manifests."""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

import msgspec
import pytest

from lamina.cli.contents import read
from lamina.emit.manifest import Manifest, Package, render
from lamina.errors import IntegrityError, UsageError
from lamina.report.diff import File, Shipped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RECORD = "pkg_one/__init__.py,sha256=x,1\npkg_one-1.0.dist-info/RECORD,,\n../bin/run,,\n"
FILES = {
    "python/pkg_one/__init__.py": "1",
    "python/pkg_one-1.0.dist-info/RECORD": RECORD,
    "bin/run": "#!x",
}


def write(path: Path, files: Mapping[str, str] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    return path


def manifest(path: Path, sha256: str | None) -> Manifest:
    made = Manifest(
        name="x",
        target="cp311-manylinux2014_x86_64",
        runtime="python3.11",
        architecture="x86_64",
        sha256=sha256,
        code_sha256=None,
        zipped_bytes=5,
        unzipped_bytes=6,
        entries=7,
        packages=(Package("pkg-one", "1.0", "w.whl", "0" * 64, 11, 2),),
        findings=(),
        recipe_sha256="",
        lock_sha256="",
        lamina_version="",
    )
    path.write_bytes(render(made))
    return made


def test_zip_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip")
    found = read(str(path))
    assert found.label == str(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.zipped_bytes, found.unzipped_bytes) == (path.stat().st_size, sum(map(len, FILES.values())))
    assert (found.entries, found.findings, found.notes) == (3, None, ())
    assert found.packages == {"pkg-one": Shipped("1.0", None)}
    assert found.files is not None
    assert found.files[0] == File("python/pkg_one/__init__.py", 1, 0x83DCEFB7, 0o644)
    assert found.owners == dict.fromkeys(FILES, "pkg-one")


def test_zip_of_another_tool(tmp_path: Path) -> None:
    """Folders of their own, links, packages at the root as in a function zip."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("python")
        link = zipfile.ZipInfo("python/link.so")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "target.so")
        archive.writestr("six-1.17.0.dist-info/METADATA", "x")
    found = read(str(path))
    assert (found.entries, found.packages) == (2, {"six": Shipped("1.17.0", None)})


def test_manifest_beside_a_zip(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip")
    manifest(tmp_path / "a.json", hashlib.sha256(path.read_bytes()).hexdigest())
    found = read(str(path))
    assert (found.packages, found.findings, found.notes) == ({"pkg-one": Shipped("1.0", 11)}, (), ())
    manifest(tmp_path / "a.json", "0" * 64)
    found = read(str(path))
    assert (found.packages, found.findings) == ({"pkg-one": Shipped("1.0", None)}, None)
    assert found.notes == (f"the manifest beside {path} describes another zip and is not used",)


def test_manifest_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    manifest(path, "0" * 64)
    found = read(str(path))
    assert (found.sha256, found.zipped_bytes, found.unzipped_bytes, found.files) == ("0" * 64, 5, 6, None)
    manifest(path, None)
    assert read(str(path)).zipped_bytes is None


def test_an_image_is_told_by_the_manifest_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.oci.tar"
    path.write_bytes(b"an image")
    message = f"{path}: of an image lamina diff reads the manifest, and the one beside it is not there or is another's"
    for written in (None, hashlib.sha256(b"another").hexdigest()):
        if written:
            manifest(tmp_path / "a.oci.json", written)
        with pytest.raises(UsageError) as caught:
            read(str(path))
        assert caught.value.message == message
        assert caught.value.hint == "Build it again with lamina image, or name manifests (.json) instead."
    manifest(tmp_path / "a.oci.json", hashlib.sha256(b"an image").hexdigest())
    assert read(str(path)) == read(str(tmp_path / "a.oci.json"))


def test_what_is_not_there(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "a.zip", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(UsageError) as caught:
            read(str(path))
        assert (caught.value.message, caught.value.hint) == (
            f"{path}: {what}",
            "Name a layer zip, an image archive or a manifest (.json).",
        )


def test_what_is_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"", b"[]", b"{", msgspec.json.encode({"name": "x"})):
        path.write_bytes(content)
        with pytest.raises(IntegrityError) as caught:
            read(str(path))
        assert caught.value.message == f"{path}: is not a manifest that lamina wrote"


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x05\x06" + b"\xff" * 18, b"PK\x03\x04" * 30])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        read(str(path))
    assert caught.value.message.startswith(f"{path}: is not a readable zip: ")
    assert caught.value.hint == "Build or fetch it again."


def test_every_cut_zip_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.zip").read_bytes()
    path = tmp_path / "a.zip"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(IntegrityError):
            read(str(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_path_that_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("python/a.py", "1")
        archive.writestr("python/a.py", "2")
    with pytest.raises(IntegrityError) as caught:
        read(str(path))
    assert caught.value.message == f"{path}: 'python/a.py' is there twice, and readers differ on which one counts"


def test_record_that_is_a_bomb_damaged_or_no_text(tmp_path: Path) -> None:
    record = "python/x-1.dist-info/RECORD"
    bomb = write(tmp_path / "a.zip", {record: "x" * (9 * 1024**2)})
    assert read(str(bomb)).owners == {}
    line = "x" * 9000 + ",,\n"
    many = {f"python/x{number}-1.dist-info/RECORD": f"{number}{line}" + line * 600 for number in range(5)}
    assert len(read(str(write(tmp_path / "many.zip", many))).owners) == 4  # one of each of three, one of all
    damaged = write(tmp_path / "b.zip", {record: RECORD})
    content = bytearray(damaged.read_bytes())
    content[60] ^= 0xFF
    damaged.write_bytes(content)
    with pytest.raises(IntegrityError, match="is not a readable zip"):
        read(str(damaged))
    latin = tmp_path / "c.zip"
    with zipfile.ZipFile(latin, "w") as archive:
        archive.writestr(record, b"\xff\xfe,,\n")
    with pytest.raises(IntegrityError, match="is not a readable zip"):
        read(str(latin))
