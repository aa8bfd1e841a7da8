"""The whole way from an order to its artefacts; effects come in from the edge.

A first build makes parts, decides, and lays out a *plan*. The plan is remembered under the name of everything it was
made from, so the next build of the same set takes it and copies bytes: it reads no part's index, decides nothing, and
imports no module that only a first build needs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

import lamina
from lamina.audit import budget
from lamina.audit.runtime import check_runtime
from lamina.emit import manifest as manifests
from lamina.files import beside, put
from lamina.findings import Finding, accept, fails
from lamina.part.library import Fetch
from lamina.plan import Plan
from lamina.planner import Bytecode, Planner
from lamina.progress import SILENT, Progress
from lamina.project import Order
from lamina.runtimes import quotas
from lamina.store import Store
from lamina.taken import Take

if TYPE_CHECKING:
    from lamina.bytecode.compilers import Compiler
    from lamina.function.build import FunctionBuilt
    from lamina.function.pack import Pack
    from lamina.prune.model import Saving

_MIB = 1024**2
#: What stands beside an artefact's manifest, and goes with it.
_SUFFIXES = (".zip", ".cdx.json", ".notices.txt")


class Built(NamedTuple):
    """The outcome of one order.

    ``artefact`` is ``None`` where an error finding forbade one; ``savings`` are there when the layer is over its
    budget, ``function`` where the recipe's artefacts name one.
    """

    order: Order
    manifest: manifests.Manifest
    artefact: Path | None
    warm: bool
    notes: tuple[str, ...]
    savings: tuple[Saving, ...] = ()
    function: FunctionBuilt | None = None

    @property
    def failed(self) -> bool:
        """Whether an artefact that was asked for is not there."""
        return self.artefact is None or (self.function is not None and self.function.artefact is None)


def build(
    order: Order,
    *,
    store: Store,
    fetch: Fetch,
    take: Take | None = None,
    today: dt.date,
    progress: Progress = SILENT,
    find: Callable[[], Compiler] | None = None,
) -> Built:
    """Build one layer, and the function beside it where the recipe's artefacts name one.

    ``take`` puts files of the base image that the lock lists into the store, where it lacks them.
    ``today`` is what the runtime's end of support is held against. ``find`` gives a CPython to compile with, where
    bytecode is not in the store.
    With an error finding no artefact is left, a stale one of the same name goes, and the manifest stays as the report.
    An error in the function leaves the layer, which others share; one in the layer leaves no function either.

    Raises:
        IndexAccessError, IntegrityError, UnsafeWheelError: a wheel could not be had or must not be used.
        UsageError: what shares the function cannot be measured, or the function's sources cannot be packed.
    """
    packed = _packed(order)
    shares = _shares(order, packed)
    planner = Planner(order, store, fetch, progress, take, _bytecode(order, shares, find))
    built = _build_layer(order, planner, shares, today)
    function = order.recipe.function
    if packed is None or function is None or "function" not in order.recipe.artefacts:
        return built
    from lamina.function.build import found_in, write

    others = _others(order)
    found = found_in(order, function, packed, plan_key=planner.key, layer=planner.layer, others=others, store=store)
    return built._replace(function=write(order, packed, found, layer_fails=built.artefact is None))


def bytecode_of(order: Order, find: Callable[[], Compiler]) -> Bytecode:
    """What a build knows of bytecode, for a planner of the same plan; an image alone has room for all of it."""
    if set(order.recipe.artefacts) == {"image"}:
        return Bytecode(find)
    return _bytecode(order, _shares(order, _packed(order)) if order.recipe.bytecode.mode == "fit" else [], find)


def _bytecode(order: Order, shares: list[budget.Share], find: Callable[[], Compiler] | None) -> Bytecode:
    """The room that the budget leaves for a layer and its bytecode, before it warns and before it ends the build.

    What shares the function counts in whole MiB: a layer should not change with each line of a handler.
    """
    taken = -(-sum(share.bytes for share in shares) // _MIB) * _MIB
    room = min(order.recipe.budget.warn, order.recipe.budget.unzipped) - taken
    return Bytecode(room=room) if find is None else Bytecode(find, room)


def _build_layer(order: Order, planner: Planner, shares: list[budget.Share], today: dt.date) -> Built:
    """Lock → parts → plan → zip, with manifest, SBOM and notices beside it."""
    plan = planner.recall() or planner.make()
    output = order.project.output
    artefact, report = output / f"{order.name}.zip", output / f"{order.name}.json"
    findings = _judge(order, artefact.name, plan, shares, today)
    output.mkdir(parents=True, exist_ok=True)
    if fails(findings):
        report.unlink(missing_ok=True)
        for suffix in _SUFFIXES:
            output.joinpath(order.name + suffix).unlink(missing_ok=True)
        manifest = _describe(order, plan, findings)
        put(report, manifests.render(manifest))
        over = any(finding.code == "over-budget" for finding in findings)
        return Built(order, manifest, None, planner.warm, plan.notes, _savings(planner) if over else ())
    planner.progress.stage(f"writing {artefact.name}")
    with beside(artefact) as unfinished:
        plan = planner.write(plan, unfinished)
        manifest = _describe(order, plan, findings, manifests.read(report))
        # The manifest goes first and comes last: while it stands, what it describes is complete.
        report.unlink(missing_ok=True)
    put(output / f"{order.name}.notices.txt", plan.notices)
    put(output / f"{order.name}.cdx.json", plan.sbom)
    put(report, manifests.render(manifest))
    return Built(order, manifest, artefact, planner.warm, plan.notes)


def _judge(order: Order, artefact: str, plan: Plan, shares: list[budget.Share], today: dt.date) -> tuple[Finding, ...]:
    """The plan's own findings, those of the runtime and of the budget, with what the recipe accepts marked.

    Nobody can accept what Lambda refuses: above its own quota ``over-budget`` stays an error.
    """
    recipe, limits = order.recipe, quotas()
    size = [*budget.check_size(artefact, plan.unzipped_bytes, shares, recipe.budget)]
    total = plan.unzipped_bytes + sum(share.bytes for share in shares)
    found = accept(
        [*plan.findings, *check_runtime(order.target, today), *([] if total > limits.unzipped else size)], recipe.accept
    )
    found = (*found, *(size if total > limits.unzipped else []))
    if fails(found):
        return found  # there will be no zip to say something of
    small = recipe.emit.compression == "small"
    return (
        *found,
        *accept(
            budget.check_zip(artefact, plan.blueprint.zipped_bytes, plan.entries, limits, small=small), recipe.accept
        ),
    )


def _packed(order: Order) -> Pack | None:
    """The function's own files, where the recipe has one: they count against the quota, emitted or not."""
    if order.recipe.function is None:
        return None
    from lamina.function.pack import pack

    return pack(order.project.root, order.recipe.function.source)


def _shares(order: Order, packed: Pack | None) -> list[budget.Share]:
    """What shares the function with this layer: the recipe's ``budget.stack``, and the function itself."""
    recipe, project = order.recipe, order.project
    if not recipe.budget.stack and recipe.function is None:
        return []
    from lamina.stack import measure

    size = None if packed is None else packed.unzipped_bytes
    return measure(recipe, order.target, root=project.root, output=project.output, function=size)


def _others(order: Order) -> list[tuple[Path, str]]:
    """The zips of other layers that the function has, each with its SHA-256."""
    if not order.recipe.budget.stack:
        return []
    from lamina.stack import layers_beside

    return layers_beside(order.recipe, order.target, root=order.project.root, output=order.project.output)


def _savings(planner: Planner) -> tuple[Saving, ...]:
    from lamina.prune.savings import largest

    parts, decisions = planner.decisions()
    local = (project.name for project in planner.order.lock.local)
    return tuple(largest(parts, decisions, planner.order.recipe, local))


def _describe(
    order: Order, plan: Plan, findings: tuple[Finding, ...], earlier: manifests.Manifest | None = None
) -> manifests.Manifest:
    """The manifest of what was written, or of what an error forbade.

    Proofs in the ``earlier`` manifest stay where it is about the same bytes.
    """
    sha256 = None if fails(findings) else plan.sha256
    return manifests.Manifest(
        name=order.recipe.name,
        target=order.target.name,
        runtime=order.target.runtime.name,
        architecture=order.target.lambda_architecture,
        sha256=sha256,
        code_sha256=manifests.code_sha256(sha256) if sha256 else None,
        zipped_bytes=plan.blueprint.zipped_bytes,
        unzipped_bytes=plan.unzipped_bytes,
        entries=plan.entries,
        packages=plan.packages,
        bytecode=msgspec.UNSET if plan.bytecode is None else plan.bytecode,
        findings=findings,
        proofs=earlier.proofs if earlier is not None and sha256 and earlier.sha256 == sha256 else (),
        recipe_sha256=manifests.text_sha256(order.project.recipe_path),
        lock_sha256=manifests.text_sha256(order.lock_path),
        lamina_version=lamina.__version__,
    )
