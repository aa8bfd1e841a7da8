"""The image of one order: base, dependencies, function; judged, then written as an archive with its manifest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

import lamina
from lamina import tarformat as tars
from lamina.audit.budget import check_image
from lamina.audit.runtime import check_runtime
from lamina.bytecode.compilers import compiler_for
from lamina.emit import manifest as manifests
from lamina.engine.base import reference
from lamina.errors import IntegrityError
from lamina.files import beside, put
from lamina.findings import Finding, fails
from lamina.function.pack import Pack, pack
from lamina.image import base as bases
from lamina.image import config as configs
from lamina.image import layers
from lamina.image.archive import Composed, compose, docker_files, oci_files
from lamina.image.judge import accepted, found_in
from lamina.image.labels import labels
from lamina.image.origin import origin
from lamina.oci.model import Image
from lamina.part.library import Fetch
from lamina.plan import Plan
from lamina.planner import Bytecode, Planner
from lamina.progress import Progress
from lamina.project import Order
from lamina.runtimes import quotas
from lamina.store import Store
from lamina.taken import Take
from lamina.target import is_aws_base

Format = Literal["oci", "docker"]


class Built(NamedTuple):
    """The outcome of one order. ``artefact`` is ``None`` where an error finding forbade one.

    ``image`` is what was composed, to be pushed or loaded.
    """

    order: Order
    manifest: manifests.Manifest
    artefact: Path | None
    image: Composed
    warm: bool
    notes: tuple[str, ...]

    @property
    def tag(self) -> str:
        """What an engine knows the image by."""
        return tag(self.order)


class Means(NamedTuple):
    """What making an image needs of the world. ``base`` is what the command line names instead of the recipe."""

    store: Store
    fetch: Fetch
    env: Mapping[str, str]
    today: dt.date
    progress: Progress
    offline: bool = False
    base: str | None = None
    format: Format = "oci"
    take: Take | None = None


class _Parts(NamedTuple):
    """What one image is made of. ``stated`` is the base's configuration, ``plan`` that of the dependencies.

    ``size`` is that of all its layers before compression, in bytes.
    """

    base: Image
    base_name: str
    stated: Mapping[str, Any]
    plan: Plan
    layers: tuple[tuple[layers.Made, str], ...]
    size: int


def build(order: Order, means: Means) -> Built:
    """Build the image of one order into its project's output folder.

    With an error finding no archive is left, a stale one of the same name goes, and the manifest stays as the report.

    Raises:
        IndexAccessError, IntegrityError, UnsafeWheelError: a wheel or the base could not be had or must not be used.
        MissingToolError: the base is in an engine, and none answers.
        UsageError: the base does not fit the target, or the function's sources cannot be packed.
    """
    function, store, target = order.recipe.function, means.store, order.target
    packed = None if function is None else pack(order.project.root, function.source, quotas().image)
    name = _base(order, means)
    base = bases.open_base(name, target, store=store, env=means.env, offline=means.offline, progress=means.progress)
    compiler = Bytecode(partial(compiler_for, order, means.env, offline=means.offline, progress=means.progress))
    planner = Planner(order, store, means.fetch, means.progress, means.take, compiler)
    plan = planner.recall() or planner.make()
    stated = configs.read(b"".join(base.blob(base.manifest.config)), base.name, len(base.manifest.layers), target)
    about = bases.facts(base, store, target, means.progress)
    found = found_in(planner, function, packed, base.digest, lambda: about.artefact)

    def attempt(made: tuple[tuple[layers.Made, str], ...]) -> Built:
        size = about.unpacked + sum(layer.unpacked for layer, _ in made)
        parts = _Parts(base, name, stated, plan, made, size)
        return _emit(order, means, parts, _judge(order, means, parts, (*about.artefact.findings, *found)))

    made = _layers(planner, plan, packed)
    try:
        built = attempt(made)
    except IntegrityError:
        damaged = [layer for layer, _ in made if not layer.is_sound()]
        if not damaged:
            raise
        means.progress.stage("the store was damaged: making its layers again")
        for layer in damaged:
            layer.forget()
        built = attempt(_layers(planner, plan, packed))
    return built._replace(warm=planner.warm)


def stem(order: Order, form: Format) -> str:
    """The stem of what is emitted: ``sklearn-cp311-manylinux2014_x86_64.oci``."""
    return f"{order.name}.{form}"


def tag(order: Order) -> str:
    """What an engine knows the image by: ``sklearn:cp311-manylinux2014_x86_64``."""
    return f"{order.recipe.name}:{order.target.name}"


def _base(order: Order, means: Means) -> str:
    """The base's reference: the command line's, the recipe's, LAMINA_BASE_IMAGE's, or AWS's own."""
    stated = order.recipe.base
    own = None if stated is None else bases.below(stated, order.project.root)
    return reference(means.base or own, order.target, means.env)


def _layers(planner: Planner, plan: Plan, packed: Pack | None) -> tuple[tuple[layers.Made, str], ...]:
    made = [(layers.dependencies(planner, plan), "dependencies")]
    if packed is not None:
        made.append((layers.function(packed, planner.store), "function"))
    return tuple(made)


def _judge(order: Order, means: Means, parts: _Parts, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What is accepted is marked; above Lambda's own limit nobody can accept anything.

    The support of a runtime ends for AWS's image of it as well; another base has its own makers.
    """
    runtime = check_runtime(order.target, means.today) if is_aws_base(bases.public_name(parts.base_name)) else ()
    over = check_image(f"{stem(order, means.format)}.tar", parts.size, quotas())
    return (*accepted([*found, *runtime], order.recipe.accept), *over)


def _emit(order: Order, means: Means, parts: _Parts, findings: tuple[Finding, ...]) -> Built:
    """Write the archive, and its manifest beside it."""
    composed = _composed(order, means, parts)
    output, name = order.project.output, stem(order, means.format)
    artefact, report = output / f"{name}.tar", output / f"{name}.json"
    output.mkdir(parents=True, exist_ok=True)
    files = oci_files(composed) if means.format == "oci" else docker_files(composed, tag(order))
    earlier = manifests.read(report)
    if fails(findings):
        report.unlink(missing_ok=True)
        artefact.unlink(missing_ok=True)
        written = None
    else:
        means.progress.stage(f"writing {artefact.name}")
        with beside(artefact) as unfinished:
            with unfinished.open("wb") as out:
                written = tars.write(files, out)
            # While a manifest stands, what it describes is complete.
            report.unlink(missing_ok=True)
    manifest = _described(order, means, parts, composed, findings, written)
    if earlier is not None and earlier.sha256 and earlier.sha256 == manifest.sha256:
        manifest = msgspec.structs.replace(manifest, proofs=earlier.proofs)
    put(report, manifests.render(manifest))
    notes = [*parts.plan.notes]
    if order.recipe.function is None:
        notes.append("the recipe has no [function]: the image has its dependencies, and the command of its base")
    return Built(order, manifest, artefact if written else None, composed, warm=False, notes=tuple(notes))


def _composed(order: Order, means: Means, parts: _Parts) -> Composed:
    """Base and layers as one image."""
    licences = parts.layers[0][0].licences
    public = bases.public_name(parts.base_name)
    said = labels(order.recipe, origin(order.project.root), licences, parts.base, public)
    added = [configs.Added(made.layer.diff_id, f"{what} of {order.recipe.name}") for made, what in parts.layers]
    config = configs.make(parts.stated, added, order.recipe.function, said)
    return compose(parts.base, [made.layer for made, _ in parts.layers], config, said, docker=means.format == "docker")


def _described(
    order: Order,
    means: Means,
    parts: _Parts,
    composed: Composed,
    findings: tuple[Finding, ...],
    written: tars.Written | None,
) -> manifests.Manifest:
    """The manifest of what was written, or of what an error forbade."""
    what = ["base"] * len(parts.base.manifest.layers) + [name for _, name in parts.layers]
    diff_ids = [*parts.stated["rootfs"]["diff_ids"], *(made.layer.diff_id for made, _ in parts.layers)]
    rows = zip((blob.descriptor for blob in composed.layers), diff_ids, what, strict=True)
    return manifests.Manifest(
        name=order.recipe.name,
        target=order.target.name,
        runtime=order.target.runtime.name,
        architecture=order.target.lambda_architecture,
        sha256=written.sha256 if written else None,
        code_sha256=composed.digest.removeprefix("sha256:") if written else None,
        zipped_bytes=written.size if written else 0,
        unzipped_bytes=parts.size,
        entries=sum(made.files for made, _ in parts.layers),
        packages=parts.plan.packages,
        bytecode=msgspec.UNSET if parts.plan.bytecode is None else parts.plan.bytecode,
        findings=findings,
        recipe_sha256=manifests.text_sha256(order.project.recipe_path),
        lock_sha256=manifests.text_sha256(order.lock_path),
        lamina_version=lamina.__version__,
        image=manifests.ImageFacts(
            composed.digest,
            means.format,
            bases.public_name(parts.base_name),
            parts.base.digest,
            tuple(manifests.ImageLayer(one.digest, diff_id, one.size, kind) for one, diff_id, kind in rows),
        ),
    )
