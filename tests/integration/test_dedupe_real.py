"""A real wheel that holds one library under three names: links in the layer, and whoever opens them sees the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lamina.prove.stage import unpacked, zips
from lamina.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="links and libraries of Linux")

Layers = Any  # the workshop of tests/conftest.py; test files import nothing from each other

NAMES = ("libz.so", "libz.so.1", "libz.so.1.3.2")
#: Opens each name by itself, as ctypes does; prints the version that it tells, and how many files that took.
OPEN = """
import ctypes, sys
for path in sys.argv[1:]:
    library = ctypes.CDLL(path)
    library.zlibVersion.restype = ctypes.c_char_p
    print(library.zlibVersion().decode())
print(len({line.split()[-1] for line in open("/proc/self/maps") if "/cmeel.prefix/" in line}))
"""


@pytest.fixture(scope="module")
def trees(layers: Layers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The layer as copies, as links, and as links compressed again, each unpacked as proofs do; and its project."""
    folder = tmp_path_factory.mktemp("linked")
    found = {}
    for name, emit in {
        "copied": "",
        "linked": "dedupe = true",
        "smaller": 'dedupe = true\ncompression = "small"',
    }.items():
        extra = f'[bytecode]\nmode = "all"\n[emit]\n{emit}\n'
        layers.write(name, ["cmeel-zlib==1.3.2"], extra=extra, python="cp312")
        done = layers.run(name, "-m", "lamina", "build", name, "--json", "--quiet")
        assert done.returncode == 0, done.stdout + done.stderr
        folder.joinpath(f"{name}.json").write_text(done.stdout)
        [path] = layers._root.joinpath(name, "dist").glob("*.zip")
        shutil.copy(path, folder / f"{name}.zip")
        found[name] = unpacked(Store(folder / "store"), zips([path]))
    return {**found, "folder": folder}


def contents(tree: Path) -> dict[str, bytes]:
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and path.parent.name != "licenses"
    }


def test_every_path_has_the_same_content(trees: dict[str, Path]) -> None:
    copied, folder = contents(trees["copied"]), trees["folder"]
    libraries = {path for path in copied if path.rpartition("/")[2] in NAMES}
    assert len(libraries) == 3
    for name in ("linked", "smaller"):
        assert contents(trees[name]) == copied
        links = {path.name: path.readlink().as_posix() for path in trees[name].rglob("*") if path.is_symlink()}
        assert links == {"libz.so": "libz.so.1", "libz.so.1.3.2": "libz.so.1"}
        [told] = json.loads(folder.joinpath(f"{name}.json").read_text())
        [plain] = json.loads(folder.joinpath("copied.json").read_text())
        package = next(one for one in told["manifest"]["packages"] if one["name"] == "cmeel-zlib")
        size = len(copied[next(iter(libraries))])
        assert package["linked_bytes"] == 2 * size
        assert told["manifest"]["entries"] == plain["manifest"]["entries"]
        assert plain["manifest"]["unzipped_bytes"] - told["manifest"]["unzipped_bytes"] == 2 * size
        assert (
            f"dedupe: links in place of identical files: 2, {2 * size:,} bytes less; unpack the zip with unzip, "
            "not with Python's zipfile, which writes links as small text files"
        ) in told["notes"]
    sizes = [folder.joinpath(f"{name}.zip").stat().st_size for name in ("copied", "linked", "smaller")]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3


@pytest.mark.skipif(shutil.which("unzip") is None, reason="no unzip on this machine")
def test_unzip_makes_the_same_links(trees: dict[str, Path], tmp_path: Path) -> None:
    path = trees["folder"] / "smaller.zip"
    done = subprocess.run(["unzip", "-q", str(path), "-d", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(tmp_path) == contents(trees["smaller"])
    assert {path.name for path in tmp_path.rglob("*") if path.is_symlink()} == {"libz.so", "libz.so.1.3.2"}


def test_each_name_loads(trees: dict[str, Path], python312: str) -> None:
    for name, files in (("copied", 3), ("linked", 1)):
        [folder] = {path.parent for path in trees[name].rglob("libz.so*")}
        words = [python312, "-I", "-S", "-c", OPEN, *(str(folder / each) for each in NAMES)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("1.3.2\n" * 3 + f"{files}\n", "")


@pytest.mark.usefixtures("trees")
def test_the_audit_of_the_zip_finds_nothing_wrong(layers: Layers) -> None:
    [path] = layers._root.joinpath("linked", "dist").glob("*.zip")
    done = layers.run("linked", "-m", "lamina", "audit", str(path), "--target", "cp312-manylinux_2_34_x86_64")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stdout


@pytest.mark.usefixtures("trees")
def test_explain_names_the_links(layers: Layers) -> None:
    done = layers.run("linked", "-m", "lamina", "explain", "linked", "cmeel-zlib")
    told = [line for line in done.stdout.splitlines() if "a link to the identical" in line]
    assert [line.rpartition("; ")[2] for line in told] == ["a link to the identical libz.so.1)"] * 2
    done = layers.run("linked", "-m", "lamina", "explain", "linked", "--json")
    [package] = [row for row in json.loads(done.stdout) if row["package"] == "cmeel-zlib"]
    assert package["linked_bytes"] > 100_000
