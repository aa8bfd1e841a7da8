"""``metadata = "strip"`` on real packages: those that ask for metadata are named, those fine without it are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("index")

RECIPE = """
name = "bare"
requirements = {requirements}
provided = []

[[target]]
python = "cp311"
architecture = "x86_64"

[prune]
metadata = "strip"
keep = {keep}
"""
NAME = "bare-cp311-manylinux_2_26_x86_64"

#: They fail at import without metadata, or lose a function later, some without an error.
ASKING = (
    "altair anthropic attrs bokeh click cloudpathlib curl_cffi flask invoke jsonschema keyring lightning-utilities "
    "nbformat openai paramiko pg8000 plotly pydantic[email] rdflib tqdm"
).split()
#: Who asks; openai and anthropic do through their HTTP client.
ASKERS = {*ASKING, "curl-cffi", "pydantic", "scramp"} - {"openai", "anthropic", "curl_cffi", "pydantic[email]"}
#: All of these import and work without metadata.
FINE = (
    "numpy pandas scipy scikit-learn tokenizers safetensors huggingface_hub boto3 google-genai opentelemetry-api numba "
    "fsspec sqlalchemy networkx"
).split()

Build = Callable[..., dict[str, Any]]


@pytest.fixture
def build(tmp_path: Path, lamina: Callable[..., subprocess.CompletedProcess[str]]) -> Build:
    """Lock and build a stripped layer of these packages, and return its manifest."""
    folder = tmp_path / "bare"
    (folder / "recipes").mkdir(parents=True)

    def run(requirements: Sequence[str], keep: Sequence[str] = ()) -> dict[str, Any]:
        text = RECIPE.format(requirements=json.dumps(requirements), keep=json.dumps(keep))
        (folder / "recipes" / "bare.toml").write_text(text)
        done = lamina("lock", "bare", cwd=folder)
        assert done.returncode == 0, done.stderr
        done = lamina("build", "bare", "--json", cwd=folder)
        assert done.returncode in {0, 1}, done.stderr
        [outcome] = json.loads(done.stdout)
        manifest: dict[str, Any] = outcome["manifest"]
        needed = [finding for finding in manifest["findings"] if finding["code"] == "metadata-needed"]
        assert (done.returncode, {finding["severity"] for finding in needed}) == (
            (1, {"error"}) if needed else (0, set())
        )
        return manifest

    return run


def askers(manifest: dict[str, Any]) -> set[str]:
    """The packages that findings name as asking."""
    found = [finding for finding in manifest["findings"] if finding["code"] == "metadata-needed"]
    return {finding["message"].partition(" asks for ")[0] for finding in found}


def test_packages_that_ask_are_named(build: Build) -> None:
    found = askers(build(ASKING))
    assert ASKERS - found == set()


def test_packages_that_do_without_are_not(build: Build) -> None:
    manifest = build(FINE)
    canonical = {name.replace("_", "-").lower() for name in FINE}
    assert canonical & askers(manifest) == set()
    assert {package["name"] for package in manifest["packages"]} >= canonical


def test_whom_a_dependency_asks_for(build: Build) -> None:
    """openai asks for nothing itself; its layer fails at import all the same."""
    assert askers(build(["openai"])) - {"tqdm"}


def test_pg8000_needs_that_of_scramp(build: Build) -> None:
    manifest = build(["pg8000"])
    assert {finding["path"]: finding["message"].partition(",")[0] for finding in manifest["findings"]} == {
        "python/pg8000/core.py": "pg8000 asks for the metadata of itself",
        "python/scramp/__init__.py": "scramp asks for the metadata of itself",
    }


def python311() -> str:
    """A CPython 3.11 of this machine, the target's interpreter."""
    for candidate in (sys.executable, shutil.which("python3.11")):
        asked = [candidate or "", "-I", "-c", "import sys; print(sys.version_info[:2] == (3, 11))"]
        if candidate and subprocess.run(asked, capture_output=True, text=True, check=False).stdout == "True\n":
            return candidate
    pytest.skip("no CPython 3.11 on this machine")


USE = {
    "invoke": "import invoke; print(invoke.__version__[:1].isdigit())",
    "keyring": "import keyring.backend as b; print(len(list(b.get_all_keyring())) > 1)",
    "tqdm": "import tqdm; print(tqdm.__version__ != 'UNKNOWN')",
}


@pytest.mark.parametrize("package", USE)
def test_keeping_what_the_hint_names_is_enough(build: Build, tmp_path: Path, package: str) -> None:
    findings = [one for one in build([package])["findings"] if one["code"] == "metadata-needed"]
    keep = [json.loads(one["hint"].partition("prune.keep = ")[2].removesuffix("."))[0] for one in findings]
    assert keep
    assert askers(build([package], keep)) == set()
    shutil.unpack_archive(tmp_path / "bare" / "dist" / f"{NAME}.zip", tmp_path / "opt")
    script = f"import sys; sys.path.insert(0, {str(tmp_path / 'opt' / 'python')!r}); {USE[package]}"
    done = subprocess.run(
        [python311(), "-I", "-S", "-B", "-c", script],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_minimal_metadata_needs_no_word(build: Build, tmp_path: Path) -> None:
    assert askers(build(["invoke", "pg8000"], ["*.dist-info/METADATA"])) == set()
    assert (tmp_path / "bare" / "dist" / f"{NAME}.zip").exists()
