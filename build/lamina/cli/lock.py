"""``lamina lock``."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from lamina import lock as locks
from lamina import taken
from lamina.cli import common
from lamina.errors import MissingLockError, UsageError
from lamina.files import put
from lamina.project import Project, order
from lamina.report import machine
from lamina.report.text import plural
from lamina.target import Target

if TYPE_CHECKING:
    from lamina.local import Workshop
    from lamina.resolve import Resolution


@click.command(
    epilog="""\b
Examples:
  lamina lock sklearn
  lamina lock --all --check
  lamina lock sklearn --upgrade-package pandas
  lamina lock sklearn --builder docker
  lamina lock sklearn --upgrade --target cp311-manylinux2014_x86_64"""
)
@common.recipes_argument
@common.all_option
@common.target_option
@click.option("--check", is_flag=True, help="Only say whether the locks fit their recipes; exit 1 where one does not.")
@click.option("--upgrade", is_flag=True, help="Take the newest versions, not the pinned ones.")
@click.option("--upgrade-package", "packages", multiple=True, metavar="NAME", help="Only of this package; repeatable.")
@click.option("--builder", type=click.Choice(["uv", "docker"]), help="Instead of the recipe's [builder] kind.")
@common.offline_option
@common.links_option
@common.json_option
def command(  # noqa: PLR0913 - the options of the contract
    recipes: tuple[str, ...],
    wanted: tuple[str, ...],
    packages: tuple[str, ...],
    links: tuple[str, ...],
    builder: str | None,
    *,
    everything: bool,
    check: bool,
    upgrade: bool,
    offline: bool,
    as_json: bool,
) -> int:
    """Resolve recipes to exact wheels for their targets.

    Writes recipes/locks/<name>-<target>.txt: hashed requirements, one wheel a line, to be committed. Pins that are
    still valid stay.
    """
    if check and (upgrade or packages or builder):
        other = "--upgrade" if upgrade or packages else "--builder"
        raise UsageError(f"--check changes nothing, {other} does", hint="Give one of the two.")
    store = common.open_store()
    progress = common.TerminalProgress()
    rows = common.chosen(recipes, wanted, store, everything=everything, locking=not check)
    done: list[machine.Lock] = []
    code = 0
    if check:
        code = common.each(
            partial(_check, workshop, target, done, as_json=as_json)
            for project, recipe, targets in rows
            for workshop in (common.workshop(project, recipe, links, store, progress, offline=offline),)
            for target in targets
        )
    else:
        try:
            for project, recipe, targets in rows:
                workshop = common.workshop(project, recipe, links, store, progress, offline=offline)
                for target in targets:
                    path, resolution, changed = _lock(
                        workshop, target, upgrade=upgrade, packages=packages, builder=builder or ""
                    )
                    told = _told(project, path, resolution.lock, "written" if changed else "unchanged", as_json=as_json)
                    done.append(
                        msgspec.structs.replace(
                            told,
                            changes=resolution.changes,
                            held_back=resolution.held_back,
                            notes=resolution.notes,
                        )
                    )
                    held = (f"held back: {line}" for line in resolution.held_back)
                    notes = (f"note: {line}" for line in resolution.notes)
                    for line in () if as_json else (*resolution.changes, *held, *notes):
                        click.echo(f"  {common.shown(line)}")
        finally:
            progress.close()
    if as_json:
        click.echo(machine.render(done))
    return code


def _check(workshop: Workshop, target: Target, done: list[machine.Lock], *, as_json: bool) -> None:
    """Add the outcome for one target to ``done``, or raise what is wrong with its lock."""
    project = workshop.project
    ordered = order(project, workshop.recipe, target)
    locks.verify(ordered.lock, workshop.recipe, target, project.shown(ordered.lock_path))
    taken.check(ordered)
    workshop.check(ordered)
    done.append(_told(project, ordered.lock_path, ordered.lock, "up to date", as_json=as_json))


def _told(project: Project, path: Path, lock: locks.Lock, what: str, *, as_json: bool) -> machine.Lock:
    """The outcome for one target, printed unless it is to come as JSON."""
    size = sum(wheel.size for wheel in lock.wheels) + sum(source.size for source in lock.sources)
    if not as_json:
        local = f", {plural(len(lock.local), 'local project')}" if lock.local else ""
        wheels = plural(len(lock.wheels), "wheel")
        wheels += f", {plural(len(lock.sources), 'source distribution')} to build" if lock.sources else ""
        click.echo(f"{project.shown(path)}: {what}, {wheels}, {size:,} bytes to fetch{local}")
        if lock.taken:
            held = sum(file.size for file in lock.taken)
            click.echo(f"  {plural(len(lock.taken), 'file')}, {held:,} bytes, taken from the image {lock.image}")
    return machine.Lock(
        project.shown(path), what == "written", len(lock.wheels), size, taken=len(lock.taken), image=lock.image
    )


def _lock(
    workshop: Workshop, target: Target, *, upgrade: bool, packages: tuple[str, ...], builder: str
) -> tuple[Path, Resolution, bool]:
    from lamina.resolve import resolve

    project, recipe = workshop.project, workshop.recipe
    path = locks.lock_path(project.recipe_path, recipe.name, target)
    try:
        previous = locks.read(Path(project.shown(path)))
    except (MissingLockError, UsageError):  # one that cannot be read, after a merge for instance, is written anew
        previous = None
    resolution = resolve(
        recipe,
        target,
        indexes=workshop.indexes(),
        previous=previous,
        upgrade=upgrade,
        upgrade_packages=packages,
        offline=workshop.offline,
        base=project.root,
        env=os.environ,
        local=workshop.built(),
        builder=builder,
        progress=workshop.progress,
    )
    if recipe.overlay.from_image:
        from lamina.taken.locking import lock_taken

        lock, lines = lock_taken(
            resolution.lock,
            recipe,
            target,
            previous=previous,
            store=workshop.store,
            environment=os.environ,
            upgrade=upgrade,
            offline=workshop.offline,
            progress=workshop.progress,
        )
        resolution = msgspec.structs.replace(resolution, lock=lock, changes=(*resolution.changes, *lines))
    text = locks.render(resolution.lock)
    path.parent.mkdir(parents=True, exist_ok=True)
    changed = not path.exists() or path.read_text(encoding="utf-8") != text
    if changed:
        put(path, text.encode())
    return path, resolution, changed
