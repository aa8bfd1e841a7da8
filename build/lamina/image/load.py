"""image → running engine: handed over as the archive that ``docker load`` takes, in a stream and under its tag."""

from __future__ import annotations

from collections.abc import Mapping

from lamina import tarformat as tars
from lamina.engine.connect import connect
from lamina.image.archive import docker_files
from lamina.image.build import Built
from lamina.progress import Progress


def load(built: Built, env: Mapping[str, str], progress: Progress) -> None:
    """Hand an image to the engine that answers, which then has it as ``built.tag``.

    Raises:
        MissingToolError: no engine answers, or it refuses.
    """
    engine = connect(env)
    try:
        progress.stage(f"loading {built.tag}")
        engine.load(tars.stream(docker_files(built.image, built.tag)))
    finally:
        engine.close()
