"""An image that was emitted, in an engine for as long as it is proven: ``docker load`` without a name of the user's."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from lamina import tarformat as tars
from lamina.engine.guard import guarded
from lamina.errors import UsageError
from lamina.image.archive import Composed, docker_files
from lamina.oci.parts import of_image
from lamina.prove.model import Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina.engine.engine import Engine
    from lamina.engine.images import Image
    from lamina.oci.model import Image as Stored
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


@contextlib.contextmanager
def loaded(engine: Engine, image: Stored, label: str, environment: Mapping[str, str]) -> Iterator[Image]:
    """Have the engine hold an image; at the end it is removed, unless it was there before.

    Its ``reference`` and ``digest`` are those of ``image``, whatever the engine makes of them. ``environment`` leads to
    the same engine: where this process is killed, another one removes the image, and the containers whose labels begin
    with ``label``.

    Raises:
        IntegrityError: a blob is not what its digest says.
        MissingToolError: the engine refuses it.
    """
    name = f"{REPOSITORY}:{label}"
    with guarded(name, environment) as tell:
        try:
            found = engine.images.hold(image.manifest.config.digest, name)
            if found is None:
                engine.load(saved(image, name))
                found = engine.images.named(name)
                tell(found.id)
            yield found._replace(reference=image.name, digest=image.digest)
        finally:
            engine.images.release(name)


def saved(image: Stored, tag: str) -> Iterator[bytes]:
    """An image as ``docker save`` writes it, in pieces: engines before Docker 25 load no OCI layout."""
    manifest = image.manifest
    layers = tuple(of_image(image, layer) for layer in manifest.layers)
    composed = Composed(b"", manifest.media_type, of_image(image, manifest.config), layers)
    return tars.stream(docker_files(composed, tag))


def shipped_in(sandbox: Sandbox) -> list[str]:
    """The paths of all that an image has in ``/opt/python``, relative to ``/opt``.

    Raises:
        UsageError: its interpreter does not list them.
    """
    outcome = sandbox.start(Job(("-c", _LIST), seconds=_SLOWEST_LIST)).wait()
    try:
        return [str(path) for path in json.loads(b"" if outcome is None else outcome.stdout)]
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            "the image's Python does not list what stands in /opt/python", hint="Run the image by hand to see why."
        ) from error
