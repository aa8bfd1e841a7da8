"""What is published is what works: the wheel of lamina, installed in an environment of its own, does the main job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("index")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The wheel of this checkout, built in isolation from the files that version control knows."""
    folder = tmp_path_factory.mktemp("package")
    copy = folder / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (repository / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, copy / name)
    _run("uv", "build", "--quiet", "--no-config", "--wheel", "--out-dir", str(folder / "dist"), str(copy))
    shutil.rmtree(copy)  # so that nothing can be imported from it
    [path] = (folder / "dist").glob("*.whl")
    return path


def _run(program: str, *arguments: str) -> None:
    command = [_uv(), *arguments] if program == "uv" else [program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def _uv() -> str:
    from uv import find_uv_bin

    return str(find_uv_bin())


def test_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "lamina/__init__.py",
        "lamina/runtimes.toml",
        "lamina/recipe/recipe.schema.json",
        "lamina/report/output.schema.json",
        "lamina/report/layer/page.html",
        "lamina/report/layer/page.css",
    } <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"lamina"}


def test_installed_elsewhere_it_does_the_main_job(
    wheel: Path, repository: Path, shared_store: Path, tmp_path: Path
) -> None:
    _run("uv", "venv", "--quiet", "--no-config", "--python", sys.executable, str(tmp_path / "venv"))
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    _run("uv", "pip", "install", "--quiet", "--no-config", "--python", str(binaries / "python"), str(wheel))
    project = tmp_path / "project"
    for name in ("recipes", "layers"):
        shutil.copytree(repository / name, project / name)
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [binaries / "lamina", "build", "sklearn", "--target", "cp311-manylinux2014_x86_64", "--json"],
        cwd=project,
        env={**env, "LAMINA_CACHE": str(shared_store)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [outcome] = json.loads(done.stdout)
    assert zipfile.is_zipfile(project / outcome["artefact"])
