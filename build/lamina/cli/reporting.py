"""What ``lamina report`` tells of, read and measured: manifests, the plan, what shares the function, imports."""

from __future__ import annotations

import contextlib
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from lamina.cli import common
from lamina.emit import manifest as manifests
from lamina.emit.manifest import Manifest
from lamina.errors import IndexAccessError, IntegrityError, LaminaError, UsageError
from lamina.function.build import stem
from lamina.pipeline import bytecode_of
from lamina.plan import Plan
from lamina.planner import Planner
from lamina.project import Order
from lamina.prove.import_times import ImportTimes, in_turn
from lamina.prove.machine import place
from lamina.prove.session import Means, on_host
from lamina.prove.stage import unpacked, zips
from lamina.recipe import Recipe
from lamina.report.diff import Difference, compare
from lamina.report.layer.gather import Planned, budget_of, gather
from lamina.report.layer.model import Budget, Report, Share
from lamina.runtimes import quotas
from lamina.stack import measure
from lamina.taken import Take


def has_manifest(order: Order) -> bool:
    """Whether a build of this order left a manifest that can be read, of an artefact or of what forbade it."""
    return manifests.read(_paths(order)[0].with_suffix(".json")) is not None


def nothing_built(order: Order) -> UsageError:
    """What to say of an order that was never built."""
    path = order.project.shown(_paths(order)[0].with_suffix(".json"))
    return UsageError(
        f"{path}: there is no such manifest, so there is nothing to report on",
        hint=f"Build it first: lamina {_command(order.recipe)} {order.recipe.name} --target {order.target.name}",
    )


def report_of(order: Order, means: Means, take: Take, *, against: str | None, imports: bool) -> Report:
    """The report of one order that was built; ``against`` is the path of an earlier zip or manifest.

    Raises:
        UsageError: what was built is not what recipe and lock say now; what shares the function cannot be measured.
        IntegrityError: ``against`` cannot be read.
    """
    emitted = _emitted(order)
    changes = _changes(order, against) if against is not None else None
    bytecode = bytecode_of(order, partial(common.compiler, order, means.progress, offline=means.offline))
    planner = Planner(order, means.store, means.fetch, means.progress, take, bytecode)
    plan = planner.recall() or planner.make()
    _check(order, emitted[0][1], plan)
    parts, decisions = planner.decisions()
    chosen = planner.bytecode()
    layer = planner.ships(plan.notices)
    times = _times(order, means, take) if imports and _is_runnable(order) else None
    return gather(
        order.recipe,
        order.target.name,
        Planned(parts, decisions, chosen, layer, planner.traced),
        emitted,
        _budget(order, plan, emitted[0][1]),
        notes=plan.notes,
        imports=times,
        changes=changes,
    )


def _is_runnable(order: Order) -> bool:
    """Whether the first artefact is a zip, and there: an image's imports are not measured."""
    path = _paths(order)[0]
    return path.suffix == ".zip" and path.is_file()


def _command(recipe: Recipe) -> str:
    return "image" if set(recipe.artefacts) == {"image"} else "build"


def _paths(order: Order) -> list[Path]:
    """The artefacts of the recipe: the layer first, if it has one."""
    output, recipe = order.project.output, order.recipe
    found = []
    if set(recipe.artefacts) != {"image"}:
        found.append(output / f"{order.name}.zip")
    if "function" in recipe.artefacts:
        found.append(output / f"{stem(order)}.zip")
    if "image" in recipe.artefacts:
        found.append(output / f"{order.name}.oci.tar")
    return found


def _emitted(order: Order) -> list[tuple[str, Manifest]]:
    read = [(path.name, manifests.read(path.with_suffix(".json"))) for path in _paths(order)]
    return [(name, manifest) for name, manifest in read if manifest is not None]


def _check(order: Order, manifest: Manifest, plan: Plan) -> None:
    """Hold what was built against what would be built now, so that no figure is told of other bytes.

    Raises:
        UsageError: they differ.
    """
    known = manifest.sha256 is None or manifest.image is not msgspec.UNSET or plan.sha256 in {"", manifest.sha256}
    if manifest.packages != plan.packages or not known:
        raise UsageError(
            f"{order.project.shown(_paths(order)[0])}: was built from another recipe or lock than stands here now",
            hint=f"Build it again: lamina {_command(order.recipe)} {order.recipe.name} --target {order.target.name}",
        )


def _budget(order: Order, plan: Plan, manifest: Manifest) -> Budget:
    """What counts against which quota; an image has one of its own, and shares it with nothing."""
    project, limits = order.project, quotas()
    if manifest.image is not msgspec.UNSET:
        return Budget((Share("this image", manifest.unzipped_bytes),), limits.image, limits.image, limits.image)
    others = measure(order.recipe, order.target, root=project.root, output=project.output)
    return budget_of(order.recipe, plan.unzipped_bytes, others, limits.unzipped)


def _changes(order: Order, against: str) -> Difference:
    """How what was built differs from ``against``; by manifests alone where either is one."""
    from lamina.cli.contents import read

    path = _paths(order)[0]
    whole = path.is_file() and not against.endswith(".json") and path.suffix == ".zip"
    return compare(read(against), read(order.project.shown(path if whole else path.with_suffix(".json"))))


def _times(order: Order, means: Means, take: Take) -> ImportTimes:
    """The time of the imports, or why they have none: a report has more to tell than that."""
    names = order.recipe.proof.imports
    if not names:
        return ImportTimes((), note="the recipe names no proof.imports, so there is nothing to measure")
    try:
        return _measured(order, means, take, names)
    except (IndexAccessError, IntegrityError):
        raise
    except LaminaError as error:
        return ImportTimes(names, note=" ".join(filter(None, (f"{error.message}.", error.hint))))


def _measured(order: Order, means: Means, take: Take, names: tuple[str, ...]) -> ImportTimes:
    stage, opened = on_host(order, means)
    path = _paths(order)[0]
    [source] = zips([path])
    manifest = manifests.read(path.with_suffix(".json"))
    if manifest is None or manifest.sha256 != source.sha256:
        raise UsageError(
            f"{order.project.shown(path)}: is not the zip that the manifest beside it describes",
            hint=f"Build it again: lamina build {order.recipe.name}",
        )
    means.progress.stage(f"unpacking {path.name}")
    trees = [unpacked(means.store, [source])]
    if order.recipe.bytecode.mode != "off":
        trees.append(_without_bytecode(order, means, take))
    with contextlib.ExitStack() as stack:
        sandboxes = [stack.enter_context(opened(stage._replace(opt=tree))) for tree in trees]
        means.progress.stage(f"importing {', '.join(names)}, three times")
        after, *before = in_turn(sandboxes, names)
        where = place(sandboxes[0].where, order.target.runtime)
    return ImportTimes(names, where, before[0] if before else None, after)


def _without_bytecode(order: Order, means: Means, take: Take) -> Path:
    """The tree of the same layer as it would be without bytecode."""
    recipe = order.recipe
    bare = msgspec.structs.replace(recipe, bytecode=msgspec.structs.replace(recipe.bytecode, mode="off"))
    planner = Planner(order._replace(recipe=bare), means.store, means.fetch, means.progress, take)
    with tempfile.TemporaryDirectory(prefix="lamina-report-") as folder:
        path = Path(folder, "without-bytecode.zip")
        planner.write(planner.recall() or planner.make(), path)
        return unpacked(means.store, zips([path]))
