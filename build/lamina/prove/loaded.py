"""An image that was emitted, in an engine for as long as it is proven: ``docker load`` without a name of the user's."""

from __future__ import annotations

import contextlib
import json
import secrets
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from lamina.artefact.images import TarBlobs, find_blob, read_manifest
from lamina.engine.guard import guarded
from lamina.errors import IntegrityError, UsageError
from lamina.prove.model import Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lamina.artefact.images import Blob
    from lamina.engine.engine import Engine
    from lamina.engine.images import Image
    from lamina.prove.model import Sandbox

#: The repository of all names that images have while they are proven; the tag is of one proof alone.
REPOSITORY = "lamina-proof"

_LIST = """
import json, os
print(json.dumps([
    os.path.relpath(os.path.join(folder, name), "/opt") for folder, _, names in os.walk("/opt/python") for name in names
]))
"""
_SLOWEST_LIST = 120.0
_AGAIN = "Build it again: lamina image RECIPE."


class Archive(NamedTuple):
    """An OCI archive that is open: the digest of its manifest, its configuration, and its layers from the lowest up."""

    digest: str
    config: Blob
    layers: tuple[Blob, ...]


def shipped_in(sandbox: Sandbox) -> list[str]:
    """The paths of all that an image has in ``/opt/python``, relative to ``/opt``.

    Raises:
        UsageError: its interpreter does not list them.
    """
    outcome = sandbox.start(Job(("-c", _LIST), seconds=_SLOWEST_LIST)).wait()
    try:
        return [str(path) for path in json.loads(b"" if outcome is None else outcome.stdout)]
    except (ValueError, TypeError) as error:
        raise UsageError(
            "the image's Python does not list what stands in /opt/python", hint="Run the image by hand to see why."
        ) from error


@contextlib.contextmanager
def loaded(engine: Engine, path: Path, environment: Mapping[str, str]) -> Iterator[Image]:
    """The image of an OCI archive in the engine, removed at the end unless it was there before.

    Its ``reference`` is the archive's name and its ``digest`` that of its manifest, whatever the engine makes of them.
    ``environment`` leads to the same engine: where this process is killed, another one removes the image.

    Raises:
        IntegrityError: it is no OCI archive, or damaged.
        MissingToolError: the engine refuses it.
    """
    name = f"{REPOSITORY}:{secrets.token_hex(8)}"
    with path.open("rb") as file, guarded(name, environment):
        archive = opened(TarBlobs(file), path.name)
        try:
            found = engine.images.hold(f"sha256:{archive.config.sha256}", name)
            image = found or engine.images.load(saved(archive, name), name, path.name)
            yield image._replace(reference=path.name, digest=archive.digest)
        finally:
            engine.images.release(name)


def opened(blobs: TarBlobs, name: str) -> Archive:
    """The one image of an archive.

    Raises:
        IntegrityError: there is none, or a blob is not what its digest says.
    """
    try:
        digest, manifest = read_manifest(blobs, name, None)
        config = find_blob(blobs, manifest.config)
        return Archive(digest, config, tuple(find_blob(blobs, layer) for layer in manifest.layers))
    except IntegrityError as error:
        raise IntegrityError(f"{name}: {error.message}", hint=_AGAIN) from error


def saved(archive: Archive, tag: str) -> Iterator[bytes]:
    """The image as ``docker save`` writes it, in pieces: engines before Docker 25 load no OCI layout.

    Source: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format"; layers may be gzip.
    """
    config = f"{archive.config.sha256}.json"
    layers = [f"{layer.sha256}.tar.gz" for layer in archive.layers]
    listed = json.dumps([{"Config": config, "RepoTags": [tag], "Layers": layers}]).encode()
    yield from _file("manifest.json", len(listed), iter((listed,)))
    yield from _file(config, archive.config.size, archive.config.pieces())
    for name, layer in dict(zip(layers, archive.layers, strict=True)).items():
        yield from _file(name, layer.size, layer.pieces())
    yield bytes(2 * tarfile.BLOCKSIZE)


def _file(name: str, size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = size
    yield info.tobuf(tarfile.GNU_FORMAT)
    yield from pieces
    yield bytes(-size % tarfile.BLOCKSIZE)
