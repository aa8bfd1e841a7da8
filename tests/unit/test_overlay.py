"""The overlay: what it takes from a folder, on every host the same, and what it refuses."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from lamina.errors import UsageError
from lamina.overlay import Generated, read_overlay
from lamina.part.model import ELF, PLAIN, SCRIPT

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def refusal(folder: Path) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        read_overlay(folder)
    assert caught.value.exit_code == 2
    return caught.value.message, caught.value.hint


def test_no_folder_is_an_empty_overlay(tmp_path: Path) -> None:
    assert read_overlay(tmp_path / "overlay") == ()


def test_refuses_an_overlay_that_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "overlay"
    path.write_text("a file")
    assert refusal(path) == (f"{path}: is no folder", "Put the files of the overlay into a folder of that name.")


def test_takes_every_file_by_path(tmp_path: Path) -> None:
    files = {
        "bin/tool": b"#!/bin/sh\n",
        "lib/libx.so.1": b"\x7fELF",
        "etc/a.conf": b"a\r\nb\n",
        "b": b"",
        "a b/ü.txt": b"",
        "licenses/own.txt": b"text",
        ".hidden": b"",
        "a/b": b"",
        "a-b": b"",
    }
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
        (tmp_path / path).chmod(0o755 if path == "b" else 0o600)
    for ignored in (".gitkeep", "lib/.DS_Store", "etc/Thumbs.db", "__pycache__/x.pyc", "lib/__pycache__/y.pyc"):
        (tmp_path / ignored).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ignored).touch()
    (tmp_path / "empty").mkdir()
    kinds = {"bin/tool": SCRIPT, "lib/libx.so.1": ELF}
    expected = [Generated(path, files[path], kinds.get(path, PLAIN), "the overlay") for path in files]
    expected.sort(key=lambda file: file.path.encode())
    assert read_overlay(tmp_path) == tuple(expected)
    assert [file.path for file in expected if file.mode == 0o755] == ["bin/tool", "lib/libx.so.1"]


@posix
@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_refuses_links(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "file":
        target.touch()
    if kind == "folder":
        target.mkdir()
    overlay = tmp_path / "overlay"
    overlay.joinpath("lib").mkdir(parents=True)
    overlay.joinpath("lib", "link").symlink_to(target)
    message = f"{overlay / 'lib' / 'link'}: a link or special file in an overlay"
    assert refusal(overlay) == (message, "Put the file itself there.")


@posix
def test_refuses_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'pipe'}: a link or special file in an overlay",
        "Put the file itself there.",
    )


@posix
@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"a\\b", "a backslash in a path"),
        (b"a\nb", "a control character in a path"),
        (b"\xff", "a path that is not UTF-8"),
        (b"c:x", "a path with a drive letter"),
    ],
)
def test_refuses_names_that_no_layer_can_hold(tmp_path: Path, name: bytes, why: str) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 - bytes
    try:
        os.close(os.open(path, os.O_CREAT))
    except OSError:
        pytest.skip("this file system does not take the name either")
    assert refusal(tmp_path) == (f"{tmp_path}: {os.fsdecode(name)!r}: {why}", "Rename the file.")


@posix
def test_a_folder_that_cannot_be_read_is_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("lib"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        read_overlay(tmp_path)
