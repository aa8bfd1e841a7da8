"""The host sandbox: jobs in namespaces where the kernel allows it, as plain processes where not.

In namespaces a job sees the host's system folders read-only and, at Lambda's own places, the layer (``/opt``), the
function (``/var/task``), the interpreter (``/var/lang``) and what the runtime has. It has a ``/tmp`` of its own, of
Lambda's size, and no ``/dev/shm``, as on Lambda: no home folders, and no network but the ports it may reach.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lamina.errors import MissingToolError
from lamina.prove import machine, places
from lamina.prove.model import Job, Stage, Where
from lamina.prove.supervised import FailedToEnterError, Supervised

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from lamina.runtimes import Runtime

#: How jobs are kept apart from the host, best first.
Means = Literal["namespaces", "plain process"]
MEANS: tuple[Means, ...] = ("namespaces", "plain process")

#: Lambda's default, in bytes: https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html.
TMP_BYTES = 512 * 1024 * 1024

_INSIDE = Path(__file__).with_name("inside")
#: Where :mod:`lamina.prove.inside.start` stands in namespaces.
_START = "/var/lamina/start.py"
#: Of the host's root: what programs need to run, and nothing of its users.
_SYSTEM = tuple(
    f"/{name}" for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "sys", "nix", "gnu")
)
_DEVICES = ("full", "null", "random", "urandom", "zero")
#: The user that functions run as, seen on Lambda by many (id, whoami); its home folder does not exist.
_USER, _UID, _GID = "sbx_user1051", 993, 990
_PASSWD = f"root:x:0:0:root:/root:/bin/bash\n{_USER}:x:{_UID}:{_GID}::/home/{_USER}:/sbin/nologin\n"
_SLOWEST_START = 60.0  # seconds


class _Way(NamedTuple):
    """All that does not change from job to job."""

    means: Means
    places: places.Places
    interpreter: str
    start: str
    root: Mapping[str, Any] | None
    environment: Mapping[str, str]
    depth: int


class HostSandbox:
    """Where jobs run on this machine; made by :func:`open_sandbox`. To be closed, or used as a context."""

    def __init__(self, way: _Way, stage: Stage, python: tuple[int, int], folder: Path | None) -> None:
        self._way, self._stage, self._python, self._folder = way, stage, python, folder
        self._running: list[Supervised] = []
        self._where: Where | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def where(self) -> Where:
        """What this place is."""
        if self._where is None:
            raise AssertionError
        return self._where

    def start(self, job: Job) -> Supervised:
        """Start a job; its working folder is the function's, ``/tmp`` is its own, and layer and function read-only.

        Raises:
            FailedToEnterError: the namespaces cannot be made (any more).
            MissingToolError: the interpreter does not start.
        """
        way = self._way
        environment = {**way.environment, **job.environment}
        if self._folder is not None:
            environment["TMPDIR"] = tempfile.mkdtemp(dir=self._folder)
        import json

        layout = json.dumps(way.places.layout(self._python))
        order = {
            "command": [way.interpreter, "-s", "-S", "-B", way.start, layout, *job.arguments],
            "environment": environment,
            "folder": way.places.task,
            "root": way.root,
            "uid": _UID,
            "gid": _GID,
            "listen": way.root is not None,
            "ports": list(job.reach),
        }
        command = [str(self._stage.interpreter), "-I", "-S", "-B", str(_INSIDE / "supervise.py")]
        running = Supervised(command, order, stdin=job.stdin, memory=job.memory, seconds=job.seconds, depth=way.depth)
        self._running = [one for one in self._running if one.wait(0) is None]
        self._running.append(running)
        return running

    def close(self) -> None:
        """End what still runs and remove what was made."""
        for running in self._running:
            running.stop()
        self._running.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def probe(self, how: str) -> None:
        """Ask what this place is; it works where it answers.

        Raises:
            FailedToEnterError: it does not.
        """
        running = self.start(Job(("-c", machine.PROBE), seconds=_SLOWEST_START))
        outcome = running.wait()
        if outcome is None:
            raise AssertionError
        where = machine.read(outcome.stdout, isolated=self._way.root is not None, how=how)
        if where is None:
            told = outcome.stderr.decode(errors="replace").strip().splitlines()
            raise FailedToEnterError(told[-1] if told else f"the interpreter ended with {outcome.code}")
        self._where = where


def open_sandbox(stage: Stage, runtime: Runtime, *, means: Means | None = None, tmp: int = TMP_BYTES) -> HostSandbox:
    """Make the best sandbox that this machine allows, or, with ``means``, this one only.

    ``tmp`` is the size of ``/tmp`` in bytes, which a plain process does not keep to.

    Raises:
        MissingToolError: the interpreter does not run, or ``means`` does not work here; the message says why.
    """
    failed = ""
    for each in MEANS if means is None else (means,):
        folder = None if each == "namespaces" else Path(tempfile.mkdtemp(prefix="lamina-prove-"))
        try:
            way = _namespaces(stage, runtime, tmp) if folder is None else _plain(stage, runtime, folder)
            sandbox = HostSandbox(way, stage, runtime.python, folder)
            sandbox.probe(f"{each}{failed and f', as namespaces do not work here: {failed}'}")
        except FailedToEnterError as error:
            failed = str(error)
            _remove(folder)
        except BaseException:
            _remove(folder)
            raise
        else:
            return sandbox
    raise MissingToolError(
        f"{stage.interpreter}: no job can be run with it: {failed}",
        hint="Run that interpreter by hand; where it works, prove in a container: lamina prove --in container",
    )


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _namespaces(stage: Stage, runtime: Runtime, tmp: int) -> _Way:
    prefix = stage.interpreter.parent.parent
    version = "{}.{}".format(*runtime.python)
    site = f"lib/python{version}/site-packages"
    beside = (prefix / site).is_dir()
    where = places.lambdas(runtime.python, beside=beside)
    binds = [(str(prefix), "/var/lang"), (str(stage.runtime), where.standin[0])]
    binds += [(str(stage.opt), "/opt")] if stage.opt else []
    binds += [(str(stage.task), "/var/task")] if stage.task else []
    root = {
        "system": [path for path in _SYSTEM if os.path.lexists(path)],
        "devices": [name for name in _DEVICES if Path("/dev", name).exists()],
        "binds": binds,
        "folders": ["/opt", "/var/task", "/var/runtime", "/var/lang", "/var/lamina", "/run/lamina"],
        "files": {
            _START: (_INSIDE / "start.py").read_text(encoding="utf-8"),
            "/run/lamina/passwd": _PASSWD,
            "/run/lamina/group": f"root:x:0:\n{_USER}:x:{_GID}:\n",
        },
        "over": [("/run/lamina/passwd", "/etc/passwd"), ("/run/lamina/group", "/etc/group")],
        "tmp": tmp,
    }
    interpreter = f"/var/lang/bin/{stage.interpreter.name}"
    given = places.environment(runtime, where, _system_folders())
    return _Way("namespaces", where, interpreter, _START, root, given, depth=1)


def _plain(stage: Stage, runtime: Runtime, folder: Path) -> _Way:
    task = stage.task
    if task is None:
        task = folder / "task"
        task.mkdir()
    where = places.plain(task, stage.opt, stage.runtime, stage.interpreter.parent.parent)
    given = places.environment(runtime, where, _system_folders())
    return _Way("plain process", where, str(stage.interpreter), str(_INSIDE / "start.py"), None, given, depth=0)


def _system_folders() -> tuple[str, ...]:
    """Where this host keeps its libraries: Debian has a folder for each architecture, others ``/lib64``."""
    found = []
    with contextlib.suppress(AttributeError):
        machine_name = os.uname().machine
        names = (f"lib/{machine_name}-linux-gnu", f"usr/lib/{machine_name}-linux-gnu", "lib64", "usr/lib64")
        found = [f"/{name}" for name in names if Path("/", name).is_dir()]
    return tuple(found)
