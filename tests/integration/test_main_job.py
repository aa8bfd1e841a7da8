"""The main job on the real recipe, as a user runs it: the command, its output, its exit code, the artefact imported."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("index")

TARGET = "cp311-manylinux2014_x86_64"
NAME = f"sklearn-{TARGET}"
#: What `pip install --target`, then deleting tests, docs, *.dist-info and *.txt, leaves of the same wheels, in bytes.
USUAL = 223_272_272

USE = """
import sys
sys.path.insert(0, sys.argv[1])
import joblib, numpy, pandas, scipy.stats
from sklearn.linear_model import LogisticRegression
frame = pandas.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [0, 0, 1, 1]})
model = LogisticRegression().fit(frame[["x"]], frame["y"])
assert model.predict(pandas.DataFrame({"x": [2.9]})).tolist() == [1]
assert round(float(scipy.stats.norm.cdf(0)), 3) == 0.5
joblib.dump(model, sys.argv[2])
assert joblib.load(sys.argv[2]).coef_.shape == (1, 1)
from importlib.metadata import packages_distributions, version
assert version("scikit-learn") == "1.3.2" and packages_distributions()["sklearn"] == ["scikit-learn"]
for module in (joblib, numpy, pandas, scipy):
    assert module.__file__.startswith(sys.argv[1]), module.__file__
print("used")
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, repository: Path, shared_store: Path) -> Path:
    """The output folder of one build of sklearn."""
    project = tmp_path_factory.mktemp("main") / "project"
    for name in ("recipes", "layers"):
        shutil.copytree(repository / name, project / name)
    done = _build(project, shared_store)
    assert done.returncode == 0, done.stderr
    return project / "dist"


def _build(
    project: Path, store: Path, *arguments: str, env: Mapping[str, str] | None = None, umask: int = 0o022
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lamina", "build", "sklearn", "--target", TARGET, *arguments],
        cwd=project,
        env={**os.environ, "LAMINA_CACHE": str(store), **(env or {})},
        umask=umask,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def python311() -> str:
    """A CPython 3.11 of this machine, the target's interpreter."""
    for candidate in (sys.executable, shutil.which("python3.11")):
        if candidate:
            asked = [candidate, "-I", "-c", "import sys; print(sys.version_info[:2] == (3, 11))"]
            if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "True":
                return candidate
    pytest.skip("no CPython 3.11 on this machine")


def test_leaves_the_artefacts_of_the_contract(built: Path) -> None:
    names = {path.name for path in built.iterdir()}
    suffixes = (".zip", ".json", ".cdx.json", ".notices.txt", "-function.zip", "-function.json")
    assert names == {f"{NAME}{suffix}" for suffix in suffixes}


def test_manifest_tells_the_truth(built: Path) -> None:
    manifest = json.loads((built / f"{NAME}.json").read_text())
    content = (built / f"{NAME}.zip").read_bytes()
    digest = hashlib.sha256(content)
    with zipfile.ZipFile(built / f"{NAME}.zip") as archive:
        infos = archive.infolist()
        assert archive.testzip() is None
    assert manifest["sha256"] == digest.hexdigest()
    assert manifest["code_sha256"] == base64.b64encode(digest.digest()).decode()
    assert manifest["zipped_bytes"] == len(content)
    assert manifest["entries"] == len(infos)
    assert manifest["unzipped_bytes"] == sum(info.file_size for info in infos)
    assert manifest["unzipped_bytes"] - manifest["bytecode"]["bytes"] <= USUAL  # which has none
    assert (manifest["runtime"], manifest["architecture"]) == ("python3.11", "x86_64")
    assert [finding["code"] for finding in manifest["findings"]] == ["needs-s3-upload"]
    versions = {package["name"]: package["version"] for package in manifest["packages"]}
    assert versions["scikit-learn"] == "1.3.2"
    assert "boto3" not in versions


def test_layer_has_the_layout_of_lambda(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}.zip") as archive:
        infos = archive.infolist()
    assert {info.filename.partition("/")[0] for info in infos} == {"python", "bin", "licenses"}
    assert {info.external_attr >> 16 for info in infos} == {0o100644, 0o100755}
    names = {info.filename for info in infos}
    assert "python/numpy-1.26.4.dist-info/METADATA" in names
    assert "python/numpy.libs/libgfortran-040039e1.so.5.0.0" in names
    assert not [name for name in names if name.endswith((".pyd", ".dll", ".exe", ".a"))]
    assert [info.filename for info in infos] == sorted(names, key=str.encode)


def test_unpacked_layer_is_used_by_the_targets_interpreter(built: Path, tmp_path: Path) -> None:
    python = python311()
    shutil.unpack_archive(built / f"{NAME}.zip", tmp_path / "opt")
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", USE, str(tmp_path / "opt" / "python"), str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("used\n", 0), done.stderr


def test_warm_build_opens_no_socket_and_imports_nothing_heavy(built: Path, shared_store: Path) -> None:
    script = """
import sys
def watch(event, arguments):
    if event.startswith("socket."):
        raise SystemExit(f"a warm build opened a socket: {event} {arguments}")
sys.addaudithook(watch)
from lamina.cli import run
code = run(["build", "sklearn", "--target", "cp311-manylinux2014_x86_64", "--json", "--quiet"])
heavy = {"requests", "rich", "docker", "elftools", "cyclonedx", "packaging", "filelock", "platformdirs", "zipfile",
         "uv", "pypi_simple", "lamina.part.scan", "lamina.wheel", "lamina.prune.references", "lamina.recipe.check",
         "lamina.bytecode.model"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=built.parent,
        env={**os.environ, "LAMINA_CACHE": str(shared_store)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    [outcome] = json.loads(done.stdout)
    assert outcome["warm"] is True
    assert outcome["manifest"] == json.loads((built / f"{NAME}.json").read_text())


def test_same_bytes_whatever_the_machine(built: Path, repository: Path, shared_store: Path, tmp_path: Path) -> None:
    """Cold store, another folder, umask, time zone, locale and hash seed: one digest."""
    expected = json.loads((built / f"{NAME}.json").read_text())["sha256"]
    store = tmp_path / "store"
    shutil.copytree(shared_store / "wheels", store / "wheels")
    settings = [
        (0o077, {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
        (0o022, {"TZ": "America/Los_Angeles", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4242"}),
    ]
    for number, (umask, env) in enumerate(settings):  # the first makes all parts, the second finds them
        project = tmp_path / f"some where {number}"
        for name in ("recipes", "layers"):
            shutil.copytree(repository / name, project / name)
        done = _build(project, store, "--offline", "--json", env=env, umask=umask)
        assert done.returncode == 0, done.stderr
        [outcome] = json.loads(done.stdout)
        assert outcome["warm"] is (number == 1)
        found = outcome["manifest"]["sha256"]
        assert found == expected, _difference(built / f"{NAME}.zip", project / "dist" / f"{NAME}.zip")


def _difference(one: Path, other: Path) -> str:
    """Which entries differ, for the reader of a failed test."""
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        left = {info.filename: (info.CRC, info.file_size, info.external_attr) for info in first.infolist()}
        right = {info.filename: (info.CRC, info.file_size, info.external_attr) for info in second.infolist()}
    return f"different entries: {sorted(dict(left.items() ^ right.items()))[:20] or 'none; their order or compression'}"


def test_over_budget_fails_with_a_table_and_takes_the_stale_zip_away(project: Path, shared_store: Path) -> None:
    assert _build(project, shared_store).returncode == 0
    recipe = project / "recipes" / "sklearn.toml"
    recipe.write_text(recipe.read_text() + '\n[budget]\nunzipped = "150 MiB"\nwarn = "100 MiB"\n')
    done = _build(project, shared_store)
    assert done.returncode == 1
    assert "error  over-budget" in done.stdout
    assert "What could go, in bytes:" in done.stdout
    assert {path.name for path in (project / "dist").iterdir()} == {f"{NAME}.json", f"{NAME}-function.json"}
    report = json.loads((project / "dist" / f"{NAME}.json").read_text())
    assert report["sha256"] is None
    assert "over-budget" in [finding["code"] for finding in report["findings"]]


def test_explain_tells_rules_and_vetoes(lamina: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = lamina("explain", "sklearn", "--target", TARGET)
    assert done.returncode == 0, done.stderr
    assert "scipy 1.16.3:" in done.stdout
    assert "tests: dropped" in done.stdout
    done = lamina("explain", "sklearn", "numpy/testing/tests", "--target", TARGET)
    assert 'python/numpy/testing/tests/__init__.py (numpy: rule "tests": nothing refers to it)' in done.stdout
    done = lamina("explain", "sklearn", "no/such/path", "--target", TARGET)
    assert done.returncode == 2
    assert "no/such/path: no wheel of sklearn has it" in done.stderr
