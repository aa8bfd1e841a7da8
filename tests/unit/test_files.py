"""Files that appear whole or not at all, and what killed builds leave."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from lamina.files import beside, put, replace

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows tells open files by refusing to remove them")


def test_puts_files_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    put(path, b"one")
    put(path, b"two")
    assert path.read_bytes() == b"two"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"old")
    with beside(path) as unfinished:
        assert unfinished.parent == tmp_path
        assert unfinished.name == f".a.zip.{os.getpid()}.unfinished"
        unfinished.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_leaves_nothing_behind_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"old")

    def fail() -> None:
        with beside(path) as unfinished:
            unfinished.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]


def left(folder: Path, *, hours: float = 0) -> Path:
    path = folder / ".a.zip.123.unfinished"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - hours * 3600,) * 2)
    return path


@pytest.mark.parametrize("hours", [0, 2])
def test_removes_what_a_killed_build_left(tmp_path: Path, hours: float) -> None:
    path = left(tmp_path, hours=hours)
    other = tmp_path / "a.zip.unfinished"
    other.touch()
    put(tmp_path / "b.json", b"")
    assert not path.exists()
    assert other.exists()


@posix
def test_removes_nothing_that_is_being_written(tmp_path: Path) -> None:
    with beside(tmp_path / "a.zip") as unfinished:
        unfinished.write_bytes(b"half")
        os.utime(unfinished, (0, 0))
        put(tmp_path / "b.json", b"")
        assert unfinished.read_bytes() == b"half"


@posix
def test_goes_by_age_where_locks_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = left(tmp_path)
    put(tmp_path / "b.json", b"b")
    assert path.exists()
    left(tmp_path, hours=2)
    put(tmp_path / "b.json", b"b")
    assert not path.exists()
    assert (tmp_path / "b.json").read_bytes() == b"b"


def test_replacing_waits_on_windows_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(source: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) < 3:
            raise PermissionError(13, "in use", str(source))
        return target

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(PermissionError):
        replace(tmp_path / "a", tmp_path / "b")
    assert len(calls) == 1
    monkeypatch.setattr("lamina.files.os.name", "nt")
    replace(tmp_path / "a", tmp_path / "b")
    assert len(calls) == 3
