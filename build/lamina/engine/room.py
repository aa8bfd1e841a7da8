"""A container to work in: files go in and come out as tars, programs run one after the other, nothing stays.

Its file system can be written and is thrown away. It ends when lamina ends, however that happens: what keeps it is the
connection to its first program, which waits for the end of its input.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lamina.engine import base
from lamina.engine.connect import connect_with
from lamina.engine.contained import Contained, Container
from lamina.engine.model import FailedToEnterError
from lamina.engine.probe import PROBE
from lamina.errors import MissingToolError
from lamina.progress import SILENT
from lamina.tarformat import stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lamina.engine.engine import Engine
    from lamina.engine.images import Image
    from lamina.engine.model import Outcome
    from lamina.engine.probe import About
    from lamina.progress import Progress
    from lamina.tarformat import File
    from lamina.target import Target

_WAIT = "import sys; sys.stdin.buffer.read()"
_SLOWEST_START = 120.0
_PATH = "/var/lang/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def contain() -> str:
    """The program that runs others inside a container and carries their streams."""
    return Path(__file__).with_name("inside").joinpath("contain.py").read_text(encoding="utf-8")


class Room:
    """A container of a target's base image; made by :func:`open_room`. To be closed, or used as a context."""

    def __init__(self, engine: Engine, image: Image, target: Target, *, network: bool = False) -> None:
        self._engine, self.image, self._target = engine, image, target
        self._interpreter = target.runtime.interpreter
        self._label = secrets.token_hex(8)
        command = [self._interpreter, "-I", "-S", "-c", _WAIT]
        try:
            self._id, self._stream = engine.open(image.id, command, self._label, network=network)
            self.about: About = self._ask()
        except MissingToolError as error:
            self.close()
            if (bare := base.bare(image.reference, target, error)) is not None:
                raise bare from error
            raise
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: str = "/",
        stdin: bytes = b"",
        ports: Sequence[int] = (),
        seconds: float | None = None,
    ) -> Outcome:
        """Run a program to its end, as root, and tell what came of it.

        ``ports`` are those of this machine's loopback that it may connect to, at the same number, network or not.

        Raises:
            MissingToolError: the engine does not run it.
        """
        order: dict[str, Any] = {
            "command": list(command),
            "environment": {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(environment or {})},
            "folder": folder,
            "ports": list(ports),
            "memory": None,
            "seconds": seconds,
        }
        try:
            stream = self._engine.execute(self._id, [self._interpreter, "-I", "-S", "-B", "-c", contain()], {})
            running = Contained(Container(stream, _nothing, _nothing), order, stdin, ports, seconds)
        except FailedToEnterError as error:
            raise MissingToolError(
                f"{self.image.reference}: nothing can be run in it: {error}",
                hint=f"Run that image by hand to see why, or name another one in {base.OVERRIDE}.",
            ) from error
        try:
            while (outcome := running.wait(1.0)) is None:
                pass
        except BaseException:
            running.stop()
            raise
        return outcome

    def python(self, *arguments: str, **more: Any) -> Outcome:  # noqa: ANN401 - those of run
        """Run the image's own interpreter, as :meth:`run`."""
        return self.run([self._interpreter, *arguments], **more)

    def put(self, folder: str, files: Iterable[File]) -> None:
        """Put files, and the folders above them, into a folder that is there; all in memory at once.

        Raises:
            MissingToolError: the engine refuses.
        """
        self._engine.put(self._id, folder, b"".join(stream(files)))

    def get(self, path: str) -> Iterator[bytes]:
        """A file or folder as a tar, in pieces; hostile, as all that an image holds.

        Raises:
            FileNotFoundError: it is not there.
            MissingToolError: the engine refuses.
        """
        return self._engine.get(self._id, path)

    def close(self) -> None:
        """Remove the container."""
        with contextlib.suppress(AttributeError, OSError):
            self._stream.close()
        self._engine.remove_all(self._label)
        self._engine.close()

    def _ask(self) -> About:
        name = self.image.reference
        return base.about(name, self._target, self.python("-I", "-c", PROBE, seconds=_SLOWEST_START))


def open_room(
    name: str,
    target: Target,
    environment: Mapping[str, str],
    *,
    network: bool = False,
    offline: bool = False,
    progress: Progress = SILENT,
) -> Room:
    """Start a container of the image ``name``, which :func:`lamina.engine.base.runnable` gives.

    Raises:
        MissingToolError: there is no engine, or it has no such image, or does not run it.
        UsageError: the image is not one of the target.
    """
    engine, image = connect_with(name, target, environment, offline=offline, progress=progress)
    progress.stage(f"starting a container of {name}")
    return Room(engine, image, target, network=network)


def _nothing() -> None:
    """The room itself outlives what runs in it."""
