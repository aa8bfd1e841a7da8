"""``lamina invoke``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from lamina.cli import common
from lamina.cli.means import means_of
from lamina.errors import UsageError
from lamina.project import order

if TYPE_CHECKING:
    from lamina.prove.invocation import Invocation, Setting
    from lamina.prove.session import Kind, Place
    from lamina.prove.trial import Event, Trial


class Live(Protocol):
    """A function that can be called."""

    setting: Setting

    def invoke(self, event: bytes, *, client_context: str = "", trace_id: str = "") -> Invocation:
        """Call it with an event."""


@click.command(
    epilog="""\b
Examples:
  lamina invoke sklearn
  lamina invoke sklearn --event layers/sklearn/events/predict.json
  echo '{"age": 41}' | lamina invoke sklearn --event -
  lamina invoke sklearn --in container
  lamina invoke sklearn --serve 9000
  curl http://127.0.0.1:9000/2015-03-31/functions/function/invocations -d '{"age": 41}'"""
)
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--event", "files", multiple=True, metavar="FILE", help="An event, - for stdin; repeatable.")
@click.option(
    "--serve",
    "port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Offer Lambda's Invoke API on this port of 127.0.0.1; 0 lets the system choose.",
)
@common.target_option
@common.offline_option
@common.links_option
@common.place_option
@common.network_option
@common.json_option
def command(  # noqa: PLR0913 - one for each option
    recipe_name: str,
    files: tuple[str, ...],
    port: int | None,
    wanted: tuple[str, ...],
    links: tuple[str, ...],
    place: Place,
    *,
    offline: bool,
    network: bool,
    as_json: bool,
) -> int:
    """Call the function of a recipe as Lambda would, with AWS's own runtime client.

    What runs are the emitted zips, or of a recipe whose function leaves as an image alone, that image, started in a
    container engine as Lambda starts it: build them first. Prints each answer; on stderr, what Lambda's log would hold.
    Without --event, the recipe's own events are sent. What is expected of x.json stands beside it in x.expect.json; an
    answer that is not as expected, and without an expectation an error, makes the exit code 1. One process of the
    function answers all events.
    """
    if port is not None and (files or as_json):
        raise UsageError("--serve excludes --event and --json", hint="Send events to the port that is served.")
    store = common.open_store()
    [(project, recipe, targets)] = common.chosen([recipe_name], wanted, store, everything=False)
    if recipe.function is None or not {"function", "image"} & set(recipe.artefacts):
        hint = 'Give it [function] with handler and source, and "function" or "image" in artefacts; then build it.'
        raise UsageError(f"{recipe.name} emits no function", hint=hint)
    kind: Kind = "zips" if "function" in recipe.artefacts else "image"
    if len(targets) > 1:
        choice = " or ".join(f"--target {target.name}" for target in targets)
        raise UsageError(f"{recipe.name} has {len(targets)} targets", hint=f"Say for which one: {choice}.")
    own = [(project.root / name, name) for name in recipe.function.events]
    stated = [(Path(name), name) for name in files] or own
    events = [] if port is not None else [_event(path, where) for path, where in stated]
    if port is None and not events:
        hint = "Give one with --event FILE, or list events in [function]."
        raise UsageError(f"{recipe.name} has no events", hint=hint)
    from lamina.prove.live import live
    from lamina.prove.session import open_session

    progress = common.TerminalProgress(quiet=as_json)
    try:
        workshop, means = means_of(
            project, recipe, links, store, progress, offline=offline, place=place, network=network
        )
        ordered = workshop.fulfil(order(project, recipe, targets[0]))
        with open_session(ordered, means, kind) as session, live(session, os.environ) as function:
            progress.close()
            return serve(function, port) if port is not None else run(function, events, as_json=as_json)
    finally:
        progress.close()


def run(function: Live, events: Sequence[Event], *, as_json: bool) -> int:
    """Send the events, one after the other, and print what came of each; the exit code."""
    from lamina.prove.trial import judge

    trials = []
    for event in events:
        trial = judge(event, function.invoke(event.data), function.setting)
        trials.append(trial)
        if not as_json:
            _print(trial)
    if as_json:
        from lamina.report import machine

        click.echo(machine.render(trials))
    return 0 if all(trial.passed for trial in trials) else 1


def serve(function: Live, port: int, ended: threading.Event | None = None) -> int:
    """Serve the function until Ctrl-C, or until ``ended`` is set; the exit code."""
    from lamina.prove.report_line import lines
    from lamina.prove.serve import InvokeServer

    def told(invocation: Invocation) -> None:
        _log(lines(invocation, function.setting))

    with InvokeServer(function.invoke, told, port) as server:
        path = "/2015-03-31/functions/function/invocations"
        click.echo(f"http://127.0.0.1:{server.port}{path}")
        click.echo("Ctrl-C ends it", err=True)
        waiting = ended or threading.Event()
        try:
            while not waiting.wait(1):  # in steps, for consoles whose Ctrl-C does not wake a wait without end
                pass
        except KeyboardInterrupt:
            click.echo("ended", err=True)
    return 0


def _event(path: Path, where: str) -> Event:
    from lamina.prove import events as forms
    from lamina.prove.trial import Event, load
    from lamina.runtimes import quotas

    if where == "-":
        data = sys.stdin.buffer.read(quotas().event + 1)
        return Event("standard input", forms.event(data, "standard input"), None)
    return load(path, where)


def _print(trial: Trial) -> None:
    from lamina.report.findings import printable

    _log(trial.log)
    if isinstance(trial.answer, str) and trial.mismatches and trial.mismatches[0].startswith("answer: not JSON"):
        text = trial.answer
    else:
        import json

        text = json.dumps(trial.answer, ensure_ascii=False)
    click.echo("\n".join(printable(line) for line in text.split("\n")))
    if trial.passed:
        return
    what = [trial.message] if trial.message and trial.error_type else []
    mismatches = [line for line in trial.mismatches if not (what and line.startswith("answer: the function failed"))]
    for line in [*what, *mismatches]:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {trial.event}: {printable(line)}", err=True)
    if trial.hint:
        click.echo(f"  {trial.hint}", err=True)


def _log(told: Sequence[str]) -> None:
    from lamina.report.findings import printable

    for line in told:
        # AWS's runtime client indents with no-break spaces.
        click.echo(printable(line.replace("\t", "  ").replace("\xa0", " ")), err=True)
