"""``lamina prove``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from lamina.cli import common
from lamina.cli.means import means_of
from lamina.errors import MissingToolError
from lamina.project import Order, order
from lamina.report import machine
from lamina.runtimes import image_architecture

if TYPE_CHECKING:
    from lamina.prove.run import Result
    from lamina.prove.session import Kind, Means, Place
    from lamina.prune.model import Decision
    from lamina.target import Target


@click.command(
    epilog="""\b
Examples:
  lamina prove sklearn
  lamina prove --all --json
  lamina prove sklearn --in container
  lamina build sklearn --prove"""
)
@common.recipes_argument
@common.all_option
@common.target_option
@common.offline_option
@common.links_option
@common.place_option
@click.option("--output", type=click.Path(file_okay=False), metavar="FOLDER", help="Instead of dist/ of the project.")
@common.json_option
@common.network_option
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(  # noqa: PLR0913 - one for each option
    recipes: tuple[str, ...],
    wanted: tuple[str, ...],
    links: tuple[str, ...],
    output: str | None,
    place: Place,
    *,
    everything: bool,
    offline: bool,
    as_json: bool,
    network: bool,
    quiet: bool,
) -> int:
    """Run what was built, in a CPython of the target: every import, the recipe's script, the function's events.

    The emitted zips are run, not what they were made from, with what Lambda's runtime has beside the standard library,
    AWS's own runtime client among it. Where the kernel allows it, the layer stands read-only at /opt and the function
    at /var/task, and there is no network. What ran, and where, is written into the manifests. Needs Linux of the
    target's architecture, or --in container: the image is the recipe's [image] base, else LAMINA_BASE_IMAGE, else AWS's
    own. An image that was emitted runs in containers of itself, its events once more through the entry point that
    docker run would start; it is loaded into an engine for that, and removed again. With --network, what runs may use
    the network, and the proof says so.
    """
    from lamina.prove.session import kinds

    store = common.open_store()
    progress = common.TerminalProgress(quiet=quiet)
    rows: list[machine.Proven] = []
    lacking = 0
    try:
        for project, recipe, targets in common.chosen(recipes, wanted, store, everything=everything, output=output):
            workshop, means = means_of(
                project, recipe, links, store, progress, offline=offline, place=place, network=network
            )
            for kind in kinds(recipe):
                inside: Place = "container" if kind == "image" else place
                for target in provable(targets, recipe.name, asked=bool(wanted), place=inside):
                    ordered = workshop.fulfil(order(project, recipe, target))
                    try:
                        rows.append(prove_one(ordered, means, kind, show=not as_json))
                    except MissingToolError as error:  # another target may run here, or the zips without an engine
                        common.show(error)
                        lacking = error.exit_code
    finally:
        progress.close()
    if as_json:
        click.echo(machine.render(rows))
    return lacking if all(row.passed for row in rows) else 1


def provable(
    targets: Sequence[Target], name: str, *, asked: bool, place: Place = "host", doing: str = "proven"
) -> list[Target]:
    """The targets whose binaries this machine can load; the others are told of, if one is left and none was asked for.

    Where none is left, all are returned, and the proof of the first says what this machine lacks.
    """
    from lamina.interpreters import this_host

    host = this_host()
    able = place == "container" or host.system == "linux"
    here = [target for target in targets if able and host.machine in _spellings(target)]
    if asked or not here:
        return list(targets)
    for target in targets:
        if target not in here:
            why = f"its binaries are for {target.architecture}, this machine is {host.machine}"
            click.echo(f"{name} for {target.name}: not {doing} here: {why}", err=True)
    return here


def _spellings(target: Target) -> tuple[str, ...]:
    """How Linux, macOS and Windows call the target's architecture."""
    of_images = image_architecture(target.architecture)
    return target.architecture, of_images, of_images.upper()


def prove(ordered: Order, means: Means, *, show: bool) -> machine.Proven:
    """Run the proofs of one order, of its zips and of its image, as :func:`prove_one`."""
    from lamina.prove.session import kinds

    rows = [prove_one(ordered, means, kind, show=show) for kind in kinds(ordered.recipe)]
    return machine.Proven(
        name=ordered.recipe.name,
        target=ordered.target.name,
        passed=all(row.passed for row in rows),
        proofs=tuple(proof for row in rows for proof in row.proofs),
        notes=tuple(dict.fromkeys(note for row in rows for note in row.notes)),
    )


def prove_one(ordered: Order, means: Means, kind: Kind, *, show: bool) -> machine.Proven:
    """Run the proofs of one order's zips or image, print each as it ends, and write them into the manifests."""
    from lamina.pipeline import bytecode_of
    from lamina.planner import Planner
    from lamina.prove.run import not_run, record
    from lamina.prove.run import prove as run_proofs
    from lamina.prove.session import open_session
    from lamina.report.text import plural

    def decisions() -> Iterable[Decision]:
        bytecode = bytecode_of(ordered, partial(common.compiler, ordered, means.progress, offline=means.offline))
        _, said = Planner(ordered, means.store, means.fetch, means.progress, bytecode=bytecode).decisions()
        return (decision for part in said for decision in part)

    results: list[Result] = []
    with open_session(ordered, means, kind) as session:
        for result in run_proofs(session, decisions, means.environment, means.progress):
            if show and not results:
                image = ", as an image" if kind == "image" else ""
                click.echo(f"{ordered.recipe.name} for {ordered.target.name}{image}")
            results.append(result)
            if show:
                show_result(result)
        record(session, results)
        notes = (*(note for result in results for note in result.notes), *not_run(session))
        written = [emitted.report for emitted in session.artefacts]
    failed = sum(not result.proof.passed for result in results)
    if show:
        say("where  ", results[0].proof.where)
        for note in not_run(session):
            say("note   ", note)
        told = plural(len(results), "proof")
        came = f"{failed} of {told} failed" if failed else f"{told} passed"
        say("proofs ", f"{came}; in {' and '.join(map(ordered.project.shown, written))}")
    return machine.Proven(
        name=ordered.recipe.name,
        target=ordered.target.name,
        passed=not failed,
        proofs=tuple(result.proof for result in results),
        notes=notes,
    )


def show_result(result: Result) -> None:
    """Print a proof, and below it what there is to show of it."""
    from lamina.report.findings import printable

    proof = result.proof
    word = click.style("passed", fg="green") if proof.passed else click.style("failed", fg="red", bold=True)
    say(f"{word} ", f"{proof.kind}: {proof.detail}")
    for line in result.lines:  # of a traceback or a log: as they are
        # AWS's runtime client indents with no-break spaces.
        click.echo("    " + printable(line.replace("\xa0", " ")))
    for note in result.notes:
        say("note   ", note)


def say(word: str, text: str) -> None:
    """A line that begins with a word, as wide as the terminal; what follows stands below its first line's text."""
    for at, line in enumerate(_wrapped(text, 11)):
        click.echo(f"  {word if not at else ' ' * 7}  {line}")


def _wrapped(text: str, beside: int) -> Iterator[str]:
    import textwrap
    from shutil import get_terminal_size

    from lamina.report.findings import printable

    width = max(60, get_terminal_size((100, 24)).columns) - beside
    yield from textwrap.wrap(printable(text), width, break_long_words=False, break_on_hyphens=False)
