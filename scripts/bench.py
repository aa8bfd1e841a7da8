"""Measure recipes against other ways to the same, as whole processes in one run, in turn; judges nothing.

Builds of sklearn, with warm caches and compiled bytecode on all sides:

* ``lamina build``, warm: the layer composed from the store;
* with ``--before``, the same by another commit of this repository, with that one's recipe;
* ``cat`` of the locked wheels into one file: the floor for anything that copies them;
* ``uv pip install --target``, the usual ``rm -rf``, ``strip`` and ``zip``: what people do by hand;
* ``lamina build`` with the wheels in the store and no parts: the first build, with trimming and bytecode;
* ``lamina audit`` of the zip, as if a stranger had made it: its native files alone, and with the scan of all imports.

Figures are CPU seconds (user and system, children included), wall seconds and peak memory, each the median of its runs.

Cold starts of sklearn, docworker and chroma: see bench_cold.py.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lamina
from lamina.lock import LockedWheel, canonical
from lamina.project import Order, Project, load_recipe, order
from lamina.recipe import targets
from lamina.store import Store, default_root

ROOT = Path(__file__).resolve().parent.parent


#: The audit of everything but imports; what ``lamina audit`` takes beyond it is the scan of the sources.
NATIVE = """
import sys
from lamina.artefact import open_artefact
from lamina.audit.check import check
from lamina.target import target_for
python, _, platform = sys.argv[2].partition("-")
check([open_artefact(sys.argv[1], sources=False)], target_for(python, platform=platform))
"""


class Run(NamedTuple):
    """What one process tree took: CPU and wall seconds, and the peak memory of its largest process in MiB."""

    cpu: float
    wall: float
    peak: float


def run(command: list[str], *, env: dict[str, str] | None = None, output: Path | None = None) -> Run:
    """Run a command to its end, its output to a file or nowhere, and account for it and its children."""
    with (output or Path(os.devnull)).open("wb") as out:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}: {' '.join(command)}")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def median(runs: list[Run]) -> Run:
    """The median of each figure by itself."""
    return Run(*(statistics.median(figures) for figures in zip(*runs, strict=True)))


def by_hand(uv: str, lock: Path, python: str, work: Path) -> list[str]:
    """The script that people write: install for the platform, remove by name, strip, zip."""
    script = f"""
    set -e
    rm -rf {work}/tree {work}/layer.zip
    {uv} pip install --quiet --no-config --offline --link-mode copy --target {work}/tree/python \\
      --python-version {python} --python-platform x86_64-manylinux2014 --only-binary :all: \\
      --no-deps --require-hashes -r {lock}
    cd {work}/tree
    find . -type d \\( -name tests -o -name docs -o -name __pycache__ -o -name '*.dist-info' \\) \\
      -prune -exec rm -rf {{}} +
    find . -name '*.so*' -type f -exec strip --strip-unneeded {{}} + 2>/dev/null || true
    zip -q -r ../layer.zip .
    """
    return ["sh", "-c", script]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help="whose builds and cold starts; without, those named above")
    parser.add_argument("--runs", type=int, default=7, help="runs of what is quick (the slow builds run twice)")
    parser.add_argument("--only", choices=("builds", "cold-starts"), help="this part alone")
    parser.add_argument("--before", metavar="COMMIT", help="also build with this commit of the repository")
    arguments = parser.parse_args()
    for packages in (sysconfig.get_path("purelib"), Path(lamina.__file__).parent):
        compileall.compile_dir(packages, quiet=2, workers=2)  # uv leaves that to the first import
    if arguments.only != "cold-starts":
        for name in arguments.recipes or ["sklearn"]:
            builds(name, arguments.runs, arguments.before)
    if arguments.only != "builds":
        from bench_cold import cold_starts

        for name in arguments.recipes or ["sklearn", "docworker", "chroma"]:
            with tempfile.TemporaryDirectory() as folder:
                job = made_ready(name, Path(folder))
                run(job.build)
                cold_starts(job.order, job.store, Path(folder), arguments.runs)


class Ready(NamedTuple):
    """One recipe for its first target, its wheels in the store, and the command that builds it."""

    order: Order
    wheels: list[LockedWheel]
    store: Store
    build: list[str]


def made_ready(name: str, work: Path) -> Ready:
    """Read the recipe; artefacts are to go into a folder of ``work``."""
    store = Store(default_root(os.environ))
    project = Project(ROOT / "recipes" / f"{name}.toml", ROOT, work / "dist")
    recipe = load_recipe(project, store)
    ordered = order(project, recipe, targets(recipe)[0])
    omitted = {canonical(omit.name) for omit in recipe.omit}
    wheels = [wheel for wheel in ordered.lock.wheels if wheel.name not in omitted]
    build = [sys.executable, "-m", "lamina", "build", str(project.recipe_path)]
    build += ["--target", ordered.target.name, "--output", str(project.output), "--quiet"]
    return Ready(ordered, wheels, store, build)


def builds(name: str, runs: int, before: str | None) -> None:
    """Measure builds of a recipe, and print."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ordered, locked, store, build = made_ready(name, work)
        target = ordered.target
        run(build)  # fills the store
        wheels = [store.path("wheels", wheel.sha256, ".whl") for wheel in locked]
        compare: dict[str, Callable[[], Run]] = {
            "lamina build, warm": lambda: run(build),
            "cat *.whl": lambda: run(["cat", *map(str, wheels)], output=work / "joined"),
        }
        if before is not None:
            earlier, env = commit(before, build, store, wheels, work)
            run(earlier, env=env)
            compare[f"the same by {before}"] = lambda: run(earlier, env=env)
        measured: dict[str, list[Run]] = {name: [] for name in compare}
        for _ in range(runs):
            for what, measure in compare.items():
                measured[what].append(measure())

        made = str(work / "dist" / f"{ordered.name}.zip")
        audit = [sys.executable, "-m", "lamina", "audit", made, "--target", target.name]
        native = [sys.executable, "-c", NATIVE, made, target.name]
        measured["lamina audit, no imports"] = [run(native) for _ in range(2)]
        measured["lamina audit"] = [run(audit) for _ in range(2)]

        if all(map(shutil.which, ("strip", "zip"))):
            uv = str(Path(sysconfig.get_path("scripts"), "uv"))
            hand = by_hand(uv, ordered.lock_path, "{}.{}".format(*target.runtime.python), work)
            subprocess.run([part.replace("--offline ", "") for part in hand], check=True)  # fills uv's own cache
            measured["uv, rm, strip, zip"] = [run(hand) for _ in range(2)]
        else:
            print("uv, rm, strip, zip: left out; strip or zip is not on this machine")

        cold = {**os.environ, "LAMINA_CACHE": str(store_of(store, wheels, work / "cold"))}
        first = []
        for _ in range(2):
            for kind in ("parts", "plans", "memos"):
                shutil.rmtree(work / "cold" / kind, ignore_errors=True)
            first.append(run(build, env=cold))
        measured["lamina build, no parts"] = first
    report(f"{name} for {target.name}: builds; medians", {what: median(runs) for what, runs in measured.items()})


def commit(
    revision: str, build: list[str], store: Store, wheels: list[Path], work: Path
) -> tuple[list[str], dict[str, str]]:
    """The command that builds the same recipe by another commit, its environment, and all it needs made ready."""
    tree = work / "before"
    archive = subprocess.run(["git", "-C", ROOT, "archive", revision], capture_output=True, check=True).stdout  # noqa: S607
    tree.mkdir()
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)  # noqa: S607
    compileall.compile_dir(tree / "build", quiet=2, workers=2)
    env = {**os.environ, "PYTHONPATH": str(tree / "build"), "LAMINA_CACHE": str(store_of(store, wheels, work / "old"))}
    command = [part.replace(str(ROOT / "recipes"), str(tree / "recipes")) for part in build]
    return [part.replace(str(work / "dist"), str(work / "dist-before")) for part in command], env


def store_of(store: Store, wheels: list[Path], root: Path) -> Path:
    """A store that has these wheels of the other one, and nothing else."""
    for wheel in wheels:
        place = root / wheel.relative_to(store.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(wheel, place)
    return root


def report(title: str, rows: dict[str, Run]) -> None:
    """Print the medians, and each as a ratio to the warm build."""
    base = rows["lamina build, warm"]
    print(f"\n{title}")
    print(f"{'':<26}{'CPU s':>9}{'wall s':>9}{'peak MiB':>10}{'CPU, times warm':>18}")
    for name, row in rows.items():
        print(f"{name:<26}{row.cpu:>9.3f}{row.wall:>9.3f}{row.peak:>10.1f}{row.cpu / base.cpu:>18.2f}")


if __name__ == "__main__":
    main()
