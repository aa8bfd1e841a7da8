"""``lamina explain``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click
import msgspec

from lamina.cli import common
from lamina.errors import UsageError
from lamina.layer import Link
from lamina.part.model import Index
from lamina.pipeline import bytecode_of
from lamina.planner import Planner
from lamina.project import order
from lamina.prune.model import Decision, Thing
from lamina.report import machine
from lamina.report.explain import (
    bytecode_lines,
    compiled_beside,
    covers,
    largest_dropped,
    largest_kept,
    largest_lines,
    path_lines,
    summary_lines,
    trimmed_bytes,
)


@click.command(
    epilog="""\b
Examples:
  lamina explain sklearn
  lamina explain sklearn numpy/testing
  lamina explain sklearn python/scipy/stats/tests --target cp311-manylinux2014_x86_64"""
)
@click.argument("recipe_name", metavar="RECIPE")
@click.argument("path", required=False)
@common.target_option
@common.offline_option
@common.links_option
@common.json_option
def command(
    recipe_name: str,
    path: str | None,
    wanted: tuple[str, ...],
    links: tuple[str, ...],
    *,
    offline: bool,
    as_json: bool,
) -> int:
    """Tell what a layer leaves out, what it keeps, and why.

    Without PATH: for each package and rule how much went and how much stayed, with the reasons; then the ten largest
    things kept, and why, and the ten largest dropped, and by which rule; and what of each package ships as bytecode.
    With PATH, a file or folder in the layer or a package's name: every file there, the rule that speaks of it, what
    keeps it, and the bytecode beside it.
    """
    store = common.open_store()
    progress = common.TerminalProgress()
    rows: list[machine.Explain] = []
    [(project, recipe, targets)] = common.chosen([recipe_name], wanted, store, everything=False)
    workshop = common.workshop(project, recipe, links, store, progress, offline=offline)
    fetch = workshop.fetch(common.fetcher(project, recipe, links, store, progress, offline=offline))
    take = common.taker(store, progress, offline=offline)
    for target in targets:
        ordered = workshop.fulfil(order(project, recipe, target))
        bytecode = bytecode_of(ordered, partial(common.compiler, ordered, progress, offline=offline))
        planner = Planner(ordered, store, fetch, progress, take, bytecode)
        parts, decided = planner.decisions()
        chosen = planner.bytecode()
        decisions = chosen.over(decided)
        symlinks = planner.ships().links
        indexes = [index if recipe.native.trim else msgspec.structs.replace(index, trimmed=()) for index, _ in parts]
        if as_json:
            rowed = zip(indexes, decisions, symlinks or [()] * len(indexes), strict=True)
            told = [_told(target.name, index, said, linked, path) for index, said, linked in rowed]
            if path is None:
                told = _with_largest(told, largest_kept(indexes, decisions), largest_dropped(indexes, decisions))
            rows += [row for row in told if row.decisions or path is None]
            continue
        given = (indexes, decisions)
        compiled = compiled_beside(indexes, chosen, target.runtime.python)
        lines = [*(path_lines(*given, path, symlinks, compiled) if path else summary_lines(*given, symlinks))]
        if not lines:
            raise UsageError(f"{path}: no wheel of {recipe.name} has it", hint=f"See: lamina explain {recipe.name}")
        click.echo(f"# {recipe.name} for {target.name}")
        click.echo("\n".join(lines))
        for omit in recipe.omit if not path else ():
            click.echo(f"{omit.name}: omitted by the recipe: {omit.reason}")
        if not path and compiled is None and recipe.bytecode.mode != "off":
            click.echo(f'no bytecode ships, though bytecode.mode = "{recipe.bytecode.mode}": lamina build tells why')
        if not path:
            click.echo("\n".join([*bytecode_lines(indexes, chosen), *largest_lines(indexes, decisions)]))
    if as_json:
        click.echo(machine.render(rows))
    return 0


def _told(target: str, index: Index, said: list[Decision], linked: Sequence[Link], path: str | None) -> machine.Explain:
    """The decisions about one package, or those of them that ``path`` covers."""
    decided = tuple(
        machine.Decided(one.path, one.size, one.rule, one.dropped, one.reason)
        for one in said
        if path is None or covers(path, index, one.path)
    )
    trimmed = trimmed_bytes(index, said).items()
    less = sum(size for place, size in trimmed if path is None or covers(path, index, place))
    saved = sum(link.entry.size for link in linked if path is None or covers(path, index, link.entry.path))
    return machine.Explain(target, index.name, index.version, decided, trimmed_bytes=less, linked_bytes=saved)


def _with_largest(told: list[machine.Explain], kept: list[Thing], dropped: list[Thing]) -> list[machine.Explain]:
    """Each package with those of the layer's largest things that are its own."""
    return [
        msgspec.structs.replace(
            row,
            largest_kept=tuple(thing for thing in kept if thing.package == row.package),
            largest_dropped=tuple(thing for thing in dropped if thing.package == row.package),
        )
        for row in told
    ]
