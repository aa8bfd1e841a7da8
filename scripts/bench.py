"""Measure builds of a recipe against other ways to the same layer, as whole processes in one run; judges nothing.

Compared, in turn, with warm caches and compiled bytecode on all sides:

* ``lamina build``, warm: the layer composed from the store;
* ``cat`` of the locked wheels into one file: the floor for anything that copies them;
* ``uv pip install --target``, the usual ``rm -rf``, ``strip`` and ``zip``: what people do by hand;
* ``lamina build`` with the wheels in the store and no parts: the first build;
* ``lamina audit`` of the zip, as if a stranger had made it: its native files alone, and with the scan of all imports.

Figures are CPU seconds (user and system, children included), wall seconds and peak memory, each the median of its runs.
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

from lamina import lock as locks
from lamina.recipe import load, targets
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
    parser.add_argument("recipe", nargs="?", default="sklearn")
    parser.add_argument("--runs", type=int, default=5, help="runs of the quick commands (the slow ones run twice)")
    arguments = parser.parse_args()

    path = ROOT / "recipes" / f"{arguments.recipe}.toml"
    recipe = load(path)
    target = targets(recipe)[0]
    lock_path = locks.lock_path(path, recipe.name, target)
    store = Store(default_root(os.environ))
    scripts = Path(sysconfig.get_path("scripts"))
    lamina, uv = (str(scripts / name) for name in ("lamina", "uv"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        build = [lamina, "build", str(path), "--target", target.name, "--output", str(work / "dist"), "--quiet"]
        compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=2)  # uv leaves that to the first import
        run(build)  # fills the store
        wheels = [str(store.path("wheels", wheel.sha256, ".whl")) for wheel in locks.read(lock_path).wheels]
        compare: dict[str, Callable[[], Run]] = {
            "lamina build, warm": lambda: run(build),
            "cat *.whl": lambda: run(["cat", *wheels], output=work / "joined"),
        }
        measured: dict[str, list[Run]] = {name: [] for name in compare}
        for _ in range(arguments.runs):
            for name, measure in compare.items():
                measured[name].append(measure())

        made = str(work / "dist" / f"{recipe.name}-{target.name}.zip")
        native = [sys.executable, "-c", NATIVE, made, target.name]
        measured["lamina audit, no imports"] = [run(native) for _ in range(2)]
        measured["lamina audit"] = [run([lamina, "audit", made, "--target", target.name]) for _ in range(2)]

        python = "{}.{}".format(*target.runtime.python)
        if all(map(shutil.which, ("strip", "zip"))):
            hand = by_hand(uv, lock_path, python, work)
            subprocess.run([part.replace("--offline ", "") for part in hand], check=True)  # fills uv's own cache
            measured["uv, rm, strip, zip"] = [run(hand) for _ in range(2)]
        else:
            print("uv, rm, strip, zip: left out; strip or zip is not on this machine")

        cold = work / "store"
        shutil.copytree(store.root / "wheels", cold / "wheels")
        first = []
        for _ in range(2):
            for kind in ("parts", "plans", "memos"):
                shutil.rmtree(cold / kind, ignore_errors=True)
            first.append(run(build, env={**os.environ, "LAMINA_CACHE": str(cold)}))
        measured["lamina build, no parts"] = first
    report(f"{recipe.name} for {target.name}", {name: median(runs) for name, runs in measured.items()})


def report(title: str, rows: dict[str, Run]) -> None:
    """Print the medians, and each as a ratio to the warm build."""
    base = rows["lamina build, warm"]
    print(f"{title}; medians")
    print(f"{'':<26}{'CPU s':>9}{'wall s':>9}{'peak MiB':>10}{'CPU, times warm':>18}")
    for name, row in rows.items():
        print(f"{name:<26}{row.cpu:>9.3f}{row.wall:>9.3f}{row.peak:>10.1f}{row.cpu / base.cpu:>18.2f}")


if __name__ == "__main__":
    main()
