"""A container engine, Docker's or Podman's, through its API: asked for an image, told to run programs in containers.

What is here needs the ``docker`` SDK, an extra of lamina, which is imported when an engine is looked for.
"""

from __future__ import annotations

import contextlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from lamina.engine.attached import Attached, told
from lamina.engine.contained import Container
from lamina.engine.images import Images
from lamina.errors import MissingToolError
from lamina.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lamina.engine.contained import Stream
    from lamina.engine.images import Image
    from lamina.progress import Progress
    from lamina.target import Target

#: The label that every container of lamina has; its value names the sandbox or room that it belongs to.
LABEL = "lamina.sandbox"

#: What works without an engine.
ELSEWHERE = (
    "Without an engine work: lamina lock with the builder uv, build, audit, image with a base from a registry or an "
    "archive, and prove without --in, where this machine is Linux."
)
#: Seconds that an engine may take to remove what it is removing.
_REMOVAL = 10
#: Seconds after which a container that was made and never started is nobody's: lamina was killed between the two.
_ABANDONED = 600
#: Seconds that an engine may be silent while it unpacks the layers of an image.
_UNPACKING = 1800
_SPACE = "See whether it has space left, and what its log says; without an engine: lamina image, and skopeo copy."


class Run(NamedTuple):
    """A program in a container: the image's id, the command, who runs it, what it sees, its ``/tmp`` in bytes."""

    image: str
    command: Sequence[str]
    user: str
    binds: Mapping[str, str]
    tmp: int
    label: str
    network: bool = False


class Engine:
    """An engine that answered. To be closed."""

    def __init__(self, client: Any, host: str) -> None:  # noqa: ANN401 - the SDK has no types
        self._client, self.host = client, host
        self.images = Images(client, host)

    def close(self) -> None:
        """Close the connections to it."""
        self._client.close()

    def image(self, reference: str, target: Target, *, offline: bool = False, progress: Progress = SILENT) -> Image:
        """The image of that name for the target's architecture, pulled where the engine does not have it.

        Raises:
            MissingToolError: it is not there and cannot be pulled.
            UsageError: it is for another architecture.
        """
        return self.images.find(reference, target, offline=offline, progress=progress)

    def create(self, run: Run) -> Container:
        """Make a container whose file system is read-only but for ``/tmp``, and attach to it.

        It has a network only where one was asked for. It is not started yet. The engine removes it when it ends.

        Raises:
            MissingToolError: the engine refuses.
        """
        from docker.errors import DockerException
        from docker.types import LogConfig, Mount

        api = self._client.api
        host = api.create_host_config(
            auto_remove=True,
            cap_drop=["ALL"],
            ipc_mode="none",  # no shared memory, as on Lambda
            log_config=LogConfig(type="none"),  # or the engine writes all that passes through to its disk
            mounts=[Mount(place, source, type="bind", read_only=True) for place, source in run.binds.items()],
            network_mode=self.network_mode() if run.network else "none",
            read_only=True,
            security_opt=["no-new-privileges", "label=disable"],  # the latter for SELinux, which hides folders else
            tmpfs={"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={run.tmp}"},  # noqa: S108 - the job's own
        )
        try:
            made = api.create_container(
                run.image,
                entrypoint=list(run.command),
                command=[],
                environment={"LC_ALL": "C.UTF-8"},
                host_config=host,
                labels={LABEL: run.label},
                stdin_open=True,
                user=run.user,
                working_dir="/",
            )["Id"]
            stream = Attached(api.attach_socket(made, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}))
        except (DockerException, OSError) as error:
            raise self._refused(error) from error

        def start() -> None:
            try:
                api.start(made)
            except (DockerException, OSError) as error:
                raise self._refused(error) from error

        return Container(stream, start, lambda: self.remove(made))

    def open(self, image: str, command: Sequence[str], label: str, *, network: bool) -> tuple[str, Stream]:
        """Start a container whose file system can be written, as root; its id, and its attached standard input.

        Whatever ``command`` is, it should end when its standard input does: then nothing outlives lamina. The engine
        removes the container when it ends.

        Raises:
            MissingToolError: the engine refuses.
        """
        from docker.errors import DockerException
        from docker.types import LogConfig

        api = self._client.api
        host = api.create_host_config(
            auto_remove=True,
            log_config=LogConfig(type="none"),
            network_mode=self.network_mode() if network else "none",
            security_opt=["no-new-privileges"],
        )
        try:
            made = api.create_container(
                image,
                entrypoint=list(command),
                command=[],
                host_config=host,
                labels={LABEL: label},
                stdin_open=True,
                user="0:0",
                working_dir="/",
            )["Id"]
        except (DockerException, OSError) as error:
            raise self._refused(error) from error
        try:
            stream = Attached(api.attach_socket(made, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}))
            api.start(made)
        except (DockerException, OSError) as error:
            self.remove(made)
            raise self._refused(error) from error
        return str(made), stream

    def execute(self, container: str, command: Sequence[str], environment: Mapping[str, str]) -> Stream:
        """Start one more program in a container that runs, as root, and return its attached stream.

        Raises:
            MissingToolError: the engine refuses.
        """
        from docker.errors import DockerException

        api = self._client.api
        try:
            made = api.exec_create(container, list(command), stdin=True, environment=dict(environment), user="0:0")
            return Attached(api.exec_start(made["Id"], socket=True))
        except (DockerException, OSError) as error:
            raise self._refused(error) from error

    def put(self, container: str, folder: str, tar: bytes) -> None:
        """Unpack a tar into a folder of a container.

        Raises:
            MissingToolError: the engine refuses, as where there is no such folder.
        """
        from docker.errors import DockerException

        try:
            self._client.api.put_archive(container, folder, tar)
        except (DockerException, OSError) as error:
            raise self._refused(error) from error

    def get(self, container: str, path: str) -> Iterator[bytes]:
        """A file or folder of a container as a tar, in pieces.

        Raises:
            FileNotFoundError: it is not there.
            MissingToolError: the engine refuses.
        """
        from docker.errors import DockerException, NotFound

        try:
            pieces, _ = self._client.api.get_archive(container, path)
            yield from pieces
        except NotFound as error:
            raise FileNotFoundError(path) from error
        except (DockerException, OSError) as error:
            raise self._refused(error) from error

    def load(self, archive: Iterator[bytes]) -> None:
        """Take the images of an archive as ``docker save`` writes it, in pieces.

        Raises:
            MissingToolError: the engine refuses.
        """
        from docker.errors import DockerException

        api = self._client.api
        usual, api.timeout = api.timeout, _UNPACKING
        try:
            for told_so in api.load_image(archive):
                if "error" in told_so:
                    raise MissingToolError(
                        f"the engine at {self.host} does not load the image: {told_so['error']}", hint=_SPACE
                    )
        except (DockerException, OSError) as error:
            raise MissingToolError(
                f"the engine at {self.host} does not load the image: {told(error)}", hint=_SPACE
            ) from error
        finally:
            api.timeout = usual

    def save(self, name: str) -> Iterator[bytes]:
        """An image that the engine has, as an archive, in pieces.

        Raises:
            MissingToolError: the engine refuses.
        """
        from docker.errors import DockerException

        try:
            yield from self._client.api.get_image(name)
        except (DockerException, OSError) as error:
            raise MissingToolError(
                f"the engine at {self.host} does not give {name}: {told(error)}", hint=_SPACE
            ) from error

    def network_mode(self) -> str:
        """The network for what may have one: the engine's usual one, or the machine's where the engine has no other."""
        from docker.errors import DockerException

        try:
            names = {str(network["Name"]) for network in self._client.api.networks()}
        except (DockerException, OSError) as error:
            raise self._refused(error) from error
        return "default" if names - {"host", "none"} else "host"

    def remove_all(self, label: str) -> None:
        """Remove every container of a label, running or not, and those that nobody will ever start.

        A label holds for those that begin with it and a hyphen as well.
        """
        from docker.errors import DockerException

        before = time.time() - _ABANDONED
        ours, abandoned = [], []
        with contextlib.suppress(DockerException, OSError):
            for found in self._client.api.containers(all=True, filters={"label": LABEL}):
                own = str(found["Labels"][LABEL])
                if own == label or own.startswith(f"{label}-"):
                    ours.append(found["Id"])
                elif found["State"] == "created" and found["Created"] < before:
                    abandoned.append(found["Id"])
        for name in (*ours, *abandoned):  # a removal of one may take its time
            self.remove(name)

    def remove(self, name: str) -> None:
        """Remove a container, running or not, with the volumes that its image made it have; it is gone afterwards."""
        from docker.errors import APIError, DockerException

        api = self._client.api
        with contextlib.suppress(DockerException, OSError):  # as where it is gone
            try:
                api.remove_container(name, v=True, force=True)
            except APIError as error:
                if error.status_code == HTTPStatus.CONFLICT:  # the engine is at it, since the container has ended
                    api.wait(name, timeout=_REMOVAL, condition="removed")

    def _refused(self, error: Exception) -> MissingToolError:
        reason = told(error)
        hint = f"Run the engine's own command with the same image to see why. {ELSEWHERE}"
        if "bind source path does not exist" in reason or "mounts denied" in reason.lower():
            hint = (
                "The engine does not see this machine's folders: share the one that is named with it (Docker Desktop: "
                "Settings, Resources, File sharing), or put LAMINA_CACHE where it sees it."
            )
        return MissingToolError(f"the engine at {self.host} does not run a container: {reason}", hint=hint)
