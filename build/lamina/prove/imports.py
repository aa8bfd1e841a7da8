"""Import proofs: what the recipe names, and every top-level package that the layer ships, each for itself.

A top-level package that does not import is held against the same packages as their wheels have them, unpruned: when it
does not import there either, its wheel is such, and that is a note.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from lamina.prove.explain import OF_TRACE, explain
from lamina.prove.model import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lamina.prove.model import Sandbox
    from lamina.prune.model import Decision

_PROGRAM = Path(__file__).with_name("inside") / "import_each.py"

#: How the proof of one module came out: ``note`` where its wheel does not import either, or where the recipe names it
#: nowhere and what it lacks is what no trace touched.
Verdict = Literal["passed", "failed", "note"]


class Import(msgspec.Struct, frozen=True):
    """How one import went. ``seconds`` are its own, ``peak`` its largest resident memory in bytes.

    ``ended`` is ``exited``, or the limit that ended it. ``code`` is the exit code of a process that said nothing, a
    negative one the signal that ended it. ``frames`` are the last of the traceback, ``missing`` the module or file
    that was not there.
    """

    name: str
    passed: bool
    seconds: float = 0.0
    peak: int = 0
    ended: Literal["", "memory", "timeout"] = ""
    code: int | None = None
    message: str = ""
    frames: tuple[str, ...] = ()
    missing: str = ""

    def what(self) -> str:
        """Why it failed, in one line."""
        if self.ended == "memory":
            return "took more memory than the function has, and was ended"
        if self.ended == "timeout":
            return f"was still importing after {self.seconds:.1f} s, and was ended"
        if self.code is not None:
            return _code(self.code)
        return self.message


class Proof(msgspec.Struct, frozen=True):
    """An import and what it means. ``because`` is the decision of pruning that explains a failure, else empty."""

    imported: Import
    declared: bool
    verdict: Verdict
    because: str = ""


def run_imports(
    sandbox: Sandbox,
    names: Sequence[str],
    *,
    memory: int | None = None,
    seconds: float | None = 60.0,
    once: int | None = None,
) -> tuple[Import, ...]:
    """Import each of ``names`` in a fork of a clean interpreter, ``once`` at a time; else as many as processors are.

    A package that is named beside a module in it is proven by that module's import, which begins with it.

    ``memory`` (bytes) and ``seconds`` are limits of each import. The results stand in the order of the names.
    """
    wanted = list(dict.fromkeys(names))
    # ``import a.b`` imports a before all else: where a.b comes that far, a needs no process of its own.
    first = [name for name in wanted if not any(other.startswith(f"{name}.") for other in wanted)]
    limits = {"once": once or os.cpu_count() or 1, "memory": memory, "seconds": seconds}
    found = _round(sandbox, first, limits)
    found |= _round(sandbox, [name for name in wanted if name not in found], limits)
    return tuple(found[name] for name in wanted)


class _Steps(msgspec.Struct, frozen=True):
    """The packages that were imported on the way, each with its seconds and its memory in bytes."""

    steps: dict[str, tuple[float, int]] = {}


def _round(sandbox: Sandbox, names: Sequence[str], limits: Mapping[str, float | None]) -> dict[str, Import]:
    """How the import of each name went, and of each package on the way to it."""
    if not names:
        return {}
    order = {"names": names, **limits}
    job = Job(("-c", _PROGRAM.read_text(encoding="utf-8")), stdin=json.dumps(order).encode())
    running = sandbox.start(job)
    outcome = running.wait() or running.stop()
    told = outcome.stderr.decode(errors="replace").strip().splitlines()
    last = told[-1] if told else "the process that imports ended"
    found = {name: Import(name, passed=False, message=last) for name in names}
    passed: dict[str, Import] = {}
    for line in outcome.stdout.splitlines():
        try:
            one = msgspec.json.decode(line, type=Import)
            way = msgspec.json.decode(line, type=_Steps)
        except msgspec.MsgspecError:  # cut short, or not ours
            continue
        found[one.name] = one
        passed |= {
            name: Import(name, passed=True, seconds=spent, peak=peak) for name, (spent, peak) in way.steps.items()
        }
    return passed | found


def prove(
    imports: Sequence[Import],
    declared: Iterable[str],
    decisions: Iterable[Decision],
    unpruned: Callable[[Sequence[str]], Sequence[Import]],
) -> tuple[Proof, ...]:
    """Judge imports. ``unpruned`` imports the same names from the packages as their wheels have them.

    It is called once, with those that failed and were not declared, and not at all when there are none.
    """
    named = set(declared)
    doubtful = [one.name for one in imports if not one.passed and one.name not in named]
    untouched = {one.name: one.passed for one in unpruned(doubtful)} if doubtful else {}
    dropped = [*decisions]
    proofs = []
    for one in imports:
        failed: Verdict = "note" if untouched.get(one.name) is False else "failed"
        verdict: Verdict = "passed" if one.passed else failed
        because = explain(one.missing, dropped) if verdict == "failed" and one.missing else ""
        if OF_TRACE in because and one.name not in named:
            verdict = "note"
        proofs.append(Proof(one, one.name in named, verdict, because))
    return tuple(proofs)


def _code(code: int) -> str:
    if code >= 0:
        return f"ended its process with exit code {code}"
    try:
        return f"crashed: {signal.Signals(-code).name}"
    except ValueError:
        return f"crashed: signal {-code}"
