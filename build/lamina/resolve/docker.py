"""pip-tools inside the target's base image, asked as :class:`~lamina.resolve.uv.Uv` is.

The image is the target: its markers and its architecture are taken as they are. Where its glibc is above the target's
ceiling, pip is told so (PEP 600). The container has no network and no settings: it reaches one port, on which lamina
serves what its own client finds. pip-tools and pip are part of no image: lamina brings those that its lock names.

pip prefers wheels (``--prefer-binary``): a version with a wheel for the target is taken before a newer one that has
only a source distribution, unless what is required leaves no other.
"""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import msgspec
from packaging.requirements import Requirement

from lamina import lock as locks
from lamina.engine.base import runnable
from lamina.errors import MissingToolError, ResolutionError
from lamina.fetch import fetch
from lamina.process import last_lines
from lamina.resolve.model import Answer, Refusal
from lamina.resolve.uv import parse, platform_for
from lamina.tarformat import held

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina.engine.model import Outcome
    from lamina.engine.room import Room
    from lamina.index import IndexClient
    from lamina.index.serve import IndexServer
    from lamina.lock import Lock
    from lamina.progress import Progress
    from lamina.recipe import Recipe
    from lamina.resolve.model import Question
    from lamina.store import Store
    from lamina.target import Target

#: Seconds. pip looks at candidates one by one; what needs building first takes its time.
_TIMEOUT = 1800.0

#: Where things stand in the container. Nobody else uses it.
_FOLDER = "lamina-resolve"

_OPTIONS = (
    "--generate-hashes --no-reuse-hashes --no-config --no-header --annotation-style=split --no-strip-extras "
    "--allow-unsafe --no-emit-options --no-emit-index-url --resolver=backtracking --quiet"
).split()
_PIP = "--prefer-binary --no-cache-dir --disable-pip-version-check --no-input --retries=0 --timeout=300"

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LOCK = Path(__file__).with_name("pip-tools.txt")
_LOCAL = re.compile(r"(.* @ )(file:\S+)(.*)", re.DOTALL)


class _Told(msgspec.Struct, frozen=True):
    """What :mod:`lamina.resolve.inside.compile` prints."""

    code: int
    text: str
    reasons: list[str]
    markers: dict[str, str]


class Docker:
    """pip-compile in a container, with one index."""

    sources = True

    def __init__(self, room: Room, target: Target, server: IndexServer, lock: Lock) -> None:
        self._room, self._target, self._server = room, target, server
        self._versions = {wheel.name: wheel.version for wheel in lock.wheels}
        self.notes: tuple[str, ...] = ()

    def version(self) -> str:
        """What stands as builder in a lock: ``pip-tools 7.6.2 with pip 26.0.1 in docker``."""
        return f"pip-tools {self._versions['pip-tools']} with pip {self._versions['pip']} in docker"

    def ask(self, question: Question, *, refresh: bool = False) -> Answer | Refusal:
        """Resolve. Nothing is remembered from one command to the next, so ``refresh`` makes no difference.

        Raises:
            IndexAccessError: an index fails or refuses.
            ResolutionError: pip-compile fails in another way than by finding no resolution.
            MissingToolError: the engine does not run it.
        """
        del refresh
        requirements = self._given(question.requirements)
        order = {
            "requirements.txt": requirements,
            "constraints.txt": list(question.constraints),
            "pins.txt": [f"{name}=={version}" for name, version in sorted(question.pins.items())],
            "options": [*_OPTIONS, "--pip-args", _PIP],
            "index": self._server.url,
            "glibc": self._glibc(question),
        }
        outcome = self._room.python(
            "-I",
            f"/tmp/{_FOLDER}/compile.py",  # noqa: S108 - of a container of its own
            environment={"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INPUT": "1", "NETRC": f"/tmp/{_FOLDER}/netrc"},  # noqa: S108
            stdin=json.dumps(order).encode(),
            ports=(self._server.port,),
            seconds=_TIMEOUT,
        )
        if self._server.failure is not None:
            raise self._server.failure
        told, said = self._told(outcome)
        if told is None or (told.code and not told.reasons):
            raise _failed(outcome, said)
        self.notes = self._differences(told.markers)
        if told.code:
            return Refusal("\n".join((*told.reasons, *_limits(question, told.reasons))))
        answer = parse(told.text, said.replace("WARNING:", "warning:"))
        return msgspec.structs.replace(answer, hashes=hashes(told.text))

    def _told(self, outcome: Outcome) -> tuple[_Told | None, str]:
        said = outcome.stderr.decode(errors="replace").replace(self._server.url, "index:")
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return msgspec.json.decode(outcome.stdout, type=_Told), said
        return None, said

    def _given(self, requirements: tuple[str, ...]) -> list[str]:
        """The requirements, with the wheels of local projects at their place in the container."""
        wheels = []
        stated = []
        for text in requirements:
            found = _LOCAL.fullmatch(text)
            if found is None:
                stated.append(text)
                continue
            path = Path(url2pathname(unquote(urlsplit(found[2]).path)))
            wheels.append(held(f"{_FOLDER}/given/{path.name}", path.read_bytes()))
            stated.append(f"{found[1]}file:///tmp/{_FOLDER}/given/{path.name}{found[3]}")
        if wheels:
            self._room.put("/tmp", wheels)  # noqa: S108
        return stated

    def _glibc(self, question: Question) -> tuple[int, ...]:
        """The ceiling: the target's, or none but the image's own where another platform is asked about."""
        own = question.platform == platform_for(self._target)
        return self._target.ceiling if own else self._room.about.glibc

    def _differences(self, found: Mapping[str, str]) -> tuple[str, ...]:
        """What the image answers otherwise than the target is thought to, as notes."""
        ours = self._target.markers()
        other = [
            f"{name} {value} (the target: {ours[name]})"
            for name, value in sorted(found.items())
            if name in ours and ours[name] != value and name != "implementation_version"  # which is the Python's own
        ]
        name = self._room.image.reference
        notes = [f"markers are those of {name}: {', '.join(other)}"] if other else []
        if self._room.about.glibc < self._target.ceiling:
            has, may = (".".join(map(str, glibc)) for glibc in (self._room.about.glibc, self._target.ceiling))
            notes.append(f"{name} has glibc {has}; wheels that need more, up to {may}, were not considered")
        return tuple(notes)


@contextlib.contextmanager
def opened(
    recipe: Recipe,
    target: Target,
    client: IndexClient,
    store: Store,
    *,
    env: Mapping[str, str],
    offline: bool,
    progress: Progress,
) -> Iterator[Docker]:
    """Start a container of the base image, with pip-tools in it; a context manager.

    Raises:
        MissingToolError: there is no engine, or it does not have the image and cannot pull it.
        UsageError: the image is not one of the target.
        IndexAccessError: pip-tools cannot be fetched.
    """
    from lamina.engine.room import open_room
    from lamina.index.serve import IndexServer

    name = runnable(recipe, target, env)
    lock = locks.read(_LOCK)
    places = fetch(lock.wheels, store=store, indexes=client.indexes, offline=offline, progress=progress)
    program = Path(__file__).with_name("inside").joinpath("compile.py").read_bytes()
    files = {"compile.py": program}  # by name: wheels may bring the same file
    for path in places.values():
        with zipfile.ZipFile(path) as wheel:
            files |= {f"lib/{name}": wheel.read(name) for name in wheel.namelist() if name[-1] != "/"}
    try:
        room = open_room(name, target, env, offline=offline, progress=progress)
    except MissingToolError as error:
        hint = f"{error.hint}\nWithout an engine, uv resolves on this machine: lamina lock --builder uv {recipe.name}"
        raise MissingToolError(error.message, hint=hint.strip()) from error
    with room, IndexServer(client, store) as server:
        files["netrc"] = server.netrc
        room.put("/tmp", [held(f"{_FOLDER}/{name}", content) for name, content in files.items()])  # noqa: S108
        progress.stage(f"resolving inside {room.image.reference}, {room.about.system}")
        yield Docker(room, target, server, lock)


def hashes(text: str) -> dict[str, frozenset[str]]:
    """The SHA-256 of the files of every package, as pip-compile states them."""
    found: dict[str, set[str]] = {}
    current = ""
    for line in text.splitlines():
        if line and not line[0].isspace() and line[0] not in "#-":
            current = locks.canonical(re.split(r"[\[=<>!~ @;]", line, maxsplit=1)[0])
        found.setdefault(current, set()).update(_HASH.findall(line))
    return {name: frozenset(digests) for name, digests in found.items() if name and digests}


def _limits(question: Question, reasons: list[str]) -> list[str]:
    """The constraints on packages that are named in ``reasons``, of which pip says nothing there."""
    words = {locks.canonical(word) for line in reasons for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)}
    named = [text for text in question.constraints if locks.canonical(Requirement(text).name) in words]
    return [f"constraint: {text}" for text in named if "!=" not in text]  # those that shut out are told otherwise


def _failed(outcome: Outcome, said: str) -> ResolutionError:
    """The error for a run that brought neither a resolution nor a reason why there is none."""
    if outcome.ended == "timeout":
        message = f"pip-compile found no end within {_TIMEOUT:.0f} s"
        return ResolutionError(message, hint="Limit versions by constraints, so that there is less to try.")
    hint = (
        "If a package cannot be built there, require a version of it that has a wheel, or name the packages it needs "
        "in [builder] system-packages."
    )
    return ResolutionError(f"pip-compile failed inside the base image:\n{last_lines(said)}", hint=hint)
