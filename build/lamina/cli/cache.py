"""``lamina cache``."""

from __future__ import annotations

import click

from lamina.cli import common
from lamina.report import machine
from lamina.store import KINDS

_DAY = 24 * 60 * 60


@click.group(
    name="cache",
    epilog="""\b
Examples:
  lamina cache info
  lamina cache prune --days 30
  LAMINA_CACHE=/mnt/cache lamina cache clear""",
)
def command() -> None:
    """Show or empty the store of wheels and parts: LAMINA_CACHE, else the user's cache folder.

    Everything in it can be made again; a build with a warm store needs no network.
    """


@command.command()
@common.json_option
def info(*, as_json: bool) -> None:
    """Show where the store stands and what it holds."""
    store = common.open_store()
    if as_json:
        kinds = tuple(machine.Kind(*row) for row in store.usage())
        click.echo(machine.render(machine.Cache(str(store.root), kinds)))
        return
    click.echo(store.root)
    for row in store.usage():
        click.echo(f"{row.kind:<9}{row.files:>7,} files {row.bytes:>16,} bytes  {KINDS[row.kind]}")


@command.command()
@click.option("--days", type=click.FloatRange(min=0), default=30, show_default=True, help="Not used for so many days.")
def prune(days: float) -> None:
    """Remove what no build has used lately, and what killed builds left."""
    click.echo(f"{common.open_store().prune(days * _DAY):,} bytes freed")


@command.command()
def clear() -> None:
    """Remove everything."""
    click.echo(f"{common.open_store().clear():,} bytes freed")
