"""A layer in which every file that its recipe's proofs open is seen, and what they open sorted into a trace.

The layer is made for this alone: whole, without what ``prune.untraced`` drops, and whatever size. Its files are watched
from outside, in a tree that no other proof shares.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lamina.emit import manifest as manifests
from lamina.errors import FindingsError, MissingToolError, UsageError
from lamina.function.build import write as write_function
from lamina.function.pack import pack
from lamina.planner import Bytecode, Planner
from lamina.prove.model import Job
from lamina.prove.run import prove
from lamina.prove.session import Emitted, Session, open_trees
from lamina.prove.stage import unpacked, zips
from lamina.prove.watch import watching
from lamina.runtimes import quotas
from lamina.trace import Traced, stands_for

if TYPE_CHECKING:
    from lamina.bytecode.compilers import Compiler
    from lamina.project import Order
    from lamina.prove.model import Running, Sandbox, Where
    from lamina.prove.run import Result
    from lamina.prove.session import Means
    from lamina.prove.watch import Watch
    from lamina.prune.model import Decision
    from lamina.recipe import Recipe
    from lamina.taken import Take

#: Stands in ``python/`` of the watched tree: a job opens it, to tell whether that is seen.
_SIGN = ".lamina-trace"
_OPEN_SIGN = f"""
import sys
for folder in sys.path:
    try:
        open(folder + "/{_SIGN}").close()
    except OSError:
        pass
"""
_SLOWEST_SIGN = 60.0
_NATIVE = re.compile(r".*\.so(?:\.[^/]+)?")


class _Settled:
    """A sandbox whose jobs hash strings alike each time: what iterates over a set of names does so in one order."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def where(self) -> Where:
        return self._sandbox.where

    def start(self, job: Job) -> Running:
        return self._sandbox.start(job._replace(environment={"PYTHONHASHSEED": "0", **job.environment}))

    def close(self) -> None:
        self._sandbox.close()


def trace(
    order: Order,
    means: Means,
    *,
    find: Callable[[], Compiler],
    take: Take,
    told: Callable[[Result], None],
) -> Traced | None:
    """Run what the recipe states as proof, and tell what that touched; ``None`` where a proof failed.

    The layer is made anew from the lock, so nothing need have been built. ``find`` gives what compiles bytecode,
    ``take`` files of the base image; ``told`` hears of each proof as it ends.

    Raises:
        UsageError: the recipe states no proof.
        FindingsError: its function cannot be packed.
        MissingToolError: this machine cannot run it, or cannot see what is opened.
        RecipeError, IndexAccessError, IntegrityError: as for a build and a proof.
    """
    recipe = order.recipe
    if not (recipe.proof.imports or recipe.proof.script or (recipe.function is not None and recipe.function.events)):
        raise UsageError(
            f"{order.project.where}: states nothing that a trace could run",
            hint="State what the layer is for: imports or script in [proof], or events in [function].",
        )
    with means.store.workplace() as folder:
        whole = order._replace(recipe=_whole(recipe), project=order.project._replace(output=folder))
        planner = Planner(whole, means.store, means.fetch, means.progress, take, Bytecode(find, recipe.budget.warn))

        def decisions() -> Iterable[Decision]:
            return (decision for said in planner.decisions()[1] for decision in said)

        with _watched(whole, planner, means, folder) as (session, watch):
            failed = False
            for result in prove(session, decisions, means.environment, means.progress):
                told(result)
                failed = failed or not result.proof.passed
            opened = watch.opened()
    return None if failed else sort(opened, manifests.text_sha256(order.lock_path))


def sort(opened: Iterable[str], lock: str) -> Traced:
    """What was opened, by kind. Bytecode stands for its source: which of the two a layer has is no matter of a trace.

    A file of Python that is opened otherwise (``inspect.getsource``) counts as a module as well.
    """
    modules: dict[str, None] = {}
    libraries, metadata, files = set(), set(), set()
    for path in opened:
        stated = stands_for(path)
        if stated.endswith(".py"):
            modules[stated] = None
        elif ".dist-info/" in stated or ".egg-info/" in stated:
            metadata.add(stated)
        elif _NATIVE.fullmatch(stated):
            libraries.add(stated)
        else:
            files.add(stated)
    return Traced(lock, tuple(modules), *(tuple(sorted(each)) for each in (libraries, metadata, files)))


def _whole(recipe: Recipe) -> Recipe:
    """The recipe of the layer that is traced: nothing is untraced in it, sources stand where they are, and no links.

    Where a file is opened by way of a link, the kernel tells of the file alone: the link's path would be untraced.
    """
    bytecode = recipe.bytecode
    if bytecode.mode == "sourceless":
        bytecode = msgspec.structs.replace(bytecode, mode="fit")
    prune = msgspec.structs.replace(recipe.prune, untraced=())
    emit = msgspec.structs.replace(recipe.emit, dedupe=False)
    return msgspec.structs.replace(recipe, prune=prune, bytecode=bytecode, emit=emit)


@contextlib.contextmanager
def _watched(order: Order, planner: Planner, means: Means, folder: Path) -> Iterator[tuple[Session, Watch]]:
    """The artefacts in a sandbox, all opening of the layer's files seen from the first proof on."""
    layer = folder / f"{order.name}.zip"
    planner.write(planner.recall() or planner.make(), layer)
    function = _function(order)
    means.progress.stage(f"unpacking {layer.name}")
    opt, task = folder / "opt", None
    shutil.copytree(unpacked(means.store, zips([layer])), opt, symlinks=True, copy_function=_linked)
    if function is not None:
        task = unpacked(means.store, zips([function.path]))
    opt.joinpath("python").mkdir(exist_ok=True)
    opt.joinpath("python", _SIGN).touch()
    with open_trees(order, means, opt, task) as sandbox:
        settled = _Settled(sandbox)
        with watching(opt) as watch:
            _check_seen(settled, watch)
        with watching(opt) as watch:
            yield Session(order, None, function, None, settled, list, lambda _: (), one_by_one=True), watch


def _check_seen(sandbox: Sandbox, watch: Watch) -> None:
    """Find out whether a job's opening a file is seen here.

    Raises:
        MissingToolError: it is not.
    """
    sandbox.start(Job(("-c", _OPEN_SIGN), seconds=_SLOWEST_SIGN)).wait()
    if f"python/{_SIGN}" not in watch.opened():
        raise MissingToolError(
            f"{sandbox.where.how}: what is opened there is not seen from here, as with an engine in a virtual machine "
            "or on another host",
            hint="Trace on Linux: on the machine itself, or with an engine of the same machine.",
        )


def _function(order: Order) -> Emitted | None:
    """The function as it is packed, whatever there is to find in it."""
    if order.recipe.function is None:
        return None
    most = quotas().image if "image" in order.recipe.artefacts else None
    packed = pack(order.project.root, order.recipe.function.source, most)
    built = write_function(order, packed, (), layer_fails=False)
    if built.artefact is None:
        raise FindingsError(
            f"{order.name}: the function cannot be packed: {built.manifest.findings[0].message}",
            hint=f"See what that means: lamina build {order.recipe.name}",
        )
    return Emitted(built.artefact, built.manifest)


def _linked(source: str, target: str) -> None:
    """The same file under a second name, or a copy where file systems have no such thing."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
