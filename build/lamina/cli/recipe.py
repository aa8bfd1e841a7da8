"""``lamina recipe``."""

from __future__ import annotations

from pathlib import Path

import click

from lamina.cli import common
from lamina.errors import UsageError
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
    """Write recipes/NAME.toml: a commented recipe to start from. An existing file is never overwritten."""
    text = template(name)
    path = Path("recipes", f"{name}.toml")
    parse(text, path.as_posix())  # the name is the user's, and may be none
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path.as_posix()}: exists already", hint="Choose another name, or edit that file.") from None
    click.echo(f"{path.as_posix()} written; edit it, then run: lamina lock {name}")


@command.command()
@common.recipes_argument
@common.all_option
def check(recipes: tuple[str, ...], *, everything: bool) -> None:
    """Check recipes without resolving or building anything."""
    for project in common.choose(recipes, everything=everything):
        recipe = load(project.recipe_path)
        names = ", ".join(target.name for target in targets(recipe))
        click.echo(f"{project.where}: fine; targets: {names}")


@command.command()
def schema() -> None:
    """Print the JSON schema of recipes."""
    click.echo(schema_text(), nl=False)
