"""Same lock, same bytes: whatever the machine's settings, folder, store and Python, and whatever the store took."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lamina.cli import run
from lamina.interpreters import find
from lamina.part.library import SUFFIXES
from lamina.target import target_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Forged

    ForgeProject = Callable[..., Forged]

KINDS = ("wheels", "plans", *(f"parts{suffix}" for suffix in SUFFIXES))


def differences(one: Path, other: Path) -> str:
    """Which entries of two zips differ, and in what: what a failing test of digests prints."""
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        entries = [{info.filename: info for info in archive.infolist()} for archive in (first, second)]
        lines = [f"only in {one}: {name}" for name in entries[0].keys() - entries[1].keys()]
        lines += [f"only in {other}: {name}" for name in entries[1].keys() - entries[0].keys()]
        for name in sorted(entries[0].keys() & entries[1].keys()):
            mine, its = entries[0][name], entries[1][name]
            fields = (
                "header_offset",
                "compress_type",
                "compress_size",
                "file_size",
                "external_attr",
                "date_time",
                "extra",
            )
            different = [field for field in fields if getattr(mine, field) != getattr(its, field)]
            if first.read(mine) != second.read(its):
                different.append("content")
            if different:
                lines.append(f"{name}: {', '.join(different)}")
        if first.namelist() != second.namelist():
            lines.append("the directories have other orders")
    return "\n".join(lines) or "no entry differs: something around them does"


def outputs(forged: Forged) -> dict[str, bytes]:
    """Every file that a build leaves; the manifest tells digests of texts that are the same, so it must be, too."""
    return {path.name: path.read_bytes() for path in forged.output.iterdir()}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, forge_project: ForgeProject) -> Forged:
    """A build that every other one is held against."""
    folder = tmp_path_factory.mktemp("reference")
    forged = forge_project(folder / "project")
    forged.build(folder / "store")
    return forged


def same(forged: Forged, reference: Forged) -> None:
    """Hold what was built against the reference, and say what differs."""
    if forged.zip.read_bytes() != reference.zip.read_bytes():
        pytest.fail(differences(reference.zip, forged.zip))
    assert outputs(forged) == outputs(reference)


@pytest.fixture
def forged(tmp_path: Path, forge_project: ForgeProject) -> Forged:
    """The project of the reference in a folder of its own."""
    return forge_project(tmp_path / "another folder, with ünicode" / "project")


SETTINGS = {
    "east": {"TZ": "Pacific/Kiritimati"},
    "west": {"TZ": "America/Los_Angeles"},
    "no locale": {"LC_ALL": "C", "LANG": "C"},
    "utf-8": {"LC_ALL": "C.UTF-8"},
    "hash seed 0": {"PYTHONHASHSEED": "0"},
    "hash seed 1": {"PYTHONHASHSEED": "1"},
    "hash seed 4242": {"PYTHONHASHSEED": "4242"},
    "random hash seed": {"PYTHONHASHSEED": "random"},
    "without assertions": {"PYTHONOPTIMIZE": "2"},
    "epoch": {"SOURCE_DATE_EPOCH": "1000000000"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_machine_change_nothing(tmp_path: Path, forged: Forged, reference: Forged, name: str) -> None:
    forged.build(tmp_path / "store", **SETTINGS[name])
    same(forged, reference)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_umask_changes_nothing(tmp_path: Path, forged: Forged, reference: Forged, umask: int) -> None:
    for path in forged.root.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
    forged.build(tmp_path / "store", umask=umask)
    same(forged, reference)


def test_cold_and_warm_stores_give_the_same(tmp_path: Path, forged: Forged, reference: Forged) -> None:
    store = tmp_path / "store"
    for _ in range(2):
        forged.build(store)
        same(forged, reference)
    shutil.rmtree(forged.output)
    forged.build(store)
    same(forged, reference)
    for kind in ("plans", "parts"):
        shutil.rmtree(store / kind)
        forged.build(store)
        same(forged, reference)


def test_a_store_of_other_recipes_changes_nothing(tmp_path: Path, forged: Forged, reference: Forged) -> None:
    """Parts serve every recipe; one that prunes nothing shares them with one that prunes."""
    recipe = forged.root / "recipes" / "forged.toml"
    text = recipe.read_text()
    recipe.write_text(f'{text}\n[prune]\nrules = []\nmetadata = "keep"\n')
    forged.build(tmp_path / "store")
    assert forged.zip.read_bytes() != reference.zip.read_bytes()
    recipe.write_text(text)
    forged.build(tmp_path / "store")
    same(forged, reference)


def test_line_ends_of_a_checkout_change_nothing(tmp_path: Path, forged: Forged, reference: Forged) -> None:
    for path in (forged.root / "recipes").rglob("*.t*"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    forged.build(tmp_path / "store")
    same(forged, reference)


# --- other Pythons


def pythons() -> Iterator[tuple[str, str]]:
    """Version and path of each CPython on this machine that lamina runs on, one of each minor version."""
    roots = []
    if pyenv := shutil.which("pyenv"):
        roots = [Path(subprocess.run([pyenv, "root"], capture_output=True, text=True, check=True).stdout.strip())]
    for minor in range(11, 16):
        found = [path / "bin" / "python" for root in roots for path in root.glob(f"versions/3.{minor}.*")]
        for path in (*found, shutil.which(f"python3.{minor}")):
            if path is not None and _is_cpython(str(path), minor):
                yield f"3.{minor}", str(path)
                break


def _is_cpython(path: str, minor: int) -> bool:
    code = f"import sys, venv; sys.exit(sys.implementation.name != 'cpython' or sys.version_info[1] != {minor})"
    return subprocess.run([path, "-I", "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.usefixtures("index")
def test_the_python_that_runs_lamina_changes_nothing(
    tmp_path: Path, forge_project: ForgeProject, reference: Forged, repository: Path
) -> None:
    from uv import find_uv_bin

    # What compiles stays the same: micro versions need not write the same bytecode, and the manifest tells which did.
    compiler = find(target_for("cp311", platform="manylinux2014_x86_64"), os.environ).path
    tried = []
    for version, path in pythons():
        venv = tmp_path / version
        python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        for words in (
            ["venv", "--python", path, str(venv)],
            ["pip", "install", "--python", str(python), str(repository)],
        ):
            done = subprocess.run([find_uv_bin(), *words], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        forged = forge_project(tmp_path / f"project{version}")
        environment = forged.environment(tmp_path / f"store{version}")
        environment.pop("PYTHONPATH", None)
        environment["LAMINA_PYTHON"] = str(compiler)
        command = [str(python), *forged.command[1:]]
        done = subprocess.run(command, cwd=forged.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{version}: {done.stderr}"
        same(forged, reference)
        tried.append(version)
    if len(tried) < 2:
        pytest.skip(f"only CPython {', '.join(tried) or 'none'} found; two are needed to compare")


# --- damage


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        at = {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[how]
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :])


def stored(store: Path, kind: str) -> list[Path]:
    kind, _, suffix = kind.partition(".")
    return sorted(path for path in (store / kind).rglob(f"*.{suffix}" if suffix else "*") if path.is_file())


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "without a plan"])
@pytest.mark.parametrize("how", ["gone", "cut", "first", "middle", "last"])
@pytest.mark.parametrize("kind", KINDS)
def test_damage_in_the_store_is_healed(
    tmp_path: Path,
    forged: Forged,
    reference: Forged,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    how: str,
    *,
    warm: bool,
) -> None:
    store = tmp_path / "store"
    monkeypatch.chdir(forged.root)
    monkeypatch.setenv("LAMINA_CACHE", str(store))
    command = ["build", "forged", "--offline", "--quiet"]
    assert run(command) == 0
    whole = {path: hashlib.sha256(path.read_bytes()).digest() for path in store.rglob("*") if path.is_file()}
    damaged = stored(store, kind)
    assert damaged
    for path in damaged:
        damage(path, how)
    if not warm:
        shutil.rmtree(store / "plans")
    assert run(command) == 0
    same(forged, reference)
    if kind == "plans":
        again = {path: hashlib.sha256(path.read_bytes()).digest() for path in store.rglob("*") if path.is_file()}
        assert again == whole
    assert run(command) == 0
    same(forged, reference)


def test_explain_survives_damage(tmp_path: Path, forged: Forged) -> None:
    store = tmp_path / "store"
    forged.build(store)
    command = [*forged.command[:3], "explain", "forged", "--offline"]

    def explain() -> str:
        env = forged.environment(store)
        done = subprocess.run(command, cwd=forged.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    whole = explain()
    assert "tests" in whole
    for kind in KINDS:
        for path in stored(store, kind):
            damage(path, "middle")
        assert explain() == whole
        forged.build(store)


def test_wheels_and_store_damaged_and_nowhere_else_to_be_had(tmp_path: Path, forged: Forged) -> None:
    """What cannot be healed is told, and the stale artefact is not taken for a new one."""
    store = tmp_path / "store"
    forged.build(store)
    for path in (*stored(store, "wheels"), *stored(store, "parts.data")):
        damage(path, "middle")
    shutil.rmtree(forged.root / "wheels")
    (forged.root / "wheels").mkdir()
    env = forged.environment(store)
    done = subprocess.run(forged.command, cwd=forged.root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "offline, and 1 wheel is not in the store:\n  alpha-1.0-py3-none-any.whl" in done.stderr
    assert [path.name for path in forged.output.glob(".*")] == []
