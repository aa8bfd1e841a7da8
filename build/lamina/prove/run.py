"""The proofs of one order, in their order: imports, the script, the events; and how the manifests tell of them.

All files that the recipe names for them are read before anything runs.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lamina.emit import manifest as manifests
from lamina.emit.manifest import Proof
from lamina.errors import IntegrityError, RecipeError
from lamina.files import put
from lamina.prove.emulator import Emulated, client_of, through_emulator
from lamina.prove.explain import explain, missing_in
from lamina.prove.imports import prove as judge
from lamina.prove.imports import run_imports
from lamina.prove.invocation import CREDENTIALS
from lamina.prove.invoke import Function
from lamina.prove.live import Services, services, setting_of
from lamina.prove.machine import place
from lamina.prove.model import Job
from lamina.prove.report_line import max_memory
from lamina.prove.tops import top_levels
from lamina.prove.trial import Event, load
from lamina.prove.trial import judge as judge_event
from lamina.recipe.spelling import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from lamina.progress import Progress
    from lamina.prove.invocation import Invocation
    from lamina.prove.session import Emitted, Session
    from lamina.prune.model import Decision

#: Bytes and seconds for imports and the script where the recipe has no function that states them.
_MEMORY = 10_240 * 1024**2
_SECONDS = 300.0
#: A first answer that takes longer (seconds), and a function that takes more (MB), are worth a word: issue 5.
_SLOW = 3.0
_LARGE = 200
#: Runs what comes on standard input as the main module, under its own name and with its own lines in tracebacks only.
_RUN = """
def _run():
    import linecache, sys, traceback
    name, text = sys.argv[1], sys.stdin.buffer.read()
    sys.argv = [name]
    linecache.cache[name] = len(text), None, text.decode(errors="replace").splitlines(True), name
    try:
        exec(compile(text, name, "exec"), globals())
    except Exception as error:
        error = error.with_traceback(error.__traceback__.tb_next)
        traceback.print_exception(error)
        sys.exit(1)
_run()
"""
_FRAMES = 3
_LAST_LINES = 12
#: AWS's runtime client writes this before each error; it says nothing of the function.
_OF_ANY_ERROR = "LAMBDA_WARNING: Unhandled exception."


class Result(NamedTuple):
    """One proof with what there is to show of it: the lines below it, the notes, and whether the function is its."""

    proof: Proof
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    of_function: bool = False


class _Stated(NamedTuple):
    """What the recipe names to be run, read."""

    script: bytes | None
    events: tuple[Event, ...]


def prove(
    session: Session, decisions: Callable[[], Iterable[Decision]], environment: Mapping[str, str], progress: Progress
) -> Iterator[Result]:
    """Run every proof that the recipe states, and the imports of all that the layer ships; yield each as it ends.

    ``decisions`` are those of pruning, asked for where an import fails. ``environment`` is that of this process, for
    the loopback S3.

    Raises:
        RecipeError: a file that the recipe names is not there, or not what it must be; nothing has run then.
        UsageError: an event is not JSON, or too large; nothing has run then.
        MissingToolError: there is no server for the objects of ``[proof.s3]``.
    """
    recipe = session.order.recipe
    stated = _read(session)
    where = place(session.sandbox.where, session.order.target.runtime)
    progress.stage(f"proving {session.order.name}")
    with _while_starting(services(session, environment)) as starting:
        yield _imports(session, where, decisions)
        beside = starting.result()
        if recipe.proof.script is not None and stated.script is not None:
            yield _explained(_script(session, where, recipe.proof.script, stated.script, beside), decisions)
        if stated.events:
            setting = setting_of(session, beside)
            with Function(session.sandbox, setting) as function:
                for event in stated.events:
                    yield _explained(_event(where, function, event), decisions)
            if session.entry is not None:  # the function's own variables are the image's to set
                setting = setting._replace(environment=beside.environment)
            if session.sandbox.where.how.startswith("container "):
                told = through_emulator(session.sandbox, setting, stated.events, session.entry)
                yield from (_emulated(where, emulated) for emulated in told)
                if session.entry is not None and not told:  # then as Lambda does, with a Runtime API
                    own = session.entry.with_variables(beside.environment)
                    with Function(session.sandbox, setting._replace(client=client_of(own))) as function:
                        for event in stated.events:
                            yield _explained(_event(where, function, event, "entry"), decisions)


@contextlib.contextmanager
def _while_starting(beside: contextlib.AbstractContextManager[Services]) -> Iterator[Future[Services]]:
    """Start the services in the background: that takes a second, which imports need anyway. They are ended here."""
    with contextlib.ExitStack() as entered, ThreadPoolExecutor(1) as pool:
        yield pool.submit(entered.enter_context, beside)


def not_run(session: Session) -> Iterator[str]:
    """What the recipe states no proof of, in sentences."""
    recipe = session.order.recipe
    if recipe.function is None and recipe.proof.script is None:
        yield "nothing but imports was run: the recipe has no [proof] script and no [function]"
    elif not session.runs_function and recipe.function is not None:
        yield 'the function was not run: "function" is not in the artefacts of the recipe'
    elif recipe.function is not None and not recipe.function.events:
        yield "the function was not run: [function] names no events"


def record(session: Session, results: Sequence[Result]) -> None:
    """Write what ran into the manifests; proofs of an earlier run give way.

    Those of the function name the layer that it ran with, which may be another one later.

    Raises:
        IntegrityError: an artefact was built anew meanwhile; what ran is not what stands there.
    """
    for emitted in session.artefacts:
        now = manifests.read(emitted.report)
        if now is None or now.sha256 != emitted.manifest.sha256:
            raise IntegrityError(
                f"{session.order.project.shown(emitted.path)}: was built anew while it was proven",
                hint=f"What ran is gone, so nothing was written; prove it again: "
                f"lamina prove {session.order.recipe.name}",
            )
        of_function = emitted is session.function
        proofs = [one.proof for one in results if one.of_function == of_function or emitted is session.image]
        if of_function and session.layer is not None:
            proofs = [_with_layer(proof, session.layer) for proof in proofs]
        put(emitted.report, manifests.render(msgspec.structs.replace(now, proofs=tuple(proofs))))


def _with_layer(proof: Proof, layer: Emitted) -> Proof:
    detail = f"{proof.detail}; with {layer.path.name}, sha256 {layer.manifest.sha256}"
    return msgspec.structs.replace(proof, detail=detail)


def _read(session: Session) -> _Stated:
    """Everything that the recipe names; what is not there is told together, before anything runs."""
    order = session.order
    recipe, root = order.recipe, order.project.root
    events = recipe.function.events if recipe.function is not None and session.runs_function else ()
    named: list[tuple[str, str]] = [("proof.script", recipe.proof.script)] if recipe.proof.script is not None else []
    named += [(f'proof.s3."{name}"', path) for name, path in recipe.proof.s3.items()]
    named += [(f"function.events[{at}]", path) for at, path in enumerate(events)]
    missing = [
        f"{order.project.where}: {key}: {path}: there is no such file"
        for key, path in named
        if not (root / path).is_file()
    ]
    if missing:
        raise RecipeError("\n".join(missing), hint=f"Paths are relative to the project's root, {root}.")
    script = recipe.proof.script
    return _Stated(
        None if script is None else _bytes(root / script, f"{order.project.where}: proof.script: {script}"),
        tuple(load(root / path, path) for path in events),
    )


def _bytes(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecipeError(f"{where}: {error.strerror}", hint="Make it readable, or name another file.") from error


def _imports(session: Session, where: str, decisions: Callable[[], Iterable[Decision]]) -> Result:
    """Each declared import and each top-level package of the layer, in a process of its own."""
    recipe = session.order.recipe
    paths = session.shipped()
    names = list(dict.fromkeys((*recipe.proof.imports, *top_levels(paths))))
    memory = recipe.function.memory if recipe.function is not None else _MEMORY

    found = run_imports(session.sandbox, names, memory=memory, once=1 if session.one_by_one else None)
    said = () if all(one.passed for one in found) else decisions()
    judged = judge(found, recipe.proof.imports, said, session.unpruned)
    failed = [one for one in judged if one.verdict == "failed"]
    lines: list[str] = []
    for one in failed:
        lines.append(f"{one.imported.name}: {one.imported.what()}")
        lines += [f"  {frame}" for frame in one.imported.frames[-_FRAMES:]]
        because = one.because or _omitted(session, one.imported.missing)
        lines += [f"  {because}"] if because else []
    notes = [
        f"{one.imported.name} does not import, nor do the proofs need it: {one.because}"
        if one.because
        else f"{one.imported.name} does not import from its untouched wheel either: {one.imported.what()}"
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


def _explained(result: Result, decisions: Callable[[], Iterable[Decision]]) -> Result:
    """With what pruning has to do with what a failure's log says is missing."""
    missing = () if result.proof.passed else tuple(missing_in("\n".join(result.lines)))
    said = [*decisions()] if missing else []
    because = [told for told in (explain(one, said) for one in missing) if told]
    return result._replace(lines=(*result.lines, *because))


def _omitted(session: Session, missing: str) -> str:
    """What the recipe says of leaving the package of a missing module out; empty where it does not."""
    top = canonical(missing.partition(".")[0])
    for omit in session.order.recipe.omit:
        if canonical(omit.name) == top:
            return f"{omit.name} is not shipped, by omit of the recipe: {omit.reason}"
    return ""


def _emulated(where: str, emulated: Emulated) -> Result:
    passed = not emulated.mismatches
    detail = f"{emulated.where}: {'as expected' if passed else 'not as expected'}, through the image's own emulator"
    lines = () if passed else (*emulated.mismatches, *emulated.log.splitlines()[-_LAST_LINES:])
    return Result(Proof("emulator", where, passed, detail), lines, of_function=True)


def _script(session: Session, where: str, path: str, content: bytes, beside: Services) -> Result:
    """The recipe's script, on standard input of the interpreter: it stands in no artefact.

    It sees what the function sees and nothing of the project: what else it needs comes from ``[proof.s3]``.
    """
    function = session.order.recipe.function
    environment = setting_of(session, beside).environment if function is not None else beside.environment
    memory = function.memory if function is not None else _MEMORY
    job = Job(("-c", _RUN, path), {**CREDENTIALS, **environment}, content, beside.reach, memory, _SECONDS)
    outcome = session.sandbox.start(job).wait()
    if outcome is None:
        raise AssertionError
    passed = outcome.ended == "exited" and outcome.code == 0
    said = (outcome.stderr or outcome.stdout).decode(errors="replace").splitlines()
    ended = f"ended with exit code {outcome.code}" if outcome.ended == "exited" else f"was ended: {outcome.ended}"
    detail = f"{path}: {ended}; {outcome.seconds:.2f} s, {outcome.peak // 1024**2} MiB"
    return Result(Proof("script", where, passed, detail), () if passed else tuple(said[-_LAST_LINES:]))


def _event(where: str, function: Function, event: Event, kind: str = "event") -> Result:
    done = function.invoke(event.data)
    trial = judge_event(event, done, function.setting)
    lines: tuple[str, ...] = ()
    if not trial.passed:
        explained = (trial.message, trial.hint) if trial.error_type else trial.mismatches
        log = [line.replace("\t", "  ") for line in done.logs.splitlines() if _OF_ANY_ERROR not in line]
        lines = (*filter(None, explained), *log[-_LAST_LINES:])
    init = f"{done.init_seconds:.2f} s to start, " if done.init_seconds is not None else ""
    memory = max_memory(done, function.setting)
    detail = f"{event.where}: {'as expected' if trial.passed else 'not as expected'}; "
    detail += f"{init}{done.seconds * 1000:.0f} ms, {memory} MB"
    return Result(Proof(kind, where, trial.passed, detail), lines, tuple(_costly(done, memory)), of_function=True)


def _costly(done: Invocation, memory: int) -> Iterator[str]:
    """By how much a first answer is beyond what a function should take, and what would help."""
    if done.init_seconds is None or done.error is not None:
        return
    whole = done.init_seconds + done.seconds
    if whole > _SLOW:
        yield (
            f"the first answer came after {whole:.2f} s, {whole - _SLOW:.2f} s above {_SLOW:g} s: importing "
            "less before it would help; modules without bytecode (see lamina explain) are compiled at each cold start"
        )
    if memory > _LARGE:
        yield (
            f"the first answer took {memory} MB, {memory - _LARGE} MB above {_LARGE} MB: "
            "importing less before the first answer would help"
        )
