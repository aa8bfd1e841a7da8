"""The base that an image stands on: found by its reference, and what its files are, told once for each digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

import lamina
from lamina.audit.model import Artefact
from lamina.errors import IntegrityError, UsageError
from lamina.oci.model import Descriptor, Image, Manifest
from lamina.progress import Progress
from lamina.store import Store
from lamina.target import Target

#: Counted up with every change of what is remembered of a base.
_FORMAT = 1


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
                raise IntegrityError(f"{image.name}: {error.message}", hint=error.hint) from error
            task.advance(layer.size)
    tree.pour(gathered)
    return Facts(finish(gathered, "image"), tree.unpacked)


class _Folder:
    """An OCI layout in a folder."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self.name = path, name
        index = msgspec.json.decode((path / "index.json").read_bytes())
        self.digest = index["manifests"][0]["digest"]
        self.manifest = msgspec.json.decode((path / "blobs/sha256" / self.digest[7:]).read_bytes(), type=Manifest)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        with (self._path / "blobs/sha256" / descriptor.digest[7:]).open("rb") as file:
            while piece := file.read(1024 * 1024):
                yield piece


def open_base(
    reference: str, target: Target, *, store: Store, env: Mapping[str, str], offline: bool, progress: Progress
) -> Image:
    """The image that a reference names, as skopeo would take it."""
    if reference.startswith("docker-daemon:"):
        from lamina.image.daemon import engine_image

        return engine_image(reference.removeprefix("docker-daemon:"), target, store=store, env=env, progress=progress)
    return _Folder(Path(reference.removeprefix("oci:")), reference)


def public_name(reference: str) -> str:
    """A reference as an image may state it: empty for one that names a file of this machine."""
    scheme, colon, rest = reference.partition(":")
    if colon and scheme in {"oci", "oci-archive", "docker-archive"}:
        return ""
    return rest.removeprefix("//") if scheme in {"docker", "docker-daemon"} else reference
