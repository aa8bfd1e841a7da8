"""``lamina diff`` as users run it, on layers made from forged wheels; no index is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.report.machine import schema

RECIPE = """
name = "demo"
requirements = ["alpha"]
provided = []
find-links = ["wheels"]

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"
"""
NAME = "demo-cp311-manylinux2014_x86_64"

Lamina = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def root(tmp_path: Path, forge: Callable[..., Path], lamina: Lamina) -> Path:
    """A folder with two layers of one recipe, ``one`` and ``two``: alpha became newer and brought beta."""
    root = tmp_path / "demo"
    (root / "recipes").mkdir(parents=True)
    (root / "recipes" / "demo.toml").write_text(RECIPE)
    forge("alpha", "1.0", {"alpha/__init__.py": "", "alpha/tests/big.py": "x = 1\n" * 500})
    _build(root, tmp_path, lamina, "one")
    forge("alpha", "2.0", {"alpha/__init__.py": "import beta\n", "alpha/data.txt": "x" * 99}, requires=("beta",))
    forge("beta", "1.0", {"beta.py": ""})
    _build(root, tmp_path, lamina, "two")
    return root


def _build(root: Path, tmp_path: Path, lamina: Lamina, output: str) -> None:
    shutil.copytree(tmp_path / "wheels", root / "wheels", dirs_exist_ok=True)
    (tmp_path / "index").mkdir(exist_ok=True)
    env = {"UV_DEFAULT_INDEX": str(tmp_path / "index"), "LAMINA_CACHE": str(tmp_path / "store")}
    for command in (["lock", "demo", "--upgrade"], ["build", "demo", "--output", output]):
        done = lamina(*command, "--offline", cwd=root, env=env)
        assert done.returncode == 0, done.stderr


def test_packages_versions_and_files(root: Path, lamina: Lamina) -> None:
    done = lamina("diff", f"one/{NAME}.zip", f"two/{NAME}.zip", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"before  one/{NAME}.zip", f"after   two/{NAME}.zip"]
    assert "packages  1 added, 1 changed, 0 the same" in lines
    assert [line.partition(":")[0] for line in lines if line.startswith(("+", "-", "~"))] == [
        "+ beta 1.0",
        "~ alpha 1.0 → 2.0",
        "~ licenses/",
    ]
    assert "    +           +99  python/alpha/data.txt" in lines


def test_without_manifests_the_same_is_told(root: Path, lamina: Lamina) -> None:
    told = lamina("diff", f"one/{NAME}.zip", f"two/{NAME}.zip", cwd=root).stdout
    for folder in ("one", "two"):
        (root / folder / f"{NAME}.json").unlink()
    assert lamina("diff", f"one/{NAME}.zip", f"two/{NAME}.zip", cwd=root).stdout == told


def test_json_fits_the_schema(root: Path, lamina: Lamina) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for suffix in ("zip", "json"):
        done = lamina("diff", f"one/{NAME}.{suffix}", f"two/{NAME}.{suffix}", "--json", cwd=root)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        jsonschema.validate({"diff": told}, schema())
        assert told["verdict"] == "different"
        versions = {package["package"]: package["version_after"] for package in told["packages"]}
        assert (versions["alpha"], versions["beta"]) == ("2.0", "1.0")


def test_explain_json_names_the_largest_things(root: Path, tmp_path: Path, lamina: Lamina) -> None:
    env = {"LAMINA_CACHE": str(tmp_path / "store")}
    done = lamina("explain", "demo", "--offline", "--json", cwd=root, env=env)
    assert done.returncode == 0, done.stderr
    alpha = next(row for row in json.loads(done.stdout) if row["package"] == "alpha")
    assert alpha["largest_kept"][-1] == {
        "package": "alpha",
        "path": "python/alpha/",
        "files": 2,
        "bytes": 111,
        "rule": "",
        "reason": "no rule speaks of it",
    }
    done = lamina("explain", "demo", "--offline", cwd=root, env=env)
    assert "The largest things kept, and why:\n" in done.stdout


def test_identical_and_repacked(root: Path, lamina: Lamina) -> None:
    original = root / "one" / f"{NAME}.zip"
    shutil.copy(original, root / "copy.zip")
    done = lamina("diff", str(original), "copy.zip", cwd=root)
    assert done.returncode == 0
    assert "identical, byte for byte: sha256 " in done.stdout
    with zipfile.ZipFile(original) as archive, zipfile.ZipFile(root / "again.zip", "w") as again:
        for info in reversed(archive.infolist()):
            content = archive.read(info)
            info.compress_type = zipfile.ZIP_STORED
            again.writestr(info, content)
    done = lamina("diff", str(original), "again.zip", cwd=root)
    assert done.returncode == 0
    assert "the same files, by path, size, CRC-32 and mode; their order, dates or compression differ\n" in done.stdout


def test_exit_codes(root: Path, lamina: Lamina) -> None:
    (root / "bad.zip").write_bytes(b"nothing")
    good = f"one/{NAME}.zip"
    done = lamina("diff", good, "absent.zip", cwd=root)
    assert (done.returncode, done.stderr) == (
        2,
        "error: absent.zip: no such file\nName a layer zip, an image archive or a manifest (.json).\n",
    )
    done = lamina("diff", good, "bad.zip", cwd=root)
    assert (done.returncode, done.stderr) == (
        4,
        "error: bad.zip: is not a readable zip: File is not a zip file\nBuild or fetch it again.\n",
    )
    assert lamina("diff", good, cwd=root).returncode == 2
    assert "Examples:" in lamina("diff", "--help", cwd=root).stdout
