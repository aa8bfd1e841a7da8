"""``lamina prove``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from lamina.cli import common
from lamina.project import Order, order
from lamina.report import machine

if TYPE_CHECKING:
    from lamina.index import Indexes
    from lamina.part.library import Fetch
    from lamina.progress import Progress
    from lamina.store import Store
    from lamina.target import Target


@click.command(
    epilog="""\b
Examples:
  lamina prove sklearn
  lamina prove --all --json
  lamina build sklearn --prove"""
)
@common.recipes_argument
@common.all_option
@common.target_option
@common.offline_option
@common.links_option
@click.option("--output", type=click.Path(file_okay=False), metavar="FOLDER", help="Instead of dist/ of the project.")
@common.json_option
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(
    recipes: tuple[str, ...],
    wanted: tuple[str, ...],
    links: tuple[str, ...],
    output: str | None,
    *,
    everything: bool,
    offline: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run what was built, in a CPython of the target: every import, the recipe's script, the function's events.

    The emitted zips are run, not what they were made from, with what Lambda's runtime has beside the standard library,
    AWS's own runtime client among it. Where the kernel allows it, the layer stands read-only at /opt and the function
    at /var/task, and there is no network. What ran, and where, is written into the manifests. Needs Linux of the
    target's architecture.
    """
    store = common.open_store()
    progress = common.TerminalProgress(quiet=quiet)
    rows: list[machine.Proven] = []
    passed = True
    try:
        for project, recipe, targets in common.chosen(recipes, wanted, store, everything=everything, output=output):
            workshop = common.workshop(project, recipe, links, store, progress, offline=offline)
            fetch = workshop.fetch(common.fetcher(project, recipe, links, store, progress, offline=offline))
            indexes = partial(common.indexes_of, project, recipe, links)
            for target in provable(targets, recipe.name, asked=bool(wanted)):
                ordered = workshop.fulfil(order(project, recipe, target))
                row = prove(ordered, store, fetch, indexes, progress, offline=offline, show=not as_json)
                rows.append(row)
                passed = passed and row.passed
    finally:
        progress.close()
    if as_json:
        click.echo(machine.render(rows))
    return 0 if passed else 1


def provable(targets: Sequence[Target], name: str, *, asked: bool) -> list[Target]:
    """The targets whose binaries this machine can load; the others are told of, if one is left and none was asked for.

    Where none is left, all are returned, and the proof of the first says what this machine lacks.
    """
    from lamina.prove.interpreters import this_host

    host = this_host()
    here = [target for target in targets if host.system == "linux" and target.architecture == host.machine]
    if asked or not here:
        return list(targets)
    for target in targets:
        if target not in here:
            why = f"its binaries are for {target.architecture}, this machine is {host.machine}"
            click.echo(f"{name} for {target.name}: not proven here: {why}", err=True)
    return here


def prove(
    ordered: Order,
    store: Store,
    fetch: Fetch,
    indexes: Callable[[], Indexes],
    progress: Progress,
    *,
    offline: bool,
    show: bool,
) -> machine.Proven:
    """Run the proofs of one order, print each as it ends, and write them into the manifests."""
    from lamina.planner import Planner
    from lamina.prove.run import prove as run_proofs
    from lamina.prove.run import record
    from lamina.prove.session import Means, open_session

    means = Means(store, fetch, indexes, os.environ, progress, offline)
    results = []
    with open_session(ordered, means) as session:
        _, said = Planner(ordered, store, fetch, progress).decisions()
        decisions = [decision for part in said for decision in part]
        if show:
            click.echo(f"{ordered.recipe.name} for {ordered.target.name}")
        for result in run_proofs(session, decisions, os.environ, progress):
            results.append(result)
            if show:
                _show(result.proof.kind, result.proof.detail, result.lines, result.notes, passed=result.proof.passed)
        record(session, results)
    if show:
        click.echo(f"  ran on {results[0].proof.where}")
    return machine.Proven(
        name=ordered.recipe.name,
        target=ordered.target.name,
        passed=all(result.proof.passed for result in results),
        proofs=tuple(result.proof for result in results),
        notes=tuple(note for result in results for note in result.notes),
    )


def _show(kind: str, detail: str, lines: Sequence[str], notes: Sequence[str], *, passed: bool) -> None:
    from lamina.report.findings import printable

    word = click.style("passed", fg="green") if passed else click.style("failed", fg="red", bold=True)
    click.echo(f"  {word}  {kind}: {printable(detail)}")
    for line in lines:
        click.echo(f"    {printable(line)}")
    for note in notes:
        click.echo(f"  note: {printable(note)}")
