"""What several commands share: choosing recipes and targets, the store, the indexes, progress on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lamina.errors import LaminaError, UsageError
from lamina.lock import lock_path
from lamina.progress import Progress, Task
from lamina.project import Order, Project, load_recipe
from lamina.recipe import Recipe, targets
from lamina.store import Store, default_root
from lamina.target import Target

if TYPE_CHECKING:
    from lamina.bytecode.compilers import Compiler
    from lamina.findings import Finding
    from lamina.index import Indexes
    from lamina.local import Workshop
    from lamina.lock import LockedWheel

recipes_argument = click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
all_option = click.option("--all", "everything", is_flag=True, help="All recipes of the project.")
target_option = click.option(
    "--target",
    "wanted",
    multiple=True,
    metavar="TARGET",
    help="Only this target, as cp311-manylinux2014_x86_64; repeatable.",
)
offline_option = click.option("--offline", is_flag=True, help="Never open a socket.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
place_option = click.option(
    "--in",
    "place",
    type=click.Choice(["host", "container"]),
    default="host",
    help="On this machine, or in containers of the target's base image, with Docker or Podman.",
)
network_option = click.option("--network", is_flag=True, help="Let what runs use the network, which is off else.")
links_option = click.option(
    "--find-links",
    "links",
    multiple=True,
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="A folder of wheels beside the index; repeatable.",
)


def open_store() -> Store:
    """The store of this user."""
    return Store(default_root(os.environ))


def compiler(order: Order, progress: Progress, *, offline: bool) -> Compiler:
    """A CPython that writes bytecode for an order's target.

    Raises:
        MissingToolError: there is none.
    """
    from lamina.bytecode.compilers import compiler_for

    return compiler_for(order, os.environ, offline=offline, progress=progress)


def choose(names: Sequence[str], *, everything: bool, output: str | None = None) -> list[Project]:
    """The projects of the named recipes: a path, or a name in ``recipes/`` of the current folder or one above it.

    Raises:
        UsageError: nothing was named and there is not exactly one recipe, or a name stands for no recipe.
    """
    folder = recipes_folder()
    known = sorted(folder.glob("*.toml")) if folder else []
    if everything and names:
        raise UsageError("--all and names of recipes exclude each other", hint="Give one of the two.")
    if everything or (not names and len(known) == 1):
        paths = known
    elif names:
        paths = [_find(name, folder) for name in names]
    else:
        paths = []
    if not paths:
        have = ", ".join(path.stem for path in known)
        hint = f"Name one of: {have}; or give --all." if have else "Write one with: lamina recipe new NAME"
        raise UsageError("no recipe was named" if have else "there is no recipe here", hint=hint)
    return list(dict.fromkeys(_project(path, output) for path in paths))


def select(recipe: Recipe, wanted: Iterable[str], *, lenient: bool = False) -> list[Target]:
    """The recipe's targets, or those of the given names; ``lenient`` passes over names that only other recipes have.

    Raises:
        UsageError: the recipe has no target of a name.
    """
    known = {target.name: target for target in targets(recipe)}
    names = list(dict.fromkeys(wanted))
    missing = [name for name in names if name not in known]
    if missing and not lenient:
        raise UsageError(f"{recipe.name} has no target {missing[0]}", hint=f"Its targets are: {', '.join(known)}")
    return [known[name] for name in names if name in known] if names else list(known.values())


def chosen(
    names: Sequence[str],
    wanted: Sequence[str],
    store: Store,
    *,
    everything: bool,
    output: str | None = None,
    locking: bool = False,
) -> list[tuple[Project, Recipe, list[Target]]]:
    """Every chosen project with its recipe and its selected targets.

    Of all recipes, those for an image alone that were never locked are left out, and named on stderr, except for
    ``locking``: their locks can need an index or a base image that not every machine reaches. Layers always have locks.

    Raises:
        UsageError: as :func:`choose` and :func:`select`; a target that none of several recipes has, too.
    """
    rows = []
    projects = choose(names, everything=everything, output=output)
    for project in projects:
        recipe = load_recipe(project, store)
        if everything and not locking and _never_locked(project, recipe):
            hint = f"make one: lamina lock {recipe.name}"
            click.echo(f"{recipe.name}: left out, as it is an image without a lock; {hint}", err=True)
            continue
        rows.append((project, recipe, select(recipe, wanted, lenient=len(projects) > 1)))
    if not any(found for _, _, found in rows):
        raise UsageError(f"none of the recipes has a target {', '.join(wanted)}", hint="See [[target]] in the recipes.")
    return rows


def _never_locked(project: Project, recipe: Recipe) -> bool:
    """Whether a recipe makes nothing but an image, and has no lock for any of its targets."""
    paths = (lock_path(project.recipe_path, recipe.name, target) for target in targets(recipe))
    return set(recipe.artefacts) == {"image"} and not any(path.exists() for path in paths)


def fetcher(
    project: Project, recipe: Recipe, links: Sequence[str], store: Store, progress: Progress, *, offline: bool
) -> Callable[[Sequence[LockedWheel]], Mapping[str, Path]]:
    """How wheels come to the store, for the pipeline; the network libraries are imported when it is called."""

    def fetch(wheels: Sequence[LockedWheel]) -> Mapping[str, Path]:
        from lamina.fetch import fetch as fetch_wheels
        from lamina.lock import Lock

        wanted = Lock("", "", "", tuple(wheels), recipe.name)  # with the name, for the commands in messages
        return fetch_wheels(
            wanted, store=store, indexes=indexes_of(project, recipe, links), offline=offline, progress=progress
        )

    return fetch


def taker(store: Store, progress: Progress, *, offline: bool) -> Callable[[Order], None]:
    """How files of the base image come to the store; an engine is looked for when it is called."""

    def take(order: Order) -> None:
        from lamina.taken.locking import take_again

        take_again(order, store=store, environment=os.environ, offline=offline, progress=progress)

    return take


def workshop(
    project: Project, recipe: Recipe, links: Sequence[str], store: Store, progress: Progress, *, offline: bool
) -> Workshop:
    """What builds the recipe's local projects; it does nothing for a recipe without."""
    from lamina.local import Workshop

    indexes = partial(indexes_of, project, recipe, links)
    return Workshop(project, recipe, store, indexes=indexes, env=os.environ, offline=offline, progress=progress)


def indexes_of(project: Project, recipe: Recipe, links: Sequence[str]) -> Indexes:
    """The one index configuration: of the environment, the recipe and the command line."""
    from lamina.index import from_environment

    return from_environment(os.environ, find_links(project, recipe, links), named=recipe.index)


def find_links(project: Project, recipe: Recipe, links: Sequence[str]) -> list[str]:
    """Folders of wheels: the recipe's, relative to the project, and the command line's, relative to where it runs."""
    return [*(str(project.root / link) for link in recipe.find_links), *(str(Path(link).resolve()) for link in links)]


def show(error: LaminaError) -> None:
    """Print an error as every command does: what happened and where, then what to do."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {shown(error.message)}", err=True)
    if error.hint:
        click.echo(shown(error.hint), err=True)


def shown(text: str) -> str:
    """A text of several lines as a terminal may see it: what registries, images and builds say is in messages too."""
    if text.replace("\n", "").isprintable():
        return text
    from lamina.report.findings import printable

    return "\n".join(printable(line.replace("\t", "  ")) for line in text.split("\n"))


_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def paint(text: str, severity: str) -> str:
    """A word in the colour of its severity; click takes colours out again where no terminal reads."""
    return click.style(text, fg=_COLOURS[severity], bold=severity == "error")


def print_findings(findings: Sequence[Finding], owner: Callable[[str], str]) -> None:
    """Print findings as a table, as wide as the terminal."""
    from shutil import get_terminal_size

    from lamina.report.findings import table

    for line in table(findings, owner, width=max(60, get_terminal_size((100, 24)).columns), paint=paint):
        click.echo(line)


def annotate(name: str, findings: Sequence[Finding]) -> None:
    """In GitHub Actions, print findings as annotations of the run; on stderr, which its runner reads as well."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from lamina.report.actions import workflow_commands

        for line in workflow_commands(name, findings):
            click.echo(line, err=True)


def each(checks: Iterable[Callable[[], None]]) -> int:
    """Run all checks, print the error of each that fails, and return the exit code of the first."""
    code = 0
    for check in checks:
        try:
            check()
        except LaminaError as error:
            show(error)
            code = code or error.exit_code
    return code


def recipes_folder() -> Path | None:
    """The folder of recipes of the project that the command runs in: here, or in the nearest folder above."""
    here = Path.cwd()
    return next((folder / "recipes" for folder in (here, *here.parents) if (folder / "recipes").is_dir()), None)


def _find(name: str, folder: Path | None) -> Path:
    path = Path(name)
    if path.suffix == ".toml" or "/" in name or os.sep in name:
        return path
    if folder is None:
        raise UsageError(
            f"{name}: there is no folder recipes/ here or above", hint="Give the path of the recipe, or change folder."
        )
    return folder / f"{name}.toml"  # load_recipe says which recipes there are, where this one is not


def _project(path: Path, output: str | None) -> Project:
    path = Path(os.path.abspath(path))  # noqa: PTH100 - a linked recipe belongs to the project that links it
    root = path.parent.parent if path.parent.name == "recipes" else path.parent
    return Project(path, root, Path(output).absolute() if output else root / "dist")


class TerminalProgress(Progress):
    """Progress on stderr: a line for each stage, and bars in a terminal as soon as something takes long."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: _Bars | None = None

    def stage(self, message: str) -> None:
        """Print the message as a line."""
        if not self._quiet:
            click.echo(shown(message), err=True)

    def task(self, label: str, total: int | None = None, *, unit: str = "bytes") -> Task:
        """Draw a bar, in a terminal."""
        if self._quiet or not sys.stderr.isatty():
            return Task()
        from lamina.cli.bars import Bars

        self._bars = self._bars or Bars()
        return self._bars.task(label, total, unit=unit)

    def close(self) -> None:
        """Take the bars off the screen."""
        if self._bars is not None:
            self._bars.close()


if TYPE_CHECKING:
    from lamina.cli.bars import Bars as _Bars
