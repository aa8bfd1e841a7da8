"""numpy's, scipy's, pandas' and scikit-learn's own tests, from a layer with everything on but the rule ``tests``.

The layer is trimmed, has bytecode for all of its modules, and is pruned by every other rule. Each test must end as it
does with the same wheels, unpacked and otherwise untouched. The selection is of tests that call native code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from lamina import lock as locks
from lamina.fetch import fetch
from lamina.index import from_environment
from lamina.progress import SILENT
from lamina.prune.rules import RULES
from lamina.store import Store

Layers = Any  # the workshop of tests/conftest.py; test files import nothing from each other

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "recipes/locks/sklearn-cp311-manylinux2014_x86_64.txt"

SELECTED = """
numpy/linalg/tests numpy/fft/tests numpy/core/tests/test_indexing.py numpy/core/tests/test_ufunc.py
numpy/lib/tests/test_io.py numpy/random/tests/test_random.py
scipy/fft/tests/test_basic.py scipy/integrate/tests/test_quadpack.py scipy/interpolate/tests/test_fitpack.py
scipy/linalg/tests/test_decomp.py scipy/linalg/tests/test_fblas.py scipy/linalg/tests/test_lapack.py
scipy/ndimage/tests/test_measurements.py scipy/optimize/tests/test_zeros.py scipy/sparse/linalg/_dsolve/tests
scipy/sparse/tests/test_construct.py scipy/special/tests/test_cython_special.py scipy/stats/tests/test_morestats.py
pandas/tests/groupby/test_groupby.py pandas/tests/io/json/test_ujson.py pandas/tests/io/parser/test_c_parser_only.py
pandas/tests/libs pandas/tests/reshape/merge/test_merge.py pandas/tests/tslibs/test_parsing.py
sklearn/ensemble/_hist_gradient_boosting/tests/test_grower.py sklearn/linear_model/tests/test_base.py
sklearn/linear_model/tests/test_sgd.py sklearn/metrics/tests/test_ranking.py sklearn/neighbors/tests/test_ball_tree.py
sklearn/svm/tests/test_svm.py sklearn/tree/tests/test_tree.py
""".split()

#: Builds what ``lamina build`` refuses, as the packages' own tests put the layer above Lambda's quota.
BUILD = """
import sys
from functools import partial
from lamina.cli import common
from lamina.pipeline import bytecode_of
from lamina.planner import Planner
from lamina.progress import SILENT
from lamina.project import order
store = common.open_store()
[(project, recipe, [target])] = common.chosen(sys.argv[1:], (), store, everything=False)
fetch = common.fetcher(project, recipe, (), store, SILENT, offline=False)
ordered = order(project, recipe, target)
compiler = partial(common.compiler, ordered, SILENT, offline=False)
planner = Planner(ordered, store, fetch, SILENT, bytecode=bytecode_of(ordered, compiler))
project.output.mkdir(exist_ok=True)
planner.write(planner.make(), project.output / "layer.zip")
"""
#: A plugin for pytest that writes how each test ended; of xdist's processes only the first does.
TOLD = """
import json, os
ended = {}
def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        ended[report.nodeid] = ("x" if hasattr(report, "wasxfail") else "") + report.outcome
def pytest_sessionfinish():
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with open(os.environ["TOLD"], "w") as file:
            json.dump(ended, file)
"""


def test_the_same_tests_pass_as_with_untouched_wheels(
    layers: Layers, shared_store: Path, python311: str, tmp_path: Path
) -> None:
    lock = locks.read(LOCK)
    rules = json.dumps(sorted(set(RULES) - {"tests"}))
    layers.write(
        "own-tests",
        [f"{wheel.name}=={wheel.version}" for wheel in lock.wheels],
        extra=f'[prune]\nrules = {rules}\n[bytecode]\nmode = "all"\n',
    )
    built = layers.run("own-tests", "-c", BUILD, "own-tests")
    assert built.returncode == 0, built.stderr
    layer = tmp_path / "layer"
    where = layers.run("own-tests", "-c", "import os; print(os.path.abspath('dist/layer.zip'))").stdout.strip()
    with zipfile.ZipFile(where) as archive:
        archive.extractall(layer)
    Path(where).unlink()
    whole = tmp_path / "whole" / "python"
    indexes = from_environment(os.environ)
    wheels = fetch(lock.wheels, store=Store(shared_store), indexes=indexes, offline=False, progress=SILENT)
    for path in wheels.values():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(whole)
    assert len([*layer.rglob("*.pyc")]) > 0.95 * len([*whole.rglob("*.py")])
    assert native_bytes(whole) - native_bytes(layer) > 15_000_000
    tools = tmp_path / "tools"
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python311, "--target", str(tools)]
    subprocess.run([*install, "pytest<9", "pytest-xdist<4", "hypothesis<7"], check=True, timeout=300)
    (tools / "told.py").write_text(TOLD)

    before = {path: path.stat().st_mtime_ns for path in layer.rglob("*")}
    ours = ended(layer / "python", tools, python311, tmp_path / "ours.json")
    assert {path: path.stat().st_mtime_ns for path in layer.rglob("*")} == before
    untouched = ended(whole, tools, python311, tmp_path / "untouched.json")
    differing = {name: (untouched.get(name), ours.get(name)) for name in untouched.keys() | ours.keys()}
    assert {name: both for name, both in differing.items() if both[0] != both[1]} == {}
    counts = Counter(ours.values())
    assert counts["passed"] > 7000, counts
    for package in ("numpy", "scipy", "pandas", "sklearn"):
        assert sum(name.startswith(f"{package}/") and how == "passed" for name, how in ours.items()) > 700


def native_bytes(root: Path) -> int:
    """The bytes of all native libraries below a folder."""
    return sum(path.stat().st_size for path in root.rglob("*.so*"))


def ended(packages: Path, tools: Path, interpreter: str, told: Path) -> dict[str, str]:
    """How each of the selected tests ends with the packages in this folder, by its id."""
    folders = [path for path in (packages, *packages.rglob("*")) if path.is_dir()]
    settings = tools / "pytest.ini"
    settings.write_text("[pytest]\n")
    command = [interpreter, "-s", "-B", "-m", "pytest", "-q", "-n", "2", "-p", "told", "-p", "no:cacheprovider"]
    command += ["-c", str(settings), "--rootdir", str(packages), "--hypothesis-seed=0", "-W", "ignore"]
    command += ["--basetemp", str(told.with_suffix(".tmp")), *SELECTED]
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE"), "1")
    path = os.pathsep.join(map(str, (packages, tools)))
    env = {**os.environ, **single, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "TOLD": str(told)}
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(command, cwd=packages, env=env, capture_output=True, text=True, timeout=1200, check=False)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert told.is_file(), done.stdout[-4000:] + done.stderr[-4000:]
    found: dict[str, str] = json.loads(told.read_text())
    return found
