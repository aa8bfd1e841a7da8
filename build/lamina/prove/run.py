"""The proofs of one order, in their order: imports, the script, the events; and how the manifests tell of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lamina.emit import manifest as manifests
from lamina.emit.manifest import Proof
from lamina.files import put
from lamina.prove import events as expected
from lamina.prove.failure import told
from lamina.prove.imports import prove as judge
from lamina.prove.imports import run_imports
from lamina.prove.invocation import Setting
from lamina.prove.invoke import Function
from lamina.prove.machine import place
from lamina.prove.model import Job
from lamina.prove.report_line import max_memory
from lamina.prove.s3 import LoopbackS3
from lamina.prove.tops import top_levels

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
    objects = {name: session.order.project.root / path for name, path in recipe.proof.s3.items()}
    with contextlib.ExitStack() as stack:
        extra: dict[str, str] = {}
        reach: tuple[int, ...] = ()
        if objects:
            s3 = stack.enter_context(LoopbackS3(objects, environment))
            extra, reach = dict(s3.environment), (s3.port,)
        if recipe.proof.script is not None:
            yield _script(session, where, extra, reach)
        if session.function is not None and recipe.function is not None and recipe.function.events:
            function = stack.enter_context(Function(session.sandbox, setting_of(session, extra, reach)))
            for path in recipe.function.events:
                yield _event(session, where, function, path)


def record(session: Session, results: Sequence[Result]) -> None:
    """Write what ran into the manifests; proofs of an earlier run give way."""
    for emitted, of_function in ((session.layer, False), (session.function, True)):
        if emitted is not None:
            proofs = tuple(result.proof for result in results if result.of_function == of_function)
            put(emitted.report, manifests.render(msgspec.structs.replace(emitted.manifest, proofs=proofs)))


def setting_of(session: Session, extra: Mapping[str, str], reach: Sequence[int]) -> Setting:
    """The function of the recipe as it is run: its own variables, under those of the services that stand in."""
    function = session.order.recipe.function
    if function is None:
        raise AssertionError
    values = {name: variable.value for name, variable in function.environment.items() if variable.value is not None}
    return Setting(
        name=session.order.recipe.name,
        handler=function.handler,
        memory=function.memory,
        timeout=function.timeout,
        runtime=session.order.target.runtime.name,
        environment={**values, **extra},
        reach=tuple(reach),
    )


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


def _script(session: Session, where: str, extra: Mapping[str, str], reach: Sequence[int]) -> Result:
    """The recipe's script, on standard input of the interpreter: it stands in no artefact."""
    recipe, project = session.order.recipe, session.order.project
    path = recipe.proof.script or ""
    function = recipe.function
    environment = dict(extra)
    if function is not None:
        environment = dict(setting_of(session, extra, reach).environment)
    outcome = session.sandbox.start(
        Job(
            ("-",),
            environment,
            (project.root / path).read_bytes(),
            tuple(reach),
            function.memory if function is not None else _MEMORY,
            _SECONDS,
        )
    ).wait()
    if outcome is None:
        raise AssertionError
    passed = outcome.ended == "exited" and outcome.code == 0
    said = (outcome.stderr or outcome.stdout).decode(errors="replace").splitlines()
    ended = f"ended with exit code {outcome.code}" if outcome.ended == "exited" else f"was ended: {outcome.ended}"
    detail = f"{path}: {'passed' if passed else ended}; {outcome.seconds:.2f} s, {outcome.peak // 1024**2} MiB"
    return Result(Proof("script", where, passed, detail), () if passed else tuple(said[-_LAST_LINES:]))


def _event(session: Session, where: str, function: Function, path: str) -> Result:
    project = session.order.project
    at = project.root / path
    beside = expected.expectation_path(at)
    data = expected.event(at.read_bytes(), path)
    stated = expected.expectation(beside.read_bytes(), project.shown(beside)) if beside.is_file() else None
    done = function.invoke(data)
    wrong = expected.mismatches(stated, done.payload, failed=done.error is not None)
    why = told(done, function.setting) if wrong else None
    lines = [f"{why.message}", *([why.hint] if why.hint else [])] if why is not None else wrong
    if wrong:
        lines += done.logs.splitlines()[-_LAST_LINES:]
    detail = f"{path}: {'as expected' if not wrong else 'not as expected'}; {_figures(done, function.setting)}"
    return Result(Proof("event", where, not wrong, detail), tuple(lines), tuple(_slow(done)), of_function=True)


def _figures(done: Invocation, setting: Setting) -> str:
    init = f"{done.init_seconds:.2f} s to start, " if done.init_seconds is not None else ""
    return f"{init}{done.seconds * 1000:.0f} ms, {max_memory(done, setting)} MB"


def _slow(done: Invocation) -> Iterator[str]:
    if done.init_seconds is not None and (whole := done.init_seconds + done.seconds) > _SLOW:
        yield (
            f"the first answer came after {whole:.2f} s, {whole - _SLOW:.2f} s above {_SLOW:g} s: /opt is read-only, "
            "so all modules are compiled at each cold start; bytecode in the layer would help"
        )
