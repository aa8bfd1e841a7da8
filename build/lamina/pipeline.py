"""The whole way from a recipe to its artefacts, stage after stage; effects come in from the edge.

A first build makes parts, decides, and lays out a *plan*. The plan is remembered under the name of everything it was made
from, so the next build of the same set takes it and copies bytes: it reads no part's index, decides nothing, and imports
no module that only a first build needs.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import lamina
from lamina import lock as locks
from lamina import recipe as recipes
from lamina.audit import budget
from lamina.emit import manifest as manifests
from lamina.findings import Finding, accept
from lamina.part.library import Fetch
from lamina.plan import Plan, Planner
from lamina.progress import SILENT, Progress
from lamina.recipe import Recipe
from lamina.runtimes import quotas
from lamina.store import Store, replace
from lamina.target import Target

if TYPE_CHECKING:
    from lamina.prune.savings import Saving

#: What stands beside an artefact's manifest, and goes with it.
_SUFFIXES = (".zip", ".cdx.json", ".notices.txt")
_ABANDONED = 60 * 60  # seconds after which no build can still be writing


class Project(NamedTuple):
    """Where a recipe lives: its file, the project's root, and the folder that artefacts go to."""

    recipe_path: Path
    root: Path
    output: Path

    @property
    def where(self) -> str:
        """The recipe's path as messages show it."""
        return self.shown(self.recipe_path)

    def shown(self, path: Path) -> str:
        """A path of the project as messages show it: from the current folder, where it lies below."""
        with contextlib.suppress(ValueError):
            return path.resolve().relative_to(Path.cwd()).as_posix()
        return str(path)


class Built(NamedTuple):
    """The outcome for one target.

    ``artefact`` is ``None`` where an error finding forbade one; ``savings`` are there when the layer is over its budget.
    """

    recipe: Recipe
    target: Target
    manifest: manifests.Manifest
    artefact: Path | None
    warm: bool
    notes: tuple[str, ...]
    savings: tuple[Saving, ...] = ()


def load_recipe(project: Project, store: Store) -> Recipe:
    """The project's recipe, checked.

    A text that was found valid once is remembered by its digest, so that a warm build checks no requirement strings.

    Raises:
        RecipeError: see :func:`lamina.recipe.load`.
    """
    try:
        text = project.recipe_path.read_bytes()
    except OSError:
        return recipes.load(project.recipe_path)  # which says what is wrong, and which recipes there are
    seen = hashlib.sha256(f"{lamina.__version__}\n{project.recipe_path.stem}\n".encode() + text).hexdigest()
    memo = store.path("memos", seen)
    if memo.exists():
        return recipes.trusted(text.decode())
    recipe = recipes.parse(recipes.decode(text, project.where), project.where)
    with store.create(memo) as beside:
        beside.touch()
    return recipe


def build(
    project: Project, recipe: Recipe, target: Target, *, store: Store, fetch: Fetch, progress: Progress = SILENT
) -> Built:
    """Build the layer of one target: lock → parts → plan → zip, with manifest, SBOM and notices beside it.

    With an error finding no artefact is left, a stale one of the same name goes, and the manifest stays as the report.

    Raises:
        MissingLockError: there is no lock for the target.
        StaleLockError: the lock was made from other inputs.
        IndexAccessError, IntegrityError, UnsafeWheelError: a wheel could not be had or must not be used.
    """
    lock_path = locks.lock_path(project.recipe_path, recipe.name, target)
    lock = locks.read(lock_path)
    locks.check(lock, recipe, target, project.shown(lock_path))
    maker = Planner(recipe, target, lock, project.root, store, fetch, progress)
    plan = maker.recall()
    warm = plan is not None
    plan = plan or maker.make()
    name = f"{recipe.name}-{target.name}"
    artefact = project.output / f"{name}.zip"
    findings = _judge(project, recipe, artefact.name, target, plan)
    describe = functools.partial(_describe, project, recipe, target, lock_path, findings)
    project.output.mkdir(parents=True, exist_ok=True)
    if any(finding.severity == "error" and not finding.accepted for finding in findings):
        for suffix in _SUFFIXES:
            project.output.joinpath(name + suffix).unlink(missing_ok=True)
        manifest = describe(plan, None, ())
        put(project.output / f"{name}.json", manifests.render(manifest))
        over = any(finding.code == "over-budget" for finding in findings)
        return Built(recipe, target, manifest, None, warm, plan.notes, _savings(recipe, maker) if over else ())
    progress.stage(f"writing {artefact.name}")
    with _beside(artefact) as unfinished:
        plan = maker.write(plan, unfinished)
        earlier = manifests.read(project.output / f"{name}.json")
        proofs = earlier.proofs if earlier is not None and earlier.sha256 == plan.sha256 else ()
        manifest = describe(plan, plan.sha256, proofs)
        # The manifest goes first and comes last: while it stands, what it describes is complete.
        project.output.joinpath(f"{name}.json").unlink(missing_ok=True)
    put(project.output / f"{name}.notices.txt", plan.notices)
    put(project.output / f"{name}.cdx.json", plan.sbom)
    put(project.output / f"{name}.json", manifests.render(manifest))
    return Built(recipe, target, manifest, artefact, warm, plan.notes)


def _judge(project: Project, recipe: Recipe, artefact: str, target: Target, plan: Plan) -> tuple[Finding, ...]:
    """The plan's own findings and those of the budget, with what the recipe accepts marked."""
    limits = quotas()
    found = [
        *plan.findings,
        *budget.check_size(
            artefact,
            plan.unzipped_bytes,
            shares(project, recipe, target),
            limit=recipe.budget.unzipped,
            warn=recipe.budget.warn,
        ),
        *budget.check_zip(artefact, plan.blueprint.zipped_bytes, plan.entries, limits),
    ]
    return accept(found, recipe.accept)


def _savings(recipe: Recipe, maker: Planner) -> tuple[Saving, ...]:
    from packaging.requirements import Requirement

    from lamina.prune.savings import largest

    parts, decisions = maker.decisions()
    required = [locks.canonical(Requirement(text).name) for text in recipe.requirements]
    return tuple(largest(parts, decisions, recipe.prune, required))


def _describe(
    project: Project,
    recipe: Recipe,
    target: Target,
    lock_path: Path,
    findings: tuple[Finding, ...],
    plan: Plan,
    sha256: str | None,
    proofs: tuple[manifests.Proof, ...],
) -> manifests.Manifest:
    return manifests.Manifest(
        name=recipe.name,
        target=target.name,
        runtime=target.runtime.name,
        architecture=target.lambda_architecture,
        sha256=sha256,
        code_sha256=manifests.code_sha256(sha256) if sha256 else None,
        zipped_bytes=plan.blueprint.zipped_bytes,
        unzipped_bytes=plan.unzipped_bytes,
        entries=plan.entries,
        packages=plan.packages,
        findings=findings,
        proofs=proofs,
        recipe_sha256=_text_sha256(project.recipe_path),
        lock_sha256=_text_sha256(lock_path),
        lamina_version=lamina.__version__,
    )


def _text_sha256(path: Path) -> str:
    """The digest of a text file with its line ends as LF: a checkout with CRLF is the same text."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def shares(project: Project, recipe: Recipe, target: Target) -> list[budget.Share]:
    """What shares the function with this layer: the recipe's ``budget.stack``, and the function itself.

    Raises:
        UsageError: a recipe of the stack was not built yet, or a zip cannot be read.
    """
    if not recipe.budget.stack and recipe.function is None:
        return []
    from lamina.audit.stack import measure

    return measure(recipe, target, root=project.root, output=project.output)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A hidden name in the same folder, renamed to ``path`` when the block ends well, removed otherwise.

    What a killed build left under such a name is removed as soon as an hour has passed.
    """
    for left in path.parent.glob(".*.unfinished"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    unfinished = path.parent / f".{path.name}.{os.getpid()}.unfinished"
    try:
        yield unfinished
        replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with _beside(path) as unfinished:
        unfinished.write_bytes(content)
