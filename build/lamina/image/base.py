"""The base that an image stands on: found by its reference, and what its files are, told once for each digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

import lamina
from lamina.audit.model import Artefact
from lamina.errors import IndexAccessError, IntegrityError, MissingToolError, UsageError
from lamina.oci.model import Image
from lamina.oci.references import names_registry, place
from lamina.progress import Progress
from lamina.store import Store
from lamina.target import Target

#: Counted up with every change of what is remembered of a base.
_FORMAT = 1
_NO_ENGINE = "No running engine has an image of this name either."


class Facts(NamedTuple):
    """The files of a base as an audit judges them, and the size of its layers before compression, in bytes."""

    artefact: Artefact
    unpacked: int


def facts(image: Image, store: Store, target: Target, progress: Progress) -> Facts:
    """The facts of a base; remembered by its digest, or read from its layers now.

    Raises:
        IndexAccessError, IntegrityError: a layer cannot be had, or is not what the manifest says.
        UsageError: there is no interpreter where the target's runtime has it.
    """
    key = hashlib.sha256(f"base {_FORMAT} {lamina.__version__} {image.digest}".encode()).hexdigest()
    path = store.path("plans", key, ".base")
    content = store.load(path)
    found = None
    if content is not None:
        try:
            found = msgspec.msgpack.decode(content, type=Facts)
        except msgspec.MsgspecError:
            pass
        else:
            store.touch([path])
    if found is None:
        progress.stage(f"reading {image.name}")
        found = _read(image, progress)
        store.save(path, msgspec.msgpack.encode(found))
    interpreter = target.runtime.interpreter
    if not any(item.place == interpreter for item in found.artefact.items):
        python = "{}.{}".format(*target.runtime.python)
        raise UsageError(
            f"{image.name}: {target.name} needs an image with CPython {python} as {interpreter}; this has none",
            hint=f"Name an image in AWS's layout, as {target.base_image} is, or leave the name out.",
        )
    return found


def _read(image: Image, progress: Progress) -> Facts:
    from lamina.artefact.gathered import Gathered, finish
    from lamina.artefact.rootfs import Tree, apply

    gathered, tree = Gathered(image.name), Tree()
    with progress.task("reading the base image", sum(layer.size for layer in image.manifest.layers)) as task:
        for number, layer in enumerate(image.manifest.layers, 1):
            where = f"layer {number} ({layer.digest[:19]})"
            try:
                apply(image.blob(layer), tree, gathered, where, sources=False)
            except IntegrityError as error:
                hint = error.hint or "Save the image again, or fetch it again."
                raise IntegrityError(f"{image.name}: {error.message}", hint=hint) from error
            task.advance(layer.size)
    tree.pour(gathered)
    return Facts(finish(gathered, "image"), tree.unpacked)


def open_base(
    reference: str, target: Target, *, store: Store, env: Mapping[str, str], offline: bool, progress: Progress
) -> Image:
    """The image that a reference names, as skopeo names images.

    A name without the host of a registry, and without a digest, is a running engine's where it has an image of that
    very name, as for ``docker run``; else Docker Hub's. One with a host is the registry's, and the engine's only where
    the registry cannot give it.

    Raises:
        IndexAccessError, IntegrityError: it cannot be had, or is not what its digest says.
        MissingToolError: it is said to be in an engine, and none has it.
        UsageError: the reference is none, or there is no image for the target's architecture.
    """
    where = place(reference)
    if where.kind == "docker-daemon":
        return _engine_image(where.name, target, store, env, progress)
    if where.kind != "registry":
        from lamina.oci.layouts import open_layout

        return open_layout(where.path, target.architecture, store, name=reference, progress=progress)
    from lamina.oci.registry import open_image

    refused: MissingToolError | UsageError | None = None
    if reference == where.name and not names_registry(where.name) and "@" not in where.name:
        try:
            return _engine_image(where.name, target, store, env, progress)
        except (MissingToolError, UsageError) as error:
            refused = error
    try:
        return open_image(where.name, target.architecture, env, store, offline=offline, progress=progress)
    except IndexAccessError as error:
        if reference != where.name:  # docker://, which means a registry
            raise
        if isinstance(refused, UsageError):  # the engine has it, for another architecture
            raise refused from None
        try:
            if refused is None:
                return _engine_image(where.name, target, store, env, progress)
        except MissingToolError as missing:
            refused = missing
        raise IndexAccessError(error.message, hint=f"{error.hint or ''} {_NO_ENGINE}".strip()) from refused


def _engine_image(name: str, target: Target, store: Store, env: Mapping[str, str], progress: Progress) -> Image:
    from lamina.image.daemon import engine_image

    return engine_image(name, target, store=store, env=env, progress=progress)


def below(reference: str, root: Path) -> str:
    """A recipe's reference; one that names a file does so relative to the project's ``root``."""
    where = place(reference)
    return reference if where.kind in {"registry", "docker-daemon"} else f"{where.kind}:{root / where.name}"


def public_name(reference: str) -> str:
    """A reference as an image may state it: empty for one that names a file of this machine."""
    where = place(reference)
    return where.name if where.kind in {"registry", "docker-daemon"} else ""
