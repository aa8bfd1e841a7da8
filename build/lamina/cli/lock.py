"""``lamina lock``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lamina import lock as locks
from lamina.cli import common
from lamina.errors import MissingLockError, UsageError
from lamina.pipeline import Project, put
from lamina.recipe import Recipe
from lamina.target import Target


@click.command(
    epilog="""\b
Examples:
  lamina lock sklearn
  lamina lock --all --check
  lamina lock sklearn --upgrade-package pandas
  lamina lock sklearn --upgrade --target cp311-manylinux2014_x86_64"""
)
@common.recipes_argument
@common.all_option
@common.target_option
@click.option("--check", is_flag=True, help="Only say whether the locks fit their recipes; exit 1 where one does not.")
@click.option("--upgrade", is_flag=True, help="Take the newest versions, not the pinned ones.")
@click.option("--upgrade-package", "packages", multiple=True, metavar="NAME", help="Only of this package; repeatable.")
@common.offline_option
@common.links_option
def command(  # noqa: PLR0913 - the options of the contract
    recipes: tuple[str, ...],
    wanted: tuple[str, ...],
    packages: tuple[str, ...],
    links: tuple[str, ...],
    *,
    everything: bool,
    check: bool,
    upgrade: bool,
    offline: bool,
) -> int:
    """Resolve recipes to exact wheels for their targets.

    Writes recipes/locks/<name>-<target>.txt: hashed requirements, one wheel a line, to be committed. Pins that are
    still valid stay.
    """
    if check and (upgrade or packages):
        raise UsageError("--check changes nothing, --upgrade does", hint="Give one of the two.")
    store = common.open_store()
    progress = common.TerminalProgress()
    rows = common.chosen(recipes, wanted, store, everything=everything)
    if check:
        for project, recipe, targets in rows:
            for target in targets:
                path = locks.lock_path(project.recipe_path, recipe.name, target)
                lock = locks.read(path)
                locks.check(lock, recipe, target, project.shown(path))
                locks.verify(lock, target)
                click.echo(f"{project.shown(path)}: up to date, {len(lock.wheels)} wheels")
        return 0
    try:
        for project, recipe, targets in rows:
            for target in targets:
                _lock(project, recipe, target, links, progress, upgrade=upgrade, packages=packages, offline=offline)
    finally:
        progress.close()
    return 0


def _lock(  # noqa: PLR0913
    project: Project,
    recipe: Recipe,
    target: Target,
    links: tuple[str, ...],
    progress: common.TerminalProgress,
    *,
    upgrade: bool,
    packages: tuple[str, ...],
    offline: bool,
) -> None:
    from lamina.index import from_environment
    from lamina.resolve import resolve

    path = locks.lock_path(project.recipe_path, recipe.name, target)
    try:
        previous = locks.read(path)
    except MissingLockError:
        previous = None
    resolution = resolve(
        recipe,
        target,
        indexes=from_environment(os.environ, common.find_links(project, recipe, links)),
        previous=previous,
        upgrade=upgrade,
        upgrade_packages=packages,
        offline=offline,
        base=project.root,
        env=os.environ,
        progress=progress,
    )
    text = locks.render(resolution.lock)
    path.parent.mkdir(parents=True, exist_ok=True)
    changed = not path.exists() or path.read_text(encoding="utf-8") != text
    if changed:
        put(path, text.encode())
    size = sum(wheel.size for wheel in resolution.lock.wheels)
    what = "written" if changed else "unchanged"
    click.echo(f"{project.shown(Path(path))}: {what}, {len(resolution.lock.wheels)} wheels, {size:,} bytes to fetch")
    for line in resolution.changes:
        click.echo(f"  {line}")
    for line in resolution.held_back:
        click.echo(f"  held back: {line}")
