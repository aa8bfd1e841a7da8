"""``lamina image``."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from lamina.cli import common
from lamina.errors import UsageError
from lamina.project import Order, Project, order
from lamina.recipe import Recipe
from lamina.target import Target

if TYPE_CHECKING:
    from lamina.image.build import Built, Format, Means
    from lamina.part.library import Fetch
    from lamina.progress import Progress
    from lamina.report.machine import ImageBuild
    from lamina.store import Store


@click.command(
    epilog="""\b
Examples:
  lamina image sklearn
  lamina image sklearn --target cp311-manylinux2014_x86_64 --base oci-archive:base.tar
  lamina image sklearn --push registry.example/models/sklearn:2026-11
  lamina image sklearn --load
  lamina image sklearn --format docker --output images"""
)
@common.recipes_argument
@common.all_option
@common.target_option
@click.option(
    "--base",
    metavar="IMAGE",
    help="Instead of the recipe's base: a reference, oci:FOLDER, oci-archive:FILE, docker-archive:FILE, "
    "docker-daemon:NAME:TAG.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["oci", "docker"]),
    default="oci",
    help="An OCI archive, or Docker's own: what docker load takes, pushed as schema 2.",
)
@click.option("--load", "loading", is_flag=True, help="Hand the image to the running engine, as NAME:TARGET.")
@click.option("--push", "repository", metavar="REF", help="Bring it into a registry, as NAME[:TAG]; one target.")
@common.offline_option
@common.links_option
@click.option("--output", type=click.Path(file_okay=False), metavar="FOLDER", help="Instead of dist/ of the project.")
@common.json_option
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(  # noqa: PLR0913, PLR0917 - one argument an option
    recipes: tuple[str, ...],
    wanted: tuple[str, ...],
    base: str | None,
    form: Format,
    repository: str | None,
    links: tuple[str, ...],
    output: str | None,
    *,
    everything: bool,
    loading: bool,
    offline: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Build container images of recipes: a base, their dependencies, their function, each a layer of its own.

    Leaves <name>-<target>.oci.tar in dist/, with its manifest (.oci.json); no engine is needed. The base is the
    recipe's, LAMINA_BASE_IMAGE's or AWS's own. A base named without the host of a registry, as base:1, is a running
    engine's image of that name, as for docker run, and Docker Hub's where no engine has one. A finding that is an
    error leaves no archive, only the manifest as the report, and exit code 1.
    """
    from lamina.report import machine

    if offline and repository is not None:
        raise UsageError("--offline and --push exclude each other", hint="Give one of the two.")
    store = common.open_store()
    progress = common.TerminalProgress(quiet=quiet)
    failed = False
    outcomes = []
    try:
        rows = common.chosen(recipes, wanted, store, everything=everything, output=output)
        _check_one(repository, rows)
        for project, recipe, targets in rows:
            workshop = common.workshop(project, recipe, links, store, progress, offline=offline)
            fetch = workshop.fetch(common.fetcher(project, recipe, links, store, progress, offline=offline))
            means = means_of(store, fetch, progress, offline=offline)._replace(base=base, format=form)
            for target in targets:
                built = build(workshop.fulfil(order(project, recipe, target)), means)
                handed = _hand_over(built, repository, progress, loading=loading)
                failed = failed or built.artefact is None
                outcomes.append(machined(built, handed))
                if not as_json:
                    show(built, handed)
    finally:
        progress.close()
    if as_json:
        click.echo(machine.render(outcomes))
    return 1 if failed else 0


def _check_one(repository: str | None, rows: Sequence[tuple[Project, Recipe, Sequence[Target]]]) -> None:
    """Refuse to push several images under one name, before anything is made."""
    count = sum(len(targets) for _, _, targets in rows)
    if repository is not None:
        from lamina.oci.references import parse

        parse(repository)
        if count > 1:
            raise UsageError(
                f"--push {repository}: {count} images would have this name",
                hint="Name one recipe and, by --target, one of its targets; push each under a name of its own.",
            )


def means_of(store: Store, fetch: Fetch, progress: Progress, *, offline: bool) -> Means:
    """What making an image needs of this machine."""
    from lamina.image.build import Means

    take = common.taker(store, progress, offline=offline)
    return Means(store, fetch, os.environ, dt.datetime.now(dt.UTC).date(), progress, offline, take=take)


def build(ordered: Order, means: Means) -> Built:
    """Make the image of one order."""
    from lamina.image.build import build as build_image

    built = build_image(ordered, means)
    common.annotate(f"{ordered.name}-image", built.manifest.findings)
    return built


class Handed(NamedTuple):
    """Where an image went: the name it has in an engine, and that in a registry, with what was sent there in bytes."""

    loaded: str = ""
    pushed: str = ""
    sent: int = 0


def _hand_over(built: Built, repository: str | None, progress: Progress, *, loading: bool) -> Handed:
    handed = Handed()
    if built.artefact is None:
        return handed
    if loading:
        from lamina.image.load import load

        load(built, os.environ, progress)
        handed = handed._replace(loaded=built.tag)
    if repository is not None:
        from lamina.oci.push import push

        progress.stage(f"pushing to {repository}")
        image = built.image
        blobs = (image.config, *image.layers)
        result = push(repository, image.manifest, image.media_type, blobs, os.environ, progress=progress)
        handed = handed._replace(pushed=repository, sent=sum(blob.size for blob in result.sent))
    return handed


def machined(built: Built, handed: Handed = Handed()) -> ImageBuild:  # noqa: B008 - a value
    """The outcome as ``--json`` tells it."""
    from lamina.report.machine import ImageBuild

    return ImageBuild(_shown(built), built.warm, built.notes, built.manifest, *handed)


def show(built: Built, handed: Handed = Handed()) -> None:  # noqa: B008 - a value
    """Print the outcome."""
    from lamina.report.image import image_lines, image_publish_lines

    shown = _shown(built)
    for line in image_lines(built.manifest, shown, warm=built.warm, notes=built.notes, paint=common.paint):
        click.echo(line)
    if handed.loaded:
        click.echo(f"  loaded as {handed.loaded}")
    if handed.pushed:
        click.echo(f"  pushed as {handed.pushed}: {handed.sent:,} bytes of its blobs were not there yet")
    if shown is not None:
        for line in image_publish_lines(built.manifest, Path(shown).as_posix(), built.order.recipe.function):
            click.echo(line)


def _shown(built: Built) -> str | None:
    return None if built.artefact is None else built.order.project.shown(built.artefact)
