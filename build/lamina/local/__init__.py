"""Wheels that are made here: of local projects, from what stands in the working tree, and of source distributions.

A local project is ``"./packages/shared"`` among the requirements.

A project is built when its sources are not those of a wheel that the store has: edit code, build, and the layer has it.
The lock pins what the project needs, not what it holds, so that only an edit of its dependencies makes the lock stale.
A warm build hashes the sources and finds the wheel; it starts no process and imports nothing of the builder.

Pure Python is built on this machine. Native code, and what the lock names as a source distribution, is built inside the
base image of the target, where the recipe's builder is docker (:mod:`lamina.local.native`).
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import lamina
from lamina.built import Built
from lamina.errors import IntegrityError, ResolutionError, StaleLockError
from lamina.local.checks import check_names, differences, folder_of
from lamina.local.sources import digest
from lamina.lock import LockedWheel, canonical
from lamina.recipe import targets
from lamina.recipe.spelling import is_local, local_project

if TYPE_CHECKING:
    from lamina.index import Indexes
    from lamina.local.native import Inside
    from lamina.lock import LockedSource
    from lamina.progress import Progress
    from lamina.project import Order, Project
    from lamina.recipe import Recipe
    from lamina.store import Store
    from lamina.target import Target

#: Counted up with every change of how a wheel is built or written.
FORMAT = 1


def local_paths(recipe: Recipe) -> tuple[str, ...]:
    """The folders of the recipe's local projects, in its order."""
    found = (local_project(text) for text in recipe.requirements if is_local(text))
    return tuple(local.path for local in found if local is not None)


class Workshop:
    """The local projects and source distributions of one recipe, built where the store has no wheel of these sources.

    ``indexes`` is called when something must be built; ``env`` is the environment that builds start from.
    """

    def __init__(
        self,
        project: Project,
        recipe: Recipe,
        store: Store,
        *,
        indexes: Callable[[], Indexes],
        env: Mapping[str, str],
        offline: bool,
        progress: Progress,
    ) -> None:
        self.project, self.recipe, self.store = project, recipe, store
        self.indexes, self.env, self.offline, self.progress = indexes, env, offline, progress
        self._built: dict[str, dict[str, Built]] = {}
        #: How each wheel that was made here is made again, by its SHA-256.
        self._again: dict[str, Callable[[], LockedWheel]] = {}

    def built(self, target: Target | None = None) -> Mapping[str, Built]:
        """Every local project by its path, built now where that is needed.

        Native code is built for ``target``, or else for the recipe's first: what a lock states of a project is the same
        for all.

        Raises:
            RecipeError: a folder is not there, holds no project, or its name is one that the recipe states otherwise.
            ResolutionError: a project cannot be built, or holds native code and the builder is not docker.
            IndexAccessError: what a build needs cannot be had.
            MissingToolError: it is to be built inside the base image, and no engine runs that.
        """
        paths = local_paths(self.recipe)
        if not paths:
            return {}
        target = target or targets(self.recipe)[0]
        with self._inside(target) as inside:
            return self._all(paths, target, inside)

    def _all(self, paths: Sequence[str], target: Target, inside: Inside | None) -> Mapping[str, Built]:
        key = target.name if inside is not None else ""
        if key not in self._built:
            folders = [folder_of(self.project, path) for path in paths]
            found = {path: self._one(path, folder, inside) for path, folder in zip(paths, folders, strict=True)}
            check_names(self.project, self.recipe, found)
            for path, one in found.items():
                self._again[one.wheel.sha256] = partial(self._local_again, path, target)
            self._built[key] = found
        return self._built[key]

    def _inside(self, target: Target) -> contextlib.AbstractContextManager[Inside | None]:
        """What builds inside the base image, where the recipe wants that."""
        if self.recipe.builder.kind != "docker":
            return contextlib.nullcontext()
        from lamina.local.native import Inside

        return Inside(
            self.recipe,
            target,
            self.store,
            indexes=self.indexes,
            env=self.env,
            offline=self.offline,
            progress=self.progress,
        )

    def fulfil(self, order: Order) -> Order:
        """The order with the wheels of local projects and of source distributions in its lock.

        Raises:
            StaleLockError: a project needs other packages, or is another one, than when the lock was made.
            and as :meth:`built`.
        """
        omitted = {canonical(omit.name) for omit in self.recipe.omit}
        sources = [source for source in order.lock.sources if source.name not in omitted]
        if not local_paths(self.recipe) and not sources:
            return order
        with self._inside(order.target) as inside:
            built = self._checked(order, inside)
            where = self.project.shown(order.lock_path)
            made = [self._source(source, where, order.target, inside) for source in sources]
        own = [one.wheel for one in (*built.values(), *made)]
        wheels = sorted((*order.lock.wheels, *own), key=lambda wheel: wheel.name)
        return order._replace(lock=msgspec.structs.replace(order.lock, wheels=tuple(wheels)))

    def check(self, order: Order) -> None:
        """Hold the lock against the local projects as they are now. No source distribution is built.

        Raises:
            as :meth:`fulfil`.
        """
        if local_paths(self.recipe):
            with self._inside(order.target) as inside:
                self._checked(order, inside)

    def _checked(self, order: Order, inside: Inside | None) -> Mapping[str, Built]:
        """The local projects, held against the lock and against each other."""
        paths = local_paths(self.recipe)
        if not paths:
            return {}
        built = self._all(paths, order.target, inside)
        stale = [*differences(order.lock.local, built)]
        if not stale and not self._agreed(order, built):
            from lamina.local.agree import disagreements

            stale = [*disagreements(self.recipe, order.target, built)]
            if not stale:
                self.store.save(self._agreement(order, built), b"")
        if stale:
            where = self.project.shown(order.lock_path)
            message = "\n".join(f"{where}: stale: {line}" for line in stale)
            raise StaleLockError(message, hint=f"Renew it: {order.lock.command}")
        return built

    def _source(self, source: LockedSource, where: str, target: Target, inside: Inside | None) -> Built:
        """The wheel of a source distribution, built where the store has none."""
        if inside is None:
            raise ResolutionError(
                f"{where}: {source.filename}: a source distribution, and only the docker builder builds those",
                hint='Set kind = "docker" in the recipe\'s [builder], or require a version of it that has a wheel.',
            )
        built = inside.recalled(source.sha256) or self._from_source(source, inside)
        self._again[built.wheel.sha256] = partial(self._source_again, source, target)
        return built

    def _from_source(self, source: LockedSource, inside: Inside) -> Built:
        from lamina.local.native import Sources

        def files() -> Mapping[str, tuple[Path, bool]]:
            from lamina.fetch import fetch

            places = fetch(
                [source], store=self.store, indexes=self.indexes(), offline=self.offline, progress=self.progress
            )
            return {source.filename: (places[source.sha256], False)}

        name = source.filename
        return inside.build(Sources(name, source.sha256, name, files, source.name, source.version))

    def fetch(
        self, inner: Callable[[Sequence[LockedWheel]], Mapping[str, Path]]
    ) -> Callable[[Sequence[LockedWheel]], Mapping[str, Path]]:
        """``inner`` for wheels of indexes; wheels that were made here are made again where the store has lost them."""
        if not local_paths(self.recipe) and self.recipe.builder.kind != "docker":
            return inner

        def fetch(wheels: Sequence[LockedWheel]) -> Mapping[str, Path]:
            places = {wheel.sha256: self._restored(wheel) for wheel in wheels if wheel.sha256 in self._again}
            others = [wheel for wheel in wheels if wheel.sha256 not in self._again]
            return {**places, **(inner(others) if others else {})}

        return fetch

    def _one(self, path: str, folder: Path, inside: Inside | None) -> Built:
        content = digest(folder)
        if inside is not None and (recalled := inside.recalled(content)) is not None:
            return recalled
        record = self._named(content)
        built = _decoded(self.store.load(record))
        if built is not None:
            wheel = self._wheel(built.wheel)
            if wheel.is_file() and wheel.stat().st_size == built.wheel.size:
                self.store.touch([record, wheel])
                return built
        return self._build(path, folder, inside)

    def _build(self, path: str, folder: Path, inside: Inside | None) -> Built:
        """Build from a copy; the copy's own digest names the result, whatever is saved in an editor meanwhile."""
        import tempfile

        from lamina.local import backend
        from lamina.local.siblings import siblings
        from lamina.local.signs import is_native
        from lamina.local.sources import copy
        from lamina.local.wheel import native_in, normalize

        self.store.sweep()
        with tempfile.TemporaryDirectory(prefix="lamina-", ignore_cleanup_errors=True) as temporary:
            sources = Path(temporary, "project")
            copy(folder, sources)
            if inside is not None and is_native(sources):
                return self._build_inside(path, sources, inside)
            self.progress.stage(f"building {path}")
            Path(temporary, ".git").mkdir()  # where hatchling stops to look for a .gitignore further up
            record = self._record(sources)
            indexes, out = self.indexes(), Path(temporary, "wheel")
            wheel = backend.build(sources, out, path, indexes=indexes, env=self.env, offline=self.offline)
            if inside is not None and native_in(wheel):
                return self._build_inside(path, sources, inside)
            unfinished = Path(temporary, "normal.whl")
            with unfinished.open("wb") as file:
                built = normalize(wheel, path, file)
            own = {*built.siblings, *siblings(sources / "pyproject.toml", built.requires)}
            built = msgspec.structs.replace(built, siblings=tuple(sorted(own)))
            with self.store.create(self._wheel(built.wheel)) as beside:
                beside.write_bytes(unfinished.read_bytes())
            self.store.save(record, msgspec.msgpack.encode(built))
        return built

    def _build_inside(self, path: str, copied: Path, inside: Inside) -> Built:
        from lamina.local.native import Sources
        from lamina.local.sources import files

        there = {f"project/{name}": (place, bool(place.stat().st_mode & 0o100)) for name, place in files(copied)}
        return inside.build(Sources(path, digest(copied), "project", lambda: there))

    def _restored(self, wheel: LockedWheel) -> Path:
        """A wheel that was made here in the store, made again if it is gone.

        Raises:
            IntegrityError: it builds to another one now.
        """
        place = self._wheel(wheel)
        if not place.is_file() and self._again[wheel.sha256]() != wheel:
            message = f"{wheel.filename}: its wheel in the store was damaged, and what is built now differs"
            raise IntegrityError(message, hint="Run the command again: it then takes the new one.")
        return place

    def _local_again(self, path: str, target: Target) -> LockedWheel:
        with self._inside(target) as inside:
            return self._build(path, self.project.root / path, inside).wheel

    def _source_again(self, source: LockedSource, target: Target) -> LockedWheel:
        with self._inside(target) as inside:
            if inside is None:  # it was when the wheel was made
                raise AssertionError
            return self._from_source(source, inside).wheel

    def _record(self, folder: Path) -> Path:
        """Where the store remembers what the sources in a folder build to."""
        return self._named(digest(folder))

    def _named(self, content: str) -> Path:
        """Where the store remembers what sources of that digest build to on this machine."""
        from lamina.local.versions import stated

        made_from = (FORMAT, lamina.__version__, sys.version_info[:2], stated(self.env), content)
        return self.store.path("built", hashlib.sha256(msgspec.json.encode(made_from)).hexdigest())

    def _wheel(self, wheel: LockedWheel) -> Path:
        return self.store.path("wheels", wheel.sha256, ".whl")

    def _agreement(self, order: Order, built: Mapping[str, Built]) -> Path:
        made_from = (FORMAT, order.target.name, order.lock.inputs, [(path, built[path].wheel.sha256) for path in built])
        return self.store.path("memos", hashlib.sha256(msgspec.json.encode(made_from)).hexdigest())

    def _agreed(self, order: Order, built: Mapping[str, Built]) -> bool:
        """Whether these wheels were found to go together before; remembered, since it takes ``packaging`` to tell."""
        return self._agreement(order, built).exists()


def _decoded(content: bytes | None) -> Built | None:
    try:
        return None if content is None else msgspec.msgpack.decode(content, type=Built)
    except msgspec.MsgspecError:
        return None
