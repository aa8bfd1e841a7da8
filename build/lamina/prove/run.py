"""The proofs of one order, in their order: imports, the script, the events; and how the manifests tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lamina.emit import manifest as manifests
from lamina.emit.manifest import Proof
from lamina.files import put
from lamina.prove.imports import prove as judge
from lamina.prove.imports import run_imports
from lamina.prove.invocation import CREDENTIALS
from lamina.prove.invoke import Function
from lamina.prove.live import Services, services, setting_of
from lamina.prove.machine import place
from lamina.prove.model import Job
from lamina.prove.report_line import max_memory
from lamina.prove.tops import top_levels
from lamina.prove.trial import judge as judge_event
from lamina.prove.trial import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lamina.progress import Progress
    from lamina.prove.imports import Import
    from lamina.prove.invocation import Invocation
    from lamina.prove.session import Session
    from lamina.prune.model import Decision

#: Bytes and seconds for imports and the script where the recipe has no function that states them.
_MEMORY = 10_240 * 1024**2
_SECONDS = 300.0
#: A first answer that takes longer is worth a word: compiling is the larger part of it.
_SLOW = 3.0
_FRAMES = 3
#: Runs what stands on standard input under the name that follows.
_FROM_STDIN = "import sys; exec(compile(sys.stdin.buffer.read(), sys.argv[1], 'exec'))"
_LAST_LINES = 12


class Result(NamedTuple):
    """One proof with what there is to show of it: the lines below it, the notes, and whether the function is its."""

    proof: Proof
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    of_function: bool = False


def prove(
    session: Session, decisions: Iterable[Decision], environment: Mapping[str, str], progress: Progress
) -> Iterator[Result]:
    """Run every proof that the recipe states, and the imports of all that the layer ships; yield each as it ends.

    ``environment`` is that of this process, for the loopback S3.
    """
    recipe = session.order.recipe
    where = place(session.sandbox.where, session.order.target.runtime)
    progress.stage(f"proving {session.order.name}")
    yield _imports(session, where, decisions)
    with services(session, environment) as beside:
        if recipe.proof.script is not None:
            yield _script(session, where, recipe.proof.script, beside)
        if session.function is not None and recipe.function is not None and recipe.function.events:
            with Function(session.sandbox, setting_of(session, beside)) as function:
                for path in recipe.function.events:
                    yield _event(session, where, function, path)


def record(session: Session, results: Sequence[Result]) -> None:
    """Write what ran into the manifests; proofs of an earlier run give way."""
    for emitted, of_function in ((session.layer, False), (session.function, True)):
        if emitted is not None:
            proofs = tuple(result.proof for result in results if result.of_function == of_function)
            put(emitted.report, manifests.render(msgspec.structs.replace(emitted.manifest, proofs=proofs)))


def _imports(session: Session, where: str, decisions: Iterable[Decision]) -> Result:
    """Each declared import and each top-level package of the layer, in a process of its own."""
    recipe = session.order.recipe
    paths = _shipped(session)
    names = list(dict.fromkeys((*recipe.proof.imports, *top_levels(paths))))
    memory = recipe.function.memory if recipe.function is not None else _MEMORY

    def untouched(doubtful: Sequence[str]) -> Sequence[Import]:
        with session.unpruned() as sandbox:
            return run_imports(sandbox, doubtful, memory=memory)

    found = run_imports(session.sandbox, names, memory=memory)
    judged = judge(found, recipe.proof.imports, decisions, untouched)
    failed = [one for one in judged if one.verdict == "failed"]
    lines: list[str] = []
    for one in failed:
        lines.append(f"{one.imported.name}: {one.imported.what()}")
        lines += [f"  {frame}" for frame in one.imported.frames[-_FRAMES:]]
        lines += [f"  {one.because}"] if one.because else []
    notes = [
        f"{one.imported.name} does not import from its untouched wheel either: {one.imported.what()}"
        for one in judged
        if one.verdict == "note"
    ]
    slowest = max((one.imported.seconds for one in judged), default=0.0)
    peak = max((one.imported.peak for one in judged), default=0)
    what = f"{sum(one.verdict == 'passed' for one in judged)} of {len(judged)} modules import"
    detail = f"{what}; the slowest in {slowest:.2f} s, the largest with {peak // 1024**2} MiB"
    if failed:
        detail += f"; failed: {', '.join(one.imported.name for one in failed)}"
    return Result(Proof("imports", where, not failed, detail), tuple(lines), tuple(notes))


def _shipped(session: Session) -> list[str]:
    import zipfile

    with zipfile.ZipFile(session.layer.path) as archive:
        return archive.namelist()


def _script(session: Session, where: str, path: str, beside: Services) -> Result:
    """The recipe's script, on standard input of the interpreter: it stands in no artefact.

    It sees what the function sees and nothing of the project: what else it needs comes from ``[proof.s3]``.
    """
    function = session.order.recipe.function
    environment = setting_of(session, beside).environment if function is not None else beside.environment
    memory = function.memory if function is not None else _MEMORY
    content = session.order.project.root.joinpath(path).read_bytes()
    job = Job(("-c", _FROM_STDIN, path), {**CREDENTIALS, **environment}, content, beside.reach, memory, _SECONDS)
    outcome = session.sandbox.start(job).wait()
    if outcome is None:
        raise AssertionError
    passed = outcome.ended == "exited" and outcome.code == 0
    said = (outcome.stderr or outcome.stdout).decode(errors="replace").splitlines()
    ended = f"ended with exit code {outcome.code}" if outcome.ended == "exited" else f"was ended: {outcome.ended}"
    detail = f"{path}: {'passed' if passed else ended}; {outcome.seconds:.2f} s, {outcome.peak // 1024**2} MiB"
    return Result(Proof("script", where, passed, detail), () if passed else tuple(said[-_LAST_LINES:]))


def _event(session: Session, where: str, function: Function, path: str) -> Result:
    event = load(session.order.project.root / path, path)
    done = function.invoke(event.data)
    trial = judge_event(event, done, function.setting)
    lines: tuple[str, ...] = ()
    if not trial.passed:
        explained = (trial.message, trial.hint) if trial.error_type else trial.mismatches
        lines = (*filter(None, explained), *done.logs.splitlines()[-_LAST_LINES:])
    init = f"{done.init_seconds:.2f} s to start, " if done.init_seconds is not None else ""
    figures = f"{init}{done.seconds * 1000:.0f} ms, {max_memory(done, function.setting)} MB"
    detail = f"{path}: {'as expected' if trial.passed else 'not as expected'}; {figures}"
    return Result(Proof("event", where, trial.passed, detail), lines, tuple(_slow(done)), of_function=True)


def _slow(done: Invocation) -> Iterator[str]:
    if done.init_seconds is not None and (whole := done.init_seconds + done.seconds) > _SLOW:
        yield (
            f"the first answer came after {whole:.2f} s, {whole - _SLOW:.2f} s above {_SLOW:g} s: /opt is read-only, "
            "so all modules are compiled at each cold start; bytecode in the layer would help"
        )
