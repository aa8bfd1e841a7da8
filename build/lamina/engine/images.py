"""The images of an engine: found by name, pulled, loaded from an archive under a name of their own, removed again."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from lamina.engine.attached import told
from lamina.errors import MissingToolError, UsageError
from lamina.progress import SILENT
from lamina.runtimes import image_architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lamina.progress import Progress
    from lamina.target import Target

#: Seconds for an engine to be done with the last container of an image that is to be removed.
_RELEASED = 10.0


class Image(NamedTuple):
    """An image that the engine has. ``digest`` is its manifest's, or its id where it came from no registry.

    ``entry`` is what it starts, ``environment`` what it sets for that (``NAME=value``), ``folder`` where.
    """

    id: str
    reference: str
    digest: str
    entry: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    folder: str = "/"


class Images:
    """The images of one engine; ``host`` is how messages call it."""

    def __init__(self, client: Any, host: str) -> None:  # noqa: ANN401 - the SDK has no types
        self._client, self._host = client, host

    def find(self, reference: str, target: Target, *, offline: bool = False, progress: Progress = SILENT) -> Image:
        """The image of that name for the target's architecture, pulled where the engine does not have it.

        Raises:
            MissingToolError: it is not there and cannot be pulled.
            UsageError: it is for another architecture.
        """
        from docker.errors import DockerException, ImageNotFound

        wanted = image_architecture(target.architecture)
        try:
            try:
                found = self._client.images.get(reference)
            except ImageNotFound:
                found = None
            if not offline and (found is None or found.attrs.get("Architecture") != wanted):
                progress.stage(f"pulling {reference}")
                try:
                    self._pull(reference, f"linux/{wanted}")
                    found = self._client.images.get(reference)
                except (DockerException, OSError):
                    if found is None:
                        raise
        except (DockerException, OSError) as error:
            raise MissingToolError(
                f"{reference}: the engine at {self._host} does not have this image and cannot pull it: {told(error)}",
                hint="Pull it by hand, or name another one of the same layout as base in the recipe's [image], or in "
                "LAMINA_BASE_IMAGE.",
            ) from error
        if found is None:
            raise MissingToolError(
                f"{reference}: the engine at {self._host} does not have this image, and is not to pull it now",
                hint=f"Pull it once, or load it: docker pull --platform linux/{wanted} {reference}",
            )
        if found.attrs.get("Architecture") != wanted:
            raise UsageError(
                f"{reference}: is an image for {found.attrs.get('Architecture')}; {target.name} needs linux/{wanted}",
                hint=f"Name an image that has it, or pull it: docker pull --platform linux/{wanted} {reference}",
            )
        return _image(found, reference)

    def _pull(self, reference: str, platform: str) -> None:
        _follow(self._client.api.pull(reference, stream=True, decode=True, platform=platform))

    def named(self, name: str) -> Image:
        """The image of a name that was just loaded.

        Raises:
            MissingToolError: the engine does not have it.
        """
        from docker.errors import DockerException

        try:
            return _image(self._client.images.get(name), name)
        except (DockerException, OSError) as error:
            raise MissingToolError(
                f"{name}: the engine at {self._host} does not have what it has just loaded: {told(error)}",
                hint="See what its log says, and whether something else removes images while lamina works.",
            ) from error

    def hold(self, identity: str, name: str) -> Image | None:
        """The image of an id, if the engine has it already, and under one more name if it has any.

        An image without a name is nobody's that would remove it, and would be removed with its last name.
        """
        from docker.errors import DockerException

        try:
            found = self._client.images.get(identity)
            if found.attrs.get("RepoTags"):
                repository, _, tag = name.rpartition(":")
                self._client.api.tag(identity, repository, tag)
        except (DockerException, OSError):
            return None
        return _image(found, name)

    def identity(self, name: str) -> str | None:
        """The id of the image that has this name, if the engine tells of one."""
        from docker.errors import DockerException

        with contextlib.suppress(DockerException, OSError):
            return str(self._client.api.inspect_image(name)["Id"])
        return None

    def drop(self, name: str, identity: str) -> bool:
        """Take a name from an image, and remove the image of that id unless it has another; whether that is done now.

        An engine that makes a container of an image in this moment takes its last name and keeps the image.
        """
        from docker.errors import DockerException, ImageNotFound

        api = self._client.api
        with contextlib.suppress(DockerException, OSError):  # as a container of it that is still there
            with contextlib.suppress(ImageNotFound):
                api.remove_image(name)
            with contextlib.suppress(ImageNotFound):
                if not api.inspect_image(identity).get("RepoTags"):
                    api.remove_image(identity)
            return True
        return False

    def release(self, name: str) -> None:
        """Take a name from an image; with the last one the engine removes it."""
        from docker.errors import APIError, DockerException, ImageNotFound

        until = time.monotonic() + _RELEASED
        with contextlib.suppress(DockerException, OSError):
            while True:
                try:
                    self._client.api.remove_image(name)
                except ImageNotFound:
                    return
                except APIError:  # a container of it is about to be gone
                    if time.monotonic() > until:
                        return
                    time.sleep(0.1)
                else:
                    return


def _follow(progress: Iterable[Mapping[str, str]]) -> None:
    """Take all that an engine says of its work, an error among it."""
    from docker.errors import DockerException

    for line in progress:
        if "error" in line:
            raise DockerException(line["error"])


def _image(found: Any, reference: str) -> Image:  # noqa: ANN401 - the SDK has no types
    digests = [str(name).rpartition("@")[2] for name in found.attrs.get("RepoDigests") or ()]
    config = found.attrs.get("Config") or {}
    return Image(
        str(found.id),
        reference,
        digests[0] if digests else str(found.id),
        (*map(str, config.get("Entrypoint") or ()), *map(str, config.get("Cmd") or ())),
        tuple(map(str, config.get("Env") or ())),
        str(config.get("WorkingDir") or "/"),
    )
