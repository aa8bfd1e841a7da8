"""Other programs read the zip: what Info-ZIP and Python unpack is what was written, modes and all."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lamina.emit import layout
from lamina.emit import zip as zips
from lamina.layer import Layer
from lamina.overlay import Generated
from lamina.part.make import libdeflate
from lamina.part.model import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Forged

UNZIP = shutil.which("unzip")
pytestmark = pytest.mark.skipif(UNZIP is None or sys.platform == "win32", reason="no unzip on this machine")


def unzip(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(UNZIP), *map(str, words)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory, forge_project: Callable[..., Forged]) -> Forged:
    folder = tmp_path_factory.mktemp("readers")
    project = forge_project(folder / "project")
    project.build(folder / "store")
    return project


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_unzip_unpacks_it(tmp_path: Path, forged: Forged, umask: int) -> None:
    tested = unzip("-t", forged.zip)
    assert tested.returncode == 0
    assert tested.stdout.strip().endswith(f"No errors detected in compressed data of {forged.zip}.")
    before = os.umask(umask)
    try:
        assert unzip("-q", forged.zip, "-d", tmp_path).returncode == 0
    finally:
        os.umask(before)
    modes = {}
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert not path.is_symlink()
            modes[path.relative_to(tmp_path).as_posix()] = stat.S_IMODE(path.stat().st_mode)
    assert modes["python/alpha/__init__.py"] == 0o644
    assert modes["python/alpha/native.so"] == 0o755
    assert modes["bin/alpha-tool"] == 0o755
    assert modes["lib/libx.so.1"] == 0o755
    assert modes["python/alpha/ünïcödé.txt"] == 0o644
    assert set(modes.values()) == {0o644, 0o755}


def test_what_is_unpacked_imports(tmp_path: Path, forged: Forged) -> None:
    assert unzip("-q", forged.zip, "-d", tmp_path).returncode == 0
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import alpha, beta.m3, importlib.metadata as m; "
        "print(m.version('gamma'), m.packages_distributions()['alpha'], beta.m3.function_7(1)[0])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path / "python")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("1.0 ['alpha'] 8\n", "")


@pytest.mark.parametrize("count", [65_535, 65_536])
def test_unzip_reads_as_many_entries_as_there_are(tmp_path: Path, count: int) -> None:
    files = tuple(Generated(f"f/{number:05}", b"", PLAIN, "x") for number in range(count))
    path = tmp_path / "many.zip"
    with path.open("wb") as out:
        zips.write(layout.draw(Layer((), files, ()), [], libdeflate), tmp_path.joinpath, out)
    tested = unzip("-tqq", path)
    assert (tested.returncode, tested.stdout, tested.stderr) == (0, "", "")
    listed = unzip("-Z1", path)
    assert listed.stdout.count("\n") == count
