"""Measure cold starts of a recipe's layer against the layer that people make by hand of the same lock.

That one is ``uv pip install --target`` and the usual ``rm -rf`` of tests, docs, examples, ``*.dist-info`` and
``__pycache__``; where the recipe's proofs fail with it, it keeps the least of those with which they pass. Both stand
read-only at ``/opt`` in lamina's sandbox, take turns, and were read before, so that no disk is measured. What the
runtime itself has (the AWS SDK, the runtime client) has its bytecode on both sides: it is not the layer's.

Imports: those that the recipe states, in one new process with the environment of the function, from before the first
to after the last. First invocation: a new process of AWS's runtime client, up to the answer to the recipe's first
event. CPU seconds are user and system.
Both sides spend some of that on the runtime client and, where the function uses it, on the AWS SDK's client for S3,
which no layer can change.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lamina.fetch import fetch
from lamina.index import from_environment
from lamina.interpreters import find
from lamina.progress import SILENT
from lamina.project import Order
from lamina.prove.invocation import CREDENTIALS, Setting
from lamina.prove.invoke import Function
from lamina.prove.live import services, setting_of
from lamina.prove.model import Job, Sandbox, Stage
from lamina.prove.runtime_standin import standin
from lamina.prove.sandbox import open_sandbox
from lamina.prove.session import Session
from lamina.prove.stage import unpacked, zips
from lamina.prove.tops import top_levels
from lamina.prove.trial import judge, load
from lamina.runtimes import quotas
from lamina.store import Store

#: What ``rm -rf`` takes, each of them until a proof fails; ``__pycache__`` always goes.
USUAL = ("tests", "docs", "examples", "*.dist-info")
_SECONDS = 300.0
#: Modules without bytecode that are told by name.
_NAMED = 5

_IMPORTS = """
import importlib, json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall]))
"""
#: What comes on standard input, as the main module.
_SCRIPT = """
import sys
exec(compile(sys.stdin.buffer.read(), sys.argv[1], "exec"), {"__name__": "__main__"})
"""
#: AWS's runtime client, which tells its CPU seconds whenever it asks for work.
_CLIENT = """
import os, resource, sys
from awslambdaric import lambda_runtime_client as client
asks = client.LambdaRuntimeClient.wait_next_invocation
def told(self):
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    os.write(2, b"CPU %.6f\\n" % sum(one.ru_utime + one.ru_stime for one in spent))
    if "tell" in globals():
        tell()
    return asks(self)
client.LambdaRuntimeClient.wait_next_invocation = told
from awslambdaric.__main__ import main
main(sys.argv)
"""
#: Tells at the end, and whenever work is asked for, which modules of the layer ran and which had to be compiled.
_WATCH = """
def _watch():
    import atexit, importlib, json, os, sys
    ran, compiled = {}, {}
    importing = importlib._bootstrap._call_with_frames_removed.__code__.co_filename  # others compile what they like
    def hook(event, arguments):
        if event == "exec":
            if arguments[0].co_name == "<module>" and arguments[0].co_filename.startswith("/opt/"):
                ran[arguments[0].co_filename] = None
        elif event == "compile" and sys._getframe(1).f_code.co_filename == importing:
            if isinstance(arguments[1], str) and arguments[1].startswith("/opt/"):
                compiled[arguments[1]] = None
    def tell():
        os.write(2, b"RAN %d %s\\n" % (len(ran), json.dumps([*compiled]).encode()))
    sys.addaudithook(hook)
    atexit.register(tell)
    return tell
tell = _watch()
"""


class Cold(NamedTuple):
    """What one cold start took, in seconds."""

    cpu: float
    wall: float


class Layer(NamedTuple):
    """An unpacked layer to be measured: its folder, its bytes, and a sandbox that has it at ``/opt``."""

    name: str
    size: int
    sandbox: Sandbox


class Trials(NamedTuple):
    """All that is run of a recipe."""

    order: Order
    setting: Setting
    tops: Sequence[str]


def cold_starts(order: Order, store: Store, scratch: Path, rounds: int) -> None:
    """Measure and print; the zips of the order stand in its output folder.

    ``scratch`` is a folder for what is unpacked.
    """
    target, recipe = order.target, order.recipe
    runtime, interpreter = target.runtime, find(target, os.environ).path
    made = order.project.output / f"{order.name}.zip"
    shipped = unpacked(store, zips([made]))
    function = order.project.output / f"{order.name}-function.zip"
    ready = standin(target, store=store, indexes=from_environment(os.environ))
    stage = Stage(
        interpreter, compiled(interpreter, ready, scratch / "runtime"), task=unpacked(store, zips([function]))
    )
    with contextlib.ExitStack() as stack:

        def opened(name: str, opt: Path) -> Layer:
            sandbox = stack.enter_context(open_sandbox(stage._replace(opt=opt), runtime))
            if not sandbox.where.isolated:
                sys.exit("cold starts: this machine has no namespaces, so nothing stands read-only at /opt")
            return Layer(name, size_of(opt), sandbox)

        session = Session(order, None, None, None, opened("", shipped).sandbox, tuple, lambda _: ())
        beside = stack.enter_context(services(session, os.environ))
        tops = top_levels(path.relative_to(shipped).as_posix() for path in shipped.rglob("*"))
        trials = Trials(order, setting_of(session, beside), tops)
        ours = opened("lamina", shipped)
        if failed := broken(ours, trials):
            sys.exit(f"{order.name}: {failed}")
        indexes = from_environment(os.environ)
        wheels = fetch(order.lock.wheels, store=store, indexes=indexes, offline=False, progress=SILENT)
        kept, usual = by_hand(order, wheels, scratch, partial(opened, "usual"), trials)
        layers = (ours, usual)
        figures: dict[tuple[str, str], list[Cold]] = {}
        for _ in range(rounds):
            for layer in layers:
                figures.setdefault(("imports", layer.name), []).append(imports(layer, trials))
                figures.setdefault(("first invocation", layer.name), []).append(first(layer, trials)[0])
        if usual_grew(scratch / "usual"):
            sys.exit("cold starts: the layer made by hand was written to; its figures tell nothing")
        report(f"{recipe.name} for {target.name}: cold starts; medians of {rounds} turns", figures)
        quota = quotas().unzipped
        print(f"bytes: lamina {ours.size:,}, usual {usual.size:,}; of {quota:,} for layers and function together")
        print(f"usual: uv pip install, rm -rf {' '.join(one for one in USUAL if one not in kept)} __pycache__")
        if kept:
            print(f"usual: keeps {' '.join(kept)}, without which the recipe's proofs fail")
        for layer in layers:
            print(f"modules of {layer.name} that ran without bytecode:", *uncompiled(layer, trials), sep="\n  ")


def by_hand(
    order: Order,
    wheels: Mapping[str, Path],
    scratch: Path,
    opened: partial[Layer],
    trials: Trials,
) -> tuple[Sequence[str], Layer]:
    """The layer that people make, with the fewest things kept with which the proofs pass, and what those are.

    ``wheels`` are the lock's, all of them, by their digests: what a recipe omits, nobody leaves out by hand.
    """
    folder = scratch / "wheels"
    folder.mkdir()
    files = [folder / wheel.filename for wheel in order.lock.wheels]
    for wheel, file in zip(order.lock.wheels, files, strict=True):
        file.symlink_to(wheels[wheel.sha256])
    opt = scratch / "usual"
    uv = Path(sysconfig.get_path("scripts"), "uv")
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--no-config",
        "--no-cache",
        "--no-index",
        "--no-deps",
    ]
    install += ["--link-mode", "copy", "--python", find(order.target, os.environ).path, "--target", opt / "python"]
    failed = ""
    for count in range(len(USUAL) + 1):
        for kept in itertools.combinations(USUAL, count):
            shutil.rmtree(opt, ignore_errors=True)
            subprocess.run([*install, *files], check=True)
            remove(opt, [name for name in (*USUAL, "__pycache__") if name not in kept])
            layer = opened(opt)
            failed = broken(layer, trials)
            if not failed:
                return kept, layer
    sys.exit(f"{order.name}: fails as its wheels are: {failed}")


def remove(opt: Path, names: Sequence[str]) -> None:
    """``rm -rf`` of all folders of these names."""
    for name in names:
        for path in [*opt.rglob(name)]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # one within another is gone already


def usual_grew(opt: Path) -> bool:
    """Whether bytecode was written into the layer that has none."""
    return any(opt.rglob("*.pyc"))


def compiled(interpreter: Path, ready: Path, folder: Path) -> Path:
    """A copy of what the runtime has, with bytecode."""
    shutil.copytree(ready, folder, symlinks=True)
    command = [interpreter, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # some files are for other versions of Python
    return folder


def size_of(opt: Path) -> int:
    """The bytes of all files."""
    return sum(path.lstat().st_size for path in opt.rglob("*") if path.is_file())


def importing(trials: Trials) -> Job:
    """Import what the recipe states, with what the function has in its environment."""
    command = ("-c", _IMPORTS, *trials.order.recipe.proof.imports)
    return Job(command, trials.setting.environment, seconds=_SECONDS)


def imports(layer: Layer, trials: Trials) -> Cold:
    """Import what the recipe states in a new process."""
    outcome = layer.sandbox.start(importing(trials)).wait()
    if outcome is None or outcome.code != 0:
        sys.exit(f"{layer.name}: {outcome and outcome.stderr.decode(errors='replace')}")
    return Cold(*json.loads(outcome.stdout))


def first(layer: Layer, trials: Trials) -> tuple[Cold, str]:
    """Start the function and send it the first event; what that took, and what was wrong with the answer."""
    project, recipe = trials.order.project, trials.order.recipe
    name = recipe.function.events[0] if recipe.function is not None else ""
    event = load(project.root / name, name)
    setting = trials.setting._replace(client=("-c", _CLIENT), timeout=_SECONDS)
    with Function(layer.sandbox, setting) as function:
        done = function.invoke(event.data)
    trial = judge(event, done, setting)
    spent = [float(text) for text in re.findall(r"^CPU (\S+)$", done.logs, re.MULTILINE)]
    failed = "" if trial.passed else f"{name}: {trial.message or trial.mismatches}"
    return Cold(max(spent, default=0.0), (done.init_seconds or 0.0) + done.seconds), failed


def broken(layer: Layer, trials: Trials) -> str:
    """The first proof of the recipe that fails with this layer; empty where all pass."""
    for what, job in (("imports", importing(trials)), *scripts(trials)):
        outcome = layer.sandbox.start(job).wait()
        if outcome is None or outcome.code != 0:
            told = (outcome.stderr if outcome else b"").decode(errors="replace").strip().splitlines()
            return f"{what}: {told[-1] if told else outcome}"
    return first(layer, trials)[1]


def scripts(trials: Trials, before: str = "") -> Iterator[tuple[str, Job]]:
    """The recipe's script, if it has one."""
    path = trials.order.recipe.proof.script
    if path is not None:
        content = (trials.order.project.root / path).read_bytes()
        environment = {**CREDENTIALS, **trials.setting.environment}
        job = Job(("-c", before + _SCRIPT, path), environment, content, trials.setting.reach, seconds=_SECONDS)
        yield "script", job


def uncompiled(layer: Layer, trials: Trials) -> Iterator[str]:
    """How many of the layer's modules each kind of proof compiles, of how many that it runs."""
    recipe = trials.order.recipe
    load_all = "import contextlib, importlib, sys\nfor name in sys.argv[1:]:\n"
    load_all += "    with contextlib.suppress(Exception):\n        importlib.import_module(name)\n"
    jobs = [("imports", Job(("-c", _WATCH + load_all, *recipe.proof.imports), seconds=_SECONDS))]
    jobs += scripts(trials, _WATCH)
    jobs += [("every package", Job(("-c", _WATCH + load_all, *trials.tops), seconds=_SECONDS))]
    for what, job in jobs:
        outcome = layer.sandbox.start(job).wait()
        yield counted(what, outcome.stderr.decode(errors="replace") if outcome else "")
    setting = trials.setting._replace(client=("-c", _WATCH + _CLIENT), timeout=_SECONDS)
    events = recipe.function.events if recipe.function is not None else ()
    with Function(layer.sandbox, setting) as function:
        logs = [function.invoke((trials.order.project.root / name).read_bytes()).logs for name in events]
    yield counted("events", "\n".join(logs))


def counted(what: str, told: str) -> str:
    """The last count of a run, in words."""
    found = re.findall(r"^RAN (\d+) (.*)$", told, re.MULTILINE)
    if not found:
        return f"{what} not counted"
    number, paths = int(found[-1][0]), json.loads(found[-1][1])
    named = [path.removeprefix("/opt/python/") for path in paths] if 0 < len(paths) < number else []
    more = f", and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    return f"{what} {len(paths):,} of {number:,}" + (f": {', '.join(named[:_NAMED])}{more}" if named else "")


def report(title: str, figures: dict[tuple[str, str], list[Cold]]) -> None:
    """Print the medians of both layers, and of the ratios of each turn: the machine's speed drifts between turns."""
    print(f"\n{title}")
    print(f"{'':<20}{'lamina':>18}{'usual':>20}{'lamina / usual':>20}")
    print(f"{'':<20}" + f"{'CPU s':>10}{'wall s':>10}" * 2 + f"{'CPU':>10}{'wall':>10}")
    for what in ("imports", "first invocation"):
        ours, usual = (figures[what, name] for name in ("lamina", "usual"))
        ratios = [Cold(one.cpu / other.cpu, one.wall / other.wall) for one, other in zip(ours, usual, strict=True)]
        print(f"{what:<20}" + "".join(f"{one:>10.3f}" for one in (*medians(ours), *medians(usual), *medians(ratios))))


def medians(taken: Sequence[Cold]) -> Cold:
    """The median of each figure."""
    return Cold(*(statistics.median(column) for column in zip(*taken, strict=True)))
