"""``lamina trace``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lamina import trace as traces
from lamina.cli import common
from lamina.cli.means import means_of
from lamina.cli.prove import provable, say, show_result
from lamina.errors import MissingToolError
from lamina.project import Order, order
from lamina.report import machine

if TYPE_CHECKING:
    from lamina.prove.run import Result
    from lamina.prove.session import Means, Place
    from lamina.taken import Take


@click.command(
    epilog="""\b
Examples:
  lamina trace sklearn
  lamina trace sklearn --target cp311-manylinux2014_x86_64
  lamina trace sklearn --in container
  lamina trace --all --check"""
)
@common.recipes_argument
@common.all_option
@common.target_option
@common.offline_option
@common.links_option
@common.place_option
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where a trace is not what its file holds.")
@common.json_option
@common.network_option
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(  # noqa: PLR0913 - one for each option
    recipes: tuple[str, ...],
    wanted: tuple[str, ...],
    links: tuple[str, ...],
    place: Place,
    *,
    everything: bool,
    offline: bool,
    check: bool,
    as_json: bool,
    network: bool,
    quiet: bool,
) -> int:
    """Run the proofs of recipes, and record what they touch of their layers in layers/<name>/trace.json.

    What the recipe states is run, as lamina prove does: its imports, its script, the function's events. Recorded are
    the modules that are loaded, in their order, libraries, metadata, and all other files that are opened, by Python or
    by native code. Commit the file: builds compile first what it names, and [prune] untraced drops what it does not.

    The layer is made for it, without what untraced drops; nothing need have been built. A file of several targets keeps
    what it has for the others. Where a proof fails, nothing is written. Needs Linux of the target's architecture.
    """
    store = common.open_store()
    progress = common.TerminalProgress(quiet=quiet)
    take = common.taker(store, progress, offline=offline)
    rows: list[machine.Trace] = []
    lacking = 0
    try:
        for project, recipe, targets in common.chosen(recipes, wanted, store, everything=everything):
            workshop, means = means_of(
                project, recipe, links, store, progress, offline=offline, place=place, network=network
            )
            for target in provable(targets, recipe.name, asked=bool(wanted), place=place, doing="traced"):
                ordered = workshop.fulfil(order(project, recipe, target))
                try:
                    rows.append(_trace(ordered, means, take, check=check, show=not as_json))
                except MissingToolError as error:  # another target may run here
                    common.show(error)
                    lacking = error.exit_code
    finally:
        progress.close()
    if as_json:
        click.echo(machine.render(rows))
    wrong = any(not row.passed or (check and row.changed) for row in rows)
    return 1 if wrong else lacking


def _trace(ordered: Order, means: Means, take: Take, *, check: bool, show: bool) -> machine.Trace:
    """Trace one order, print each proof as it ends, and write what was touched into the recipe's file."""
    from lamina.prove.tracing import trace

    results: list[Result] = []

    def told(result: Result) -> None:
        if show and not results:
            click.echo(f"{ordered.recipe.name} for {ordered.target.name}")
        results.append(result)
        if show:
            show_result(result)

    path = traces.trace_path(ordered.project, ordered.recipe.name)
    shown = ordered.project.shown(path)
    before = traces.read(path, shown)
    find = partial(common.compiler, ordered, means.progress, offline=means.offline)
    traced = trace(ordered, means, find=find, take=take, told=told)
    known = ordered.target.name in before.targets
    changed = None
    if traced is not None:
        changed = before.targets.get(ordered.target.name) != traced
        if not check:
            traces.update(path, traces.read(path, shown), ordered.target.name, traced)
    if show:
        say("trace  ", _outcome(traced, shown, known=known, changed=bool(changed), check=check))
    return machine.Trace(
        name=ordered.recipe.name,
        target=ordered.target.name,
        path=shown,
        passed=traced is not None,
        changed=changed,
        traced=traced,
        proofs=tuple(result.proof for result in results),
        notes=tuple(note for result in results for note in result.notes),
    )


def _outcome(traced: traces.Traced | None, shown: str, *, known: bool, changed: bool, check: bool) -> str:
    """What became of the file, in one sentence."""
    from lamina.report.text import plural

    if traced is None:
        return f"a proof failed, so {shown} is as it was"
    kinds = ("module", traced.modules), ("native file", traced.libraries), ("other file", traced.files)
    told = ", ".join(plural(len(found), kind) for kind, found in kinds)
    told += f", {plural(len(traced.metadata), 'file')} of metadata"
    if not changed:
        return f"{told}: as {shown} has it"
    if check:
        differs = f"not as {shown} has it" if known else f"{shown} has none of this target"
        return f"{told}: {differs}; without --check this command writes it"
    return f"{told}; written to {shown}"
