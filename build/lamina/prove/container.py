"""The sandbox of a container engine: jobs in the target's base image, or in one that was emitted, each in a container.

Layer and function stand read-only at ``/opt`` and ``/var/task``, those of an emitted image being its own; the
interpreter and what the runtime has beside it are the image's. There is no network; ports that a job may reach are
carried through the container's own stream.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from lamina.engine import base, room
from lamina.engine.connect import connect_with
from lamina.engine.contained import Contained
from lamina.engine.engine import Engine, Run
from lamina.engine.model import FailedToEnterError
from lamina.engine.probe import PROBE
from lamina.errors import MissingToolError, UsageError
from lamina.progress import SILENT
from lamina.prove import machine, places
from lamina.prove.model import Job, Stage, Where
from lamina.prove.sandbox import TMP_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lamina.engine.images import Image
    from lamina.progress import Progress
    from lamina.target import Target

_INSIDE = Path(__file__).with_name("inside")
#: The user that functions run as, as in the sandbox of this machine.
_UID, _GID = 993, 990
_SLOWEST_START = 120.0
_READABLE = 0o005

#: What else there is to know of an image, as a line below that of the probe.
_ASK = """
import importlib.util, os, platform
folders = [f"/{name}/{platform.machine()}-linux-gnu" for name in ("lib", "usr/lib")]
print(json.dumps({
    "runtime": all(importlib.util.find_spec(name) for name in ("awslambdaric", "boto3")),
    "folders": [folder for folder in folders if os.path.isdir(folder)],
}))
"""


class _Told(NamedTuple):
    """What an image is: where proofs in it ran, whether it has Lambda's runtime, where it keeps its libraries."""

    where: Where
    runtime: bool
    folders: tuple[str, ...]


class ContainerSandbox:
    """Where jobs run in containers; made by :func:`open_container`. To be closed, or used as a context."""

    def __init__(
        self,
        engine: Engine,
        image: Image,
        target: Target,
        stage: Stage,
        *,
        tmp: int,
        label: str,
        network: bool,
    ) -> None:
        self._engine, self._image, self._target, self._tmp, self._network = engine, image, target, tmp, network
        self._label = "-".join(filter(None, (label, secrets.token_hex(8))))
        self._running: list[Contained] = []
        python = target.runtime.python
        self._places = places.lambdas(python, beside=True)
        self._binds = {"/opt": stage.opt, "/var/task": stage.task}
        self._where: Where | None = None
        self._environment: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def where(self) -> Where:
        """What this place is."""
        if self._where is None:
            raise AssertionError
        return self._where

    def start(self, job: Job) -> Contained:
        """Start a job; its working folder is the function's, ``/tmp`` is its own, and layer and function read-only.

        Raises:
            MissingToolError: the engine does not run it.
        """
        try:
            return self._start(job)
        except FailedToEnterError as error:
            raise MissingToolError(
                f"{self._image.reference}: no job can be run in it: {error}",
                hint="Run that image by hand to see why, or name another one in LAMINA_BASE_IMAGE.",
            ) from error

    def close(self) -> None:
        """End what still runs and remove what was made."""
        try:
            for running in self._running:
                running.stop()
        finally:
            self._running.clear()
            self._engine.remove_all(self._label)
            self._engine.close()

    def furnish(self, standin: Callable[[], Path]) -> None:
        """Learn what the image is, and give it the stand-in where it lacks Lambda's runtime.

        Raises:
            UsageError: its interpreter is missing, or another than the target's.
            MissingToolError: the engine does not run it.
        """
        told = self._ask()
        if not told.runtime:
            self._binds["/var/runtime"] = standin()
        runtime = self._target.runtime
        # Lambda's own system folders are those of its image; another system's are added where it keeps its libraries.
        folders = (*told.folders, *runtime.system_folders)
        self._environment = places.environment(runtime, self._places, folders)
        self._where = told.where

    def _start(self, job: Job) -> Contained:
        runtime = self._target.runtime
        binds = {place: str(source) for place, source in self._binds.items() if source is not None}
        program = room.contain()
        start = (_INSIDE / "start.py").read_text(encoding="utf-8")
        layout = json.dumps(self._places.layout(runtime.python))
        command = [runtime.interpreter, "-I", "-S", "-B", "-c", program]
        order: dict[str, Any] = {
            "command": [runtime.interpreter, "-s", "-S", "-B", "-c", start, layout, *job.arguments],
            "environment": {**self._environment, **job.environment},
            "folder": self._places.task,
            "ports": list(job.reach),
            "memory": job.memory,
            "seconds": job.seconds,
        }
        container = self._engine.create(
            Run(self._image.id, command, _user(binds.values()), binds, self._tmp, self._label, self._network)
        )
        running = Contained(container, order, job.stdin, job.reach, job.seconds)
        self._running = [one for one in self._running if one.wait(0) is None]
        self._running.append(running)
        return running

    def _ask(self) -> _Told:
        name, target = self._image.reference, self._target
        try:
            outcome = self._start(Job(("-c", PROBE + _ASK), seconds=_SLOWEST_START)).wait()
        except FailedToEnterError as error:
            raise UsageError(f"{base.needed(name, target)}: {error}", hint=base.hint(target)) from error
        except MissingToolError as error:
            if (bare := base.bare(name, target, error)) is not None:
                raise bare from error
            raise
        if outcome is None:
            raise AssertionError
        first, _, second = outcome.stdout.partition(b"\n")
        about = base.about(name, target, outcome._replace(stdout=first))
        how = f"container {name}@{self._image.digest}{', with a network' if self._network else ''}"
        try:
            more = json.loads(second)
            runtime, folders = bool(more["runtime"]), tuple(map(str, more["folders"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise base.silent(name, target, outcome) from None
        return _Told(machine.where_of(about, isolated=not self._network, how=how), runtime, folders)


def open_container(  # noqa: PLR0913 - what a container needs of the edge
    stage: Stage,
    target: Target,
    image: str,
    environment: Mapping[str, str],
    standin: Callable[[], Path],
    *,
    offline: bool = False,
    progress: Progress = SILENT,
    tmp: int = TMP_BYTES,
    network: bool = False,
) -> ContainerSandbox:
    """Make a sandbox of containers of ``image``; ``stage`` says what stands in them, its interpreter is not used.

    ``standin`` gives the stand-in for Lambda's runtime, and is called only where the image has none. ``tmp`` is the
    size of ``/tmp`` in bytes. With ``network`` jobs have the one that the engine gives.

    Raises:
        MissingToolError: there is no engine, or it has no such image, or does not run it.
        UsageError: the image is not one of the target.
    """
    engine, found = connect_with(image, target, environment, offline=offline, progress=progress)
    return open_image(stage, target, engine, found, standin, tmp=tmp, network=network)


def open_image(
    stage: Stage,
    target: Target,
    engine: Engine,
    image: Image,
    standin: Callable[[], Path],
    *,
    tmp: int = TMP_BYTES,
    label: str = "",
    network: bool = False,
) -> ContainerSandbox:
    """The same of an image that the engine has; where ``stage`` names no folder, its own stands there.

    The labels of its containers begin with ``label``. The engine is closed with the sandbox.

    Raises:
        MissingToolError: the engine does not run it.
        UsageError: the image is not one of the target.
    """
    sandbox = ContainerSandbox(engine, image, target, stage, tmp=tmp, label=label, network=network)
    try:
        sandbox.furnish(standin)
    except BaseException:
        sandbox.close()
        raise
    return sandbox


def _user(folders: Iterable[str]) -> str:
    """Lambda's user, or the owner of a folder that others may not read."""
    for folder in folders:
        facts = Path(folder).stat()
        if facts.st_mode & _READABLE != _READABLE:
            return f"{facts.st_uid}:{facts.st_gid}"
    return f"{_UID}:{_GID}"
