"""Which CPython compiles: this machine's, or that of a target's base image, each told to run the same program."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lamina import interpreters
from lamina.errors import IntegrityError, MissingToolError, UsageError
from lamina.interpreters import Interpreter
from lamina.process import run
from lamina.progress import Progress

if TYPE_CHECKING:
    from lamina.engine.room import Room
    from lamina.project import Order
    from lamina.target import Target

_PROGRAM = Path(__file__).with_name("inside") / "compile_each.py"
_SLOWEST = 300.0  # seconds for one process and all that it is given
#: The largest file of bytecode that is believed of a container.
_MOST_BYTES = 2 << 30
_FOLDER = "lamina-compile"


class Compiler(Protocol):
    """A CPython of the target's minor version. To be closed."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def version(self) -> tuple[int, ...]:
        """Its version; another one, were it the next, can write other bytes."""

    @property
    def processes(self) -> int:
        """How many may run at once."""

    def run(self, sources: Path, results: Path) -> bool:
        """Compile what is in one file into another, which is there and empty; whether it came to its own end."""

    def close(self) -> None:
        """Leave nothing behind."""


class OnHost:
    """An interpreter of this machine, as many at once as there are cores."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.name, self.version = str(interpreter.path), interpreter.version
        self.processes = os.cpu_count() or 1

    def run(self, sources: Path, results: Path) -> bool:
        """Run it in a process.

        Raises:
            KeyboardInterrupt: it was interrupted.
        """
        # -I would have the hash seed ignored; nothing but this speaks to Python, and -S and -s leave no packages.
        clean = {"PYTHONHASHSEED": "0", **{key: os.environ[key] for key in ("SYSTEMROOT",) if key in os.environ}}
        words = [self.name, "-s", "-S", "-B", str(_PROGRAM), str(sources), str(results)]
        try:
            code = run(words, timeout=_SLOWEST, env=clean).code
        except MissingToolError:
            return False
        if code == -signal.SIGINT:  # Ctrl-C reaches it as well; no source is to blame
            raise KeyboardInterrupt
        return code == 0

    def close(self) -> None:
        """Nothing is open."""


class InImage:
    """The interpreter of a target's base image, in a container that starts with the first run.

    What the container hands over is believed as far as its magic number: it is what will run on Lambda.
    """

    processes = 1

    def __init__(
        self, image: str, target: Target, env: Mapping[str, str], *, offline: bool, progress: Progress
    ) -> None:
        """Find the image in an engine, which pulls it where it has not and ``offline`` does not forbid it.

        Raises:
            MissingToolError: no engine answers, or it has no such image.
            UsageError: the image is for another architecture.
        """
        from lamina.engine.connect import connect_with

        engine, _ = connect_with(image, target, env, offline=offline, progress=progress)
        engine.close()
        self.name, self._target, self._env, self._progress = image, target, env, progress

    @cached_property
    def _room(self) -> Room:
        from lamina.engine.room import open_room

        return open_room(self.name, self._target, self._env, offline=True, progress=self._progress)

    @property
    def version(self) -> tuple[int, ...]:
        """As the image's interpreter says."""
        from lamina.engine.probe import version

        return version(self._room.about.python)

    def run(self, sources: Path, results: Path) -> bool:
        """Run it in the container; the files go in and out."""
        from lamina.local.received import receive
        from lamina.tarformat import held

        inside = f"/tmp/{_FOLDER}"  # noqa: S108 - in the container, which nobody shares
        files = {"sources": sources.read_bytes(), "compiled": b""}
        self._room.put("/tmp", [held(f"{_FOLDER}/{name}", content) for name, content in files.items()])  # noqa: S108
        done = self._room.python(
            "-s", "-S", "-B", "-c", _PROGRAM.read_text("utf-8"), f"{inside}/sources", f"{inside}/compiled",
            environment={"PYTHONHASHSEED": "0"}, seconds=_SLOWEST,
        )  # fmt: skip
        try:
            with results.open("wb") as out:
                receive(self._room.get(f"{inside}/compiled"), out, self.name, _MOST_BYTES)
        except (FileNotFoundError, IntegrityError) as error:
            raise MissingToolError(
                f"{self.name}: what its interpreter compiled cannot be had: {error}",
                hint="Install a CPython of that version here: lamina takes it then.",
            ) from error
        return done.ended == "exited" and done.code == 0

    def close(self) -> None:
        """Remove the container."""
        room = self.__dict__.pop("_room", None)
        if room is not None:
            room.close()


def compiler_for(order: Order, env: Mapping[str, str], *, offline: bool, progress: Progress) -> Compiler:
    """The CPython that compiles for an order: of the base image where that builds it, else of this machine.

    Without one here, that of the base image, where an engine has it already: nothing is pulled for bytecode alone.

    Raises:
        MissingToolError: there is none.
    """
    inside = order.recipe.builder.kind == "docker"
    if inside:
        with contextlib.suppress(MissingToolError, UsageError):
            return _in_image(order, env, offline=offline, progress=progress)
    try:
        return OnHost(interpreters.compiler(order.target.runtime.python, env))
    except MissingToolError:
        with contextlib.suppress(MissingToolError, UsageError):
            if not inside:
                return _in_image(order, env, offline=True, progress=progress)
        raise


def _in_image(order: Order, env: Mapping[str, str], *, offline: bool, progress: Progress) -> InImage:
    from lamina.engine.base import runnable

    return InImage(runnable(order.recipe, order.target, env), order.target, env, offline=offline, progress=progress)
