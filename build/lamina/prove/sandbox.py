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

from lamina.engine.model import FailedToEnterError
from lamina.engine.probe import PROBE, read
from lamina.errors import MissingToolError
from lamina.prove import machine, places
from lamina.prove.model import Job, Stage, Where
from lamina.prove.supervised import Supervised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from lamina.runtimes import Runtime

#: How jobs are kept apart from the host, best first.
#: Namespaces of our own come first, as they are the quicker way; bubblewrap has its turn where the system allows them
#: to known programs only, as Ubuntu does with AppArmor.
Means = Literal["namespaces", "bubblewrap", "plain process"]
MEANS: tuple[Means, ...] = ("namespaces", "bubblewrap", "plain process")

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

    places: places.Places
    interpreter: str
    start: str
    environment: Mapping[str, str]
    supervisor: Sequence[str]
    isolated: bool
    root: Mapping[str, Any] | None = None
    network: bool = False


class HostSandbox:
    """Where jobs run on this machine; made by :func:`open_sandbox`. To be closed, or used as a context."""

    def __init__(self, way: _Way, python: tuple[int, int], folder: Path | None) -> None:
        self._way, self._python, self._folder = way, python, folder
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
            "listen": way.isolated and not way.network,
            "network": way.network,
            "ports": list(dict.fromkeys(job.reach)),
        }
        running = Supervised(
            way.supervisor,
            order,
            stdin=job.stdin,
            memory=job.memory,
            seconds=job.seconds,
            depth=1 if way.isolated else 0,  # between the process started here and the job stands the namespace's first
        )
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
        running = self.start(Job(("-c", PROBE), seconds=_SLOWEST_START))
        outcome = running.wait()
        if outcome is None:
            raise AssertionError
        isolated = self._way.isolated and not self._way.network
        about = read(outcome.stdout)
        if about is None:
            told = outcome.stderr.decode(errors="replace").strip().splitlines()
            raise FailedToEnterError(told[-1] if told else f"the interpreter ended with {outcome.code}")
        self._where = machine.where_of(about, isolated=isolated, how=how)


def open_sandbox(
    stage: Stage, runtime: Runtime, *, means: Means | None = None, tmp: int = TMP_BYTES, network: bool = False
) -> HostSandbox:
    """Make the best sandbox that this machine allows, or, with ``means``, this one only.

    ``tmp`` is the size of ``/tmp`` in bytes, which a plain process does not keep to. With ``network`` jobs have that of
    this machine.

    Raises:
        MissingToolError: the interpreter does not run, or ``means`` does not work here; the message says why.
    """
    failed = ""
    for each in MEANS if means is None else (means,):
        folder = Path(tempfile.mkdtemp(prefix="lamina-prove-")) if each == "plain process" else None
        try:
            sandbox = HostSandbox(_way(each, stage, runtime, tmp, folder, network=network), runtime.python, folder)
            how = f"{each}, with the network" if network else each
            sandbox.probe(f"{how}, as namespaces do not work here: {failed}" if failed else how)
        except FailedToEnterError as error:
            failed = failed or str(error)
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


def _way(means: Means, stage: Stage, runtime: Runtime, tmp: int, folder: Path | None, *, network: bool) -> _Way:
    supervisor = ["-I", "-S", "-B"]
    if folder is not None:
        task = stage.task or folder / "task"
        task.mkdir(exist_ok=True)
        where = places.plain(task, stage.opt, stage.runtime, stage.interpreter.parent.parent)
        interpreter, start, root = str(stage.interpreter), str(_INSIDE / "start.py"), None
    else:
        where, root = _root(stage, runtime, tmp)
        if network:
            _resolving(root)
        interpreter, start = f"/var/lang/bin/{stage.interpreter.name}", _START
    given = places.environment(runtime, where, _system_folders())
    if means == "bubblewrap" and root is not None:
        command = [
            *_bubblewrap(root, network=network),
            interpreter,
            *supervisor,
            "-c",
            (_INSIDE / "supervise.py").read_text(encoding="utf-8"),
        ]
        return _Way(where, interpreter, start, given, command, isolated=True, network=network)
    command = [str(stage.interpreter), *supervisor, str(_INSIDE / "supervise.py")]
    return _Way(where, interpreter, start, given, command, isolated=root is not None, root=root, network=network)


def _root(stage: Stage, runtime: Runtime, tmp: int) -> tuple[places.Places, dict[str, Any]]:
    """What a job in namespaces sees, as :mod:`lamina.prove.inside.enclosure` makes it."""
    prefix = stage.interpreter.parent.parent
    beside = (prefix / "lib" / "python{}.{}".format(*runtime.python) / "site-packages").is_dir()
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
    return where, root


def _resolving(root: dict[str, Any]) -> None:
    """Show the host's list of name servers, which on some hosts is a link out of /etc."""
    real = Path("/etc/resolv.conf").resolve()
    if real.is_file() and real.parts[1:2] == ("run",):
        root["folders"] = [*root["folders"], str(real.parent)]
        root["files"] = {**root["files"], str(real): real.read_text(encoding="utf-8", errors="replace")}


def _bubblewrap(root: Mapping[str, Any], *, network: bool) -> list[str]:
    """The command that makes the same with bubblewrap; the user is called as on the host, as it takes no text as file.

    Raises:
        FailedToEnterError: it is not installed.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise FailedToEnterError("bubblewrap is not installed")
    words = [program, "--unshare-all", "--unshare-user", "--as-pid-1", "--uid", str(_UID), "--gid", str(_GID)]
    words += ["--share-net"] if network else []
    for folder in root["folders"]:
        words += ["--dir", folder]
    for path in root["system"]:
        words += (
            ["--symlink", str(Path(path).readlink()), path] if Path(path).is_symlink() else ["--ro-bind", path, path]
        )
    for source, place in root["binds"]:
        words += ["--ro-bind", source, place]
    for name in root["devices"]:
        words += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    words += ["--ro-bind", str(_INSIDE / "start.py"), _START, "--proc", "/proc"]
    words += ["--perms", "1777", "--size", str(root["tmp"]), "--tmpfs", "/tmp"]  # noqa: S108 - the job's own
    # An interpreter that is linked to its own library can name a folder of the host for it.
    return [*words, "--remount-ro", "/", "--setenv", "LD_LIBRARY_PATH", "/var/lang/lib", "--"]


def _system_folders() -> tuple[str, ...]:
    """Where this host keeps its libraries: Debian has a folder for each architecture, others ``/lib64``."""
    found = []
    with contextlib.suppress(AttributeError):
        machine_name = os.uname().machine
        names = (f"lib/{machine_name}-linux-gnu", f"usr/lib/{machine_name}-linux-gnu", "lib64", "usr/lib64")
        found = [f"/{name}" for name in names if Path("/", name).is_dir()]
    return tuple(found)
