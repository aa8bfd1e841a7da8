"""``lamina build``."""

from __future__ import annotations

import datetime as dt
import os
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from lamina.cli import common
from lamina.emit import manifest as manifests
from lamina.pipeline import Built, build
from lamina.project import order
from lamina.report import machine
from lamina.report.text import (
    build_lines,
    function_lines,
    function_publish_lines,
    image_offer,
    package_table,
    publish_lines,
    saving_lines,
)
from lamina.runtimes import quotas

if TYPE_CHECKING:
    from lamina.function.build import FunctionBuilt
    from lamina.image.build import Built as Imaged
    from lamina.part.library import Fetch
    from lamina.progress import Progress
    from lamina.project import Order
    from lamina.prove.proven import Proven
    from lamina.store import Store


@click.command(
    epilog="""\b
Examples:
  lamina build sklearn
  lamina build sklearn --target cp311-manylinux2014_x86_64
  lamina build --all --offline
  lamina build sklearn --prove
  lamina build recipes/sklearn.toml --output layers-out --json"""
)
@common.recipes_argument
@common.all_option
@common.target_option
@common.offline_option
@common.links_option
@click.option("--output", type=click.Path(file_okay=False), metavar="FOLDER", help="Instead of dist/ of the project.")
@click.option("--prove", "proving", is_flag=True, help="Run what was built, as lamina prove does.")
@common.json_option
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(  # noqa: PLR0913 - one argument an option
    recipes: tuple[str, ...],
    wanted: tuple[str, ...],
    links: tuple[str, ...],
    output: str | None,
    *,
    everything: bool,
    offline: bool,
    proving: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Build the layers of recipes from their locks.

    Leaves <name>-<target>.zip in dist/, with its manifest (.json), bill of materials (.cdx.json) and licence notices
    (.notices.txt); and where the recipe's artefacts name a function, <name>-<target>-function.zip with its manifest.
    Where they name an image, it makes what lamina image does, and where they name nothing else, only that. A finding
    that is an error leaves no zip, only the manifest as the report, and exit code 1. With [prune] untraced in a recipe
    its proofs run as with --prove, unless they have passed on the same bytes.
    """
    store = common.open_store()
    progress = common.TerminalProgress(quiet=quiet)
    today = dt.datetime.now(dt.UTC).date()
    failed = False
    outcomes = []
    try:
        for project, recipe, targets in common.chosen(recipes, wanted, store, everything=everything, output=output):
            workshop = common.workshop(project, recipe, links, store, progress, offline=offline)
            fetch = workshop.fetch(common.fetcher(project, recipe, links, store, progress, offline=offline))
            take = common.taker(store, progress, offline=offline)
            # What no trace touched is gone from the layer: only the proofs tell that it is not missed.
            proofs = _proofs() if proving or recipe.prune.untraced else None
            here = proofs.provable(targets, recipe.name, asked=bool(wanted)) if proofs is not None else []
            passes = partial(_passes, links, store, fetch, progress, offline=offline, show=not as_json, again=proving)
            for target in targets:
                ordered = workshop.fulfil(order(project, recipe, target))
                imaged = _imaged(ordered, store, fetch, progress, offline=offline, show=not as_json)
                lacking = imaged is not None and imaged.artefact is None
                failed = failed or lacking
                if imaged is not None and set(recipe.artefacts) == {"image"}:
                    if target in here and not lacking:
                        failed = not passes(ordered, imaged.manifest) or failed
                    outcomes.append(_machine_image(_reread_image(imaged)))
                    continue
                find = partial(common.compiler, ordered, progress, offline=offline)
                built = build(ordered, store=store, fetch=fetch, take=take, today=today, progress=progress, find=find)
                artefact = None if built.artefact is None else project.shown(built.artefact)
                failed = failed or built.failed
                if not as_json:
                    _print(built, artefact)
                if target in here and not built.failed and not lacking:
                    failed = not passes(ordered, *_run(built, imaged)) or failed
                    built = _reread(built)
                    imaged = None if imaged is None else _reread_image(imaged)
                if as_json:
                    outcomes.append(_machine(built, artefact, imaged))
                common.annotate(ordered.name, built.manifest.findings)
                if built.function is not None:
                    common.annotate(f"{ordered.name}-function", built.function.manifest.findings)
    finally:
        progress.close()
    if as_json:
        click.echo(machine.render(outcomes))
    return 1 if failed else 0


def _proofs() -> ModuleType:
    """The command that proves, which a build alone does not pay for."""
    from lamina.cli import prove

    return prove


def _passes(
    links: tuple[str, ...],
    store: Store,
    fetch: Fetch,
    progress: Progress,
    ordered: Order,
    *made: manifests.Manifest,
    offline: bool,
    show: bool,
    again: bool,
) -> bool:
    """Whether all proofs of an order pass; they run ``again`` if asked, or not known to have passed on what was made.

    What is ``made`` must tell of its proofs as well.
    """
    proven = _proven(ordered, store, *made)
    if not again and proven.known() and all(one.proofs for one in made):
        return True
    from lamina.prove.session import Means

    indexes = partial(common.indexes_of, ordered.project, ordered.recipe, links)
    means = Means(store, fetch, indexes, os.environ, progress, offline)
    passed: bool = _proofs().prove(ordered, means, show=show).passed
    if passed:
        proven.remember()
    return passed


def _run(built: Built, imaged: Imaged | None) -> list[manifests.Manifest]:
    """The manifests of what proofs run: a function without events is not called."""
    function = built.order.recipe.function
    called = function is not None and function.events
    functions = [built.function.manifest] if built.function is not None and called else []
    return [built.manifest, *functions, *([] if imaged is None else [imaged.manifest])]


def _proven(ordered: Order, store: Store, *made: manifests.Manifest) -> Proven:
    """What is known of proofs on the artefacts of these manifests."""
    from lamina.prove.proven import Proven

    return Proven(ordered, (one.sha256 for one in made), store)


def _reread_image(imaged: Imaged) -> Imaged:
    """The outcome with the image's manifest as it stands now, proofs and all."""
    order = imaged.order
    manifest = manifests.read(order.project.output / f"{order.name}.oci.json")
    return imaged._replace(manifest=manifest or imaged.manifest)


def _reread(built: Built) -> Built:
    """The outcome with the manifests as they stand now, proofs and all."""
    output, name = built.order.project.output, built.order.name
    manifest = manifests.read(output / f"{name}.json") or built.manifest
    function = built.function
    if function is not None:
        function = function._replace(manifest=manifests.read(output / f"{name}-function.json") or function.manifest)
    return built._replace(manifest=manifest, function=function)


def _images() -> ModuleType:
    """The command that makes images, which a build of layers does not pay for."""
    from lamina.cli import image

    return image


def _imaged(
    ordered: Order, store: Store, fetch: Fetch, progress: Progress, *, offline: bool, show: bool
) -> Imaged | None:
    """The image of an order, where the recipe's artefacts name one."""
    if "image" not in ordered.recipe.artefacts:
        return None
    images = _images()
    imaged: Imaged = images.build(ordered, images.means_of(store, fetch, progress, offline=offline))
    if show:
        images.show(imaged)
    return imaged


def _machine_image(imaged: Imaged) -> machine.Build:
    """An image alone."""
    told = _images().machined(imaged)
    return machine.Build(told.artefact, told.warm, told.notes, told.manifest)


def _machine(built: Built, artefact: str | None, imaged: Imaged | None) -> machine.Build:
    function = None
    if built.function is not None:
        function = machine.FunctionBuild(_shown(built), built.function.manifest, built.function.withheld)
    image = None if imaged is None else _images().machined(imaged)
    return machine.Build(artefact, built.warm, built.notes, built.manifest, built.savings, function, image)


def _shown(built: Built) -> str | None:
    """The path of the function as messages show it."""
    if built.function is None or built.function.artefact is None:
        return None
    return built.order.project.shown(built.function.artefact)


def _print(built: Built, artefact: str | None) -> None:
    for line in build_lines(built.manifest, artefact, warm=built.warm, notes=built.notes, paint=common.paint):
        click.echo(line)
    if any(finding.code == "over-budget" for finding in built.manifest.findings):
        savings = saving_lines(built.savings) if built.savings else ()
        offer = image_offer(built.manifest, quotas())
        for line in (*package_table(built.manifest.packages), *savings, *offer):
            click.echo(line)
    if artefact is not None:
        shown = Path(artefact).as_posix()
        for line in publish_lines(built.manifest, shown, built.order.recipe.description, quotas()):
            click.echo(line)
    if built.function is not None:
        _print_function(built, built.function)


def _print_function(built: Built, made: FunctionBuilt) -> None:
    shown = _shown(built)
    for line in function_lines(made.manifest, shown, withheld=made.withheld, paint=common.paint):
        click.echo(line)
    function = built.order.recipe.function
    if shown is not None and function is not None:
        for line in function_publish_lines(made.manifest, Path(shown).as_posix(), function, quotas()):
            click.echo(line)
