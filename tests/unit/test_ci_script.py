"""The script that the workflow runs, and the workflow's own shape."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def ci() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci", ROOT / "scripts" / "ci.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_targets_are_those_of_the_locks(ci: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert ci.targets() == 0
    printed = capsys.readouterr().out
    assert printed.startswith("targets=[")
    assert "cp311-manylinux2014_x86_64" in json.loads(printed.removeprefix("targets="))


def test_compare_tells_same_different_and_missing(
    ci: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for system in ("Linux", "Windows"):
        (tmp_path / system).mkdir()
        (tmp_path / system / "a.zip").write_bytes(b"a")
    assert ci.compare(tmp_path) == 0
    (tmp_path / "Windows" / "a.zip").write_bytes(b"b")
    assert ci.compare(tmp_path) == 1
    (tmp_path / "Windows" / "a.zip").unlink()
    assert ci.compare(tmp_path) == 1
    (tmp_path / "Linux" / "a.zip").unlink()
    assert ci.compare(tmp_path) == 1
    printed = capsys.readouterr()
    assert "same  a.zip" in printed.out
    assert printed.out.count("DIFFERENT  a.zip") == 2
    assert printed.err == f"{tmp_path}: no zip there\n"


def test_sizes_are_a_table_of_differences(ci: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def manifest(folder: str, name: str, zipped: int, **packages: str) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        rows = [{"name": key, "version": version} for key, version in packages.items()]
        text = json.dumps({"zipped_bytes": zipped, "unzipped_bytes": 26_214_400, "packages": rows})
        (tmp_path / folder / f"{name}.json").write_text(text)
        (tmp_path / folder / f"{name}.cdx.json").write_text("{}")

    manifest("base", "x", 1000, numpy="1.26.4", six="1.17.0")
    manifest("base", "gone", 5)
    manifest("head", "x", 900, numpy="2.0.0")
    manifest("head", "y", 7)
    assert ci.sizes(tmp_path / "base", tmp_path / "head") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| gone | gone | | | | |" in lines
    assert "| x | 900 | -100 | 26,214,400 | +0 | 10.0% |" in lines
    assert "| y | 7 | new | 26,214,400 | new | 10.0% |" in lines
    assert lines[-2:] == ["- x: numpy 1.26.4 → 2.0.0", "- x: six 1.17.0 → none"]
