"""Imports and metadata of real packages, poured into a folder by an installer that knows nothing of lamina."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from uv import find_uv_bin

from lamina.audit.imports import check_imports
from lamina.audit.model import Artefact, Item, Package
from lamina.audit.modules import Modules
from lamina.audit.needs import check_needs
from lamina.audit.stripped import check_stripped
from lamina.findings import Finding
from lamina.lock import canonical
from lamina.part.scan import scan
from lamina.target import target_for

pytestmark = pytest.mark.usefixtures("index")

LOCKS = Path(__file__).parents[2] / "recipes" / "locks"
#: Of packages that fail, or lose a function, without metadata: who asks, and for whose.
ASKING = {
    "altair": {"altair"},
    "click": {"click"},
    "curl_cffi": {"curl-cffi"},
    "flask": {"click", "flask"},
    "invoke": {"invoke"},
    "jsonschema": {"jsonschema"},
    "nbformat": {"jsonschema", "nbformat"},
    "paramiko": {"invoke", "paramiko"},
    "pg8000": {"pg8000", "scramp"},
    "plotly": {"plotly"},
    "pydantic[email]": {"pydantic"},
    "rdflib": {"rdflib"},
    "tqdm": {"tqdm"},
}
#: All of these import and work without metadata.
FINE = (
    "numpy pandas scipy scikit-learn tokenizers safetensors boto3 google-genai opentelemetry-api numba fsspec "
    "sqlalchemy networkx"
).split()

Pour = Callable[..., Artefact]


@pytest.fixture
def pour(tmp_path: Path) -> Pour:
    """Install for Lambda into a folder of the test, and read it as a layer."""

    def run(
        arguments: Sequence[str], python: str = "3.11", platform: str = "manylinux_2_28", *, bare: bool
    ) -> Artefact:
        folder = tmp_path / "layer" / "python"
        shutil.rmtree(folder, ignore_errors=True)
        command = [find_uv_bin(), "pip", "install", "--target", str(folder), "--python-version", python]
        command += ["--python-platform", f"x86_64-{platform}", "--only-binary", ":all:", "--quiet", "--no-config"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if bare:
            for path in folder.glob("*.dist-info"):
                shutil.rmtree(path)
        return _read(folder.parent)

    return run


def _read(layer: Path) -> Artefact:
    items, packages = [], []
    for path in sorted(path for path in layer.rglob("*") if path.is_file()):
        name = path.relative_to(layer).as_posix()
        source = scan(path.read_bytes()) if path.suffix == ".py" else None
        items.append(Item(name, f"/opt/{name}", path.stat().st_size, source=source))
    for folder in sorted(layer.glob("python/*.dist-info")):
        name, version = folder.name.removesuffix(".dist-info").rsplit("-", 1)
        lines = (folder / "RECORD").read_text(encoding="utf-8").splitlines()
        files = frozenset("python/" + line.rsplit(",", 2)[0].strip('"') for line in lines)
        place = f"python/{folder.name}"
        packages.append(Package(canonical(name), version, place, (), metadata=True, entry_points=(), files=files))
    return Artefact("layer", "layer", tuple(items), tuple(packages))


def _modules(layer: Artefact, python: str = "cp311", beside: Sequence[Artefact] = ()) -> Modules:
    return Modules([layer, *beside], target_for(python, architecture="x86_64"))


@pytest.mark.parametrize("package", ASKING)
def test_who_asks_for_metadata_that_is_gone(pour: Pour, package: str) -> None:
    layer = pour([package], bare=True)
    found = [*check_stripped(layer, _modules(layer))]
    assert {finding.message.partition(" asks for ")[0] for finding in found} >= ASKING[package]


def test_with_metadata_nobody_is_named(pour: Pour) -> None:
    layer = pour(list(ASKING), bare=False)
    assert [*check_stripped(layer, _modules(layer))] == []


def test_packages_that_are_fine_without(pour: Pour) -> None:
    for package in FINE:
        layer = pour(["--no-deps", package], bare=True)
        assert [*check_stripped(layer, _modules(layer))] == [], package


LAYERS = [
    ("sklearn-cp311-manylinux2014_x86_64", "3.11", 2),
    ("docworker-cp311-manylinux2014_x86_64", "3.11", 2),
    ("chroma-cp312-manylinux_2_34_x86_64", "3.12", 8),
]


@pytest.mark.parametrize(("lock", "python", "most"), LAYERS)
def test_the_recipes_own_layers(pour: Pour, lock: str, python: str, most: int) -> None:
    """No error, and so few notes that somebody reads them."""
    platform = "manylinux2014" if "2014" in lock else "manylinux_2_34"
    layer = pour(["--no-deps", "-r", str(LOCKS / f"{lock}.txt")], python, platform, bare=False)
    modules = _modules(layer, "cp" + python.replace(".", ""))
    found: list[Finding] = [
        *check_imports(layer, modules),
        *check_stripped(layer, modules),
        *check_needs(layer, modules),
    ]
    assert [finding for finding in found if finding.severity == "error"] == []
    assert len(found) <= most, found


def test_a_dependency_that_was_left_out(pour: Pour) -> None:
    """pandas without what it requires: named once each, at the first file that imports it."""
    layer = pour(["--no-deps", "pandas==2.2.3"], bare=False)
    found = {finding.message.partition(":")[0]: finding for finding in check_imports(layer, _modules(layer))}
    assert "No module named 'numpy'" in found
    assert {finding.severity for finding in found.values()} == {"note"}
    assert not any("pyarrow" in message or "matplotlib" in message for message in found)


def test_a_function_on_a_real_layer(pour: Pour) -> None:
    layer = pour(["--no-deps", "pyyaml", "beautifulsoup4"], bare=False)
    text = b"import yaml, bs4\nfrom yaml.loader import SafeLoader\nimport bs4.nothing\nimport jwt\n"
    function = Artefact("f", "function", (Item("h.py", "/var/task/h.py", 1, source=scan(text)),))
    found = [*check_imports(function, _modules(layer, beside=[function]))]
    assert [finding.message.partition(":")[0] for finding in found] == [
        "No module named 'bs4.nothing'",
        "No module named 'jwt'",
    ]
    assert "Add PyJWT to the recipe's requirements" in found[1].hint
