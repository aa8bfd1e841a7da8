"""``lamina recipe``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from lamina.cli import common
from lamina.errors import UsageError
from lamina.files import put
from lamina.project import Project
from lamina.recipe import load, parse, schema_text, targets, template


@click.group(
    name="recipe",
    epilog="""\b
Examples:
  lamina recipe new imaging
  lamina recipe check sklearn
  lamina recipe schema > recipe.schema.json""",
)
def command() -> None:
    """Write a new recipe, check recipes, or print the schema that editors check them with."""


@command.command()
@click.argument("name")
def new(name: str) -> None:
    """Write recipes/NAME.toml: a commented recipe to start from. An existing one is never overwritten."""
    folder = common.recipes_folder() or Path.cwd() / "recipes"
    shipped = folder.parent / "build" / "lamina" / "recipe" / "recipe.schema.json"
    beside = folder / "recipe.schema.json"
    schema = f"../{shipped.relative_to(folder.parent).as_posix()}" if shipped.exists() else beside.name
    text = template(name, schema)
    path = Project(folder / f"{name}.toml", folder.parent, folder).shown(folder / f"{name}.toml")
    parse(text, path)  # the name is the user's, and may be none
    folder.mkdir(exist_ok=True)
    if not shipped.exists():  # outside lamina's own repository, editors need the schema at hand
        put(beside, schema_text().encode())
    try:
        with Path(path).open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: exists already", hint="Choose another name, or edit that file.") from None
    click.echo(f"{path} written; edit it, then run: lamina lock {name}")


@command.command()
@common.recipes_argument
@common.all_option
def check(recipes: tuple[str, ...], *, everything: bool) -> int:
    """Check recipes without resolving or building anything."""
    return common.each(partial(_check, project) for project in common.choose(recipes, everything=everything))


def _check(project: Project) -> None:
    recipe = load(Path(project.where))
    names = ", ".join(target.name for target in targets(recipe))
    click.echo(f"{project.where}: fine; targets: {names}")


@command.command()
def schema() -> None:
    """Print the JSON schema of recipes."""
    click.echo(schema_text(), nl=False)
