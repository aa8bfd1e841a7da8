"""A CPython of the target's minor version, to run what the layer holds or to compile it: found here, or how to get one.

Only what an interpreter says of itself counts, when it is run once: a name promises nothing, and a shim of pyenv can
have nothing behind it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lamina.errors import MissingToolError
from lamina.process import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina.target import Target

#: Names an interpreter: proofs take that one or none, and what compiles is looked for there first.
OVERRIDE = "LAMINA_PYTHON"

_ASK = """
import json, os, platform, sys, sysconfig
print(json.dumps({
    "implementation": sys.implementation.name, "version": list(sys.version_info[:3]),
    "level": sys.version_info[3], "machine": platform.machine(),
    "gil": not sysconfig.get_config_var("Py_GIL_DISABLED"), "debug": hasattr(sys, "gettotalrefcount"),
    "bits": 64 if sys.maxsize > 2**32 else 32, "base": sys.base_prefix,
    "executable": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    "glibc": platform.libc_ver()[0] == "glibc"}))
"""
_SLOWEST = 20.0  # seconds to start
_WORKFLOW = ".github/workflows/layers.yml"


class Said(msgspec.Struct, frozen=True):
    """What an interpreter says of itself when it is run once."""

    implementation: str
    version: tuple[int, int, int]
    level: str
    machine: str
    gil: bool
    debug: bool
    bits: int
    glibc: bool
    base: str
    executable: str


class Interpreter(NamedTuple):
    """A CPython that fits. ``path`` is ``bin/python3.X`` of its own prefix, no shim and no virtual environment."""

    path: Path
    version: tuple[int, ...]


class Host(NamedTuple):
    """What this machine is: ``system`` as ``sys.platform`` has it, ``machine`` as ``uname -m`` has it."""

    system: str
    machine: str


def this_host() -> Host:
    """This machine."""
    import platform

    return Host(sys.platform, platform.machine())


def find(target: Target, env: Mapping[str, str], *, host: Host | None = None) -> Interpreter:
    """The first CPython that fits the target: ``LAMINA_PYTHON``, the one that runs, PATH, uv's, pyenv's.

    Raises:
        MissingToolError: there is none, or this machine cannot load the target's binaries; the hint says what to do.
    """
    host = this_host() if host is None else host
    if host.system != "linux" or host.machine != target.architecture:
        raise _cannot_load(target, host)
    stated = env.get(OVERRIDE, "")
    refused: list[str] = []
    seen: set[Path] = set()
    for path in [Path(stated).expanduser()] if stated else candidates(target.runtime.python, env):
        with contextlib.suppress(OSError):
            real = path.resolve(strict=True)
            if real in seen and "shims" not in path.parts:
                continue
            seen.add(real)
        said = _asked(path)
        wrong = "does not run" if said is None else mistake(said, target)
        if said is not None and not wrong:
            return Interpreter(_canonical(said), said.version)
        refused.append(f"{path}: {wrong}")
    if stated:
        raise MissingToolError(
            f"{OVERRIDE}: {refused[0]}", hint=f"Name a CPython {_minor(target)} there, or unset it: lamina searches."
        )
    raise _missing(target, refused)


def compiler(python: tuple[int, int], env: Mapping[str, str]) -> Interpreter:
    """The first CPython of this minor version, whatever it runs on: bytecode is the same everywhere.

    Raises:
        MissingToolError: there is none.
    """
    stated = env.get(OVERRIDE, "")
    for path in [*([Path(stated).expanduser()] if stated else []), *candidates(python, env)]:
        said = _asked(path)
        if (
            said is not None
            and (said.implementation, said.version[:2], said.level) == ("cpython", python, "final")
            and said.gil
        ):
            return Interpreter(_canonical(said), said.version)
    version = "{}.{}".format(*python)
    raise MissingToolError(
        f"bytecode is compiled by CPython {version}, and there is none on this machine",
        hint=f"Get one: uv python install {version}, or name one in {OVERRIDE}.",
    )


def candidates(python: tuple[int, int], env: Mapping[str, str]) -> Iterator[Path]:
    """Where a CPython of this version may be, most likely first; none of them need exist or fit."""
    name = "python{}.{}".format(*python)
    windows = sys.platform == "win32"
    if sys.version_info[:2] == python:
        yield Path(sys.executable)
    for folder in env.get("PATH", "").split(os.pathsep):
        # In WSL, PATH leads to programs of Windows as well.
        for named in (f"{name}.exe", "python.exe") if windows else (name,):
            if folder and (path := Path(folder, named)).is_file():
                yield path
    home = env.get("HOME", "")
    data = env.get("XDG_DATA_HOME") or (home and f"{home}/.local/share")
    roaming, local = env.get("APPDATA", ""), env.get("LOCALAPPDATA", "")
    uv = [env.get("UV_PYTHON_INSTALL_DIR", ""), data and f"{data}/uv/python"]
    uv += [f"{roaming}/{folder}" for folder in ("uv/python", "uv/data/python") if roaming]
    pyenv = [env.get("PYENV_ROOT") or (home and f"{home}/.pyenv")]
    tools = [env.get("RUNNER_TOOL_CACHE") and f"{env['RUNNER_TOOL_CACHE']}/Python"]
    version, digits = "{}.{}".format(*python), "{}{}".format(*python)
    # https://docs.python.org/3/using/windows.html: the installer for one user and for all, and the install manager
    own = [local and f"{local}/Programs/Python", env.get("PROGRAMFILES", "")]
    for folders, patterns in (
        (uv, (f"cpython-{version}.*/bin/{name}", f"cpython-{version}.*/python.exe")),
        (pyenv, (f"versions/{version}.*/bin/{name}", f"versions/{version}.*/python.exe")),
        (tools, (f"{version}.*/*/bin/{name}", f"{version}.*/*/python.exe")),
        (own, (f"Python{digits}/python.exe",)),
        ([local and f"{local}/Python"], (f"pythoncore-{version}-64/python.exe",)),
    ):
        for folder in filter(None, folders):
            for pattern in patterns:
                yield from sorted(Path(folder).glob(pattern), reverse=True)


def _asked(path: Path) -> Said | None:
    """What the interpreter says of itself; ``None`` where it does not run, or says nothing of the kind."""
    # pyenv's shims need the first two, Windows the third; nothing else may change what an interpreter is.
    clean = {key: os.environ[key] for key in ("PATH", "HOME", "SYSTEMROOT") if key in os.environ}
    try:
        done = run([str(path), "-I", "-S", "-B", "-c", _ASK], timeout=_SLOWEST, env=clean)
        return msgspec.json.decode(done.stdout, type=Said) if done.code == 0 else None
    except (MissingToolError, msgspec.MsgspecError, OSError):
        return None


def mistake(said: Said, target: Target) -> str:
    """What keeps an interpreter from being the target's; empty where nothing does."""
    checks = (
        (said.version[:2] == target.runtime.python, f"is Python {'.'.join(map(str, said.version))}"),
        (said.implementation == "cpython", f"is {said.implementation}, not CPython"),
        (said.level == "final", "is a pre-release"),
        (said.gil, "is free-threaded, which Lambda's is not"),
        (not said.debug, "is a debug build, whose ABI is another"),
        (said.machine == target.architecture, f"is for {said.machine}"),
        (said.bits == 64, "is for 32 bits"),  # noqa: PLR2004
        (said.glibc, "is not built with glibc"),
    )
    return next((wrong for fine, wrong in checks if not fine), "")


def _canonical(said: Said) -> Path:
    """The interpreter in its own prefix, where the standard library is found from its place."""
    own = Path(said.base, "bin", "python{}.{}".format(*said.version))
    return own if own.exists() else Path(said.executable)


def _minor(target: Target) -> str:
    return "{}.{}".format(*target.runtime.python)


def _missing(target: Target, refused: list[str]) -> MissingToolError:
    version = _minor(target)
    tried = "".join(f"\n  {line}" for line in refused)
    return MissingToolError(
        f"{target.name}: a proof runs in CPython {version}, and there is none on this machine{tried}",
        hint=f"Get one:\n  uv python install {version}\n  apt-get install python{version}   (where Debian or Ubuntu "
        f"has it)\nor name one in {OVERRIDE}, or use a container, which prove, trace and invoke take: --in container",
    )


def _cannot_load(target: Target, host: Host) -> MissingToolError:
    systems = {"win32": "Windows", "darwin": "macOS", "linux": "Linux"}
    where = f"{systems.get(host.system, host.system)} on {host.machine}"
    ways = ["prove in a container: lamina prove --in container"]
    if host.system == "win32":
        ways.append(f"run lamina in WSL, where this machine is {target.architecture}")
    ways.append(f"let CI prove it: the job in {_WORKFLOW} runs on Linux of each architecture")
    return MissingToolError(
        f"{target.name}: its libraries are for Linux on {target.architecture}; this is {where}, which cannot load them",
        hint="Build and audit work here. To prove:\n" + "\n".join(f"  {way}" for way in ways),
    )
