"""The local projects and source distributions of one recipe as wheels, held against its lock."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lamina.errors import IntegrityError, ResolutionError, StaleLockError
from lamina.lock import LockedWheel, canonical
from lamina.recipe import targets
from lamina.recipe.spelling import is_local, local_project

if TYPE_CHECKING:
    from lamina.built import Built
    from lamina.index import Indexes
    from lamina.local.here import Here
    from lamina.local.native import Inside
    from lamina.lock import LockedSource
    from lamina.progress import Progress
    from lamina.project import Order, Project
    from lamina.recipe import Recipe
    from lamina.store import Store
    from lamina.target import Target

#: Counted up with every change of when local projects go together.
FORMAT = 1


def _local_paths(recipe: Recipe) -> tuple[str, ...]:
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
        paths = _local_paths(self.recipe)
        if not paths:
            return {}
        target = target or targets(self.recipe)[0]
        with self._inside(target) as inside:
            return self._all(paths, target, inside)

    def _all(self, paths: Sequence[str], target: Target, inside: Inside | None) -> Mapping[str, Built]:
        key = target.name if inside is not None else ""
        if key not in self._built:
            from lamina.local.checks import check_names, folder_of

            folders = [folder_of(self.project, path) for path in paths]
            found = {
                path: self._here().built(path, folder, inside) for path, folder in zip(paths, folders, strict=True)
            }
            check_names(self.project, self.recipe, found)
            for path, one in found.items():
                self._again[one.wheel.sha256] = partial(self._local_again, path, target)
            self._built[key] = found
        return self._built[key]

    def _here(self) -> Here:
        """What builds on this machine."""
        from lamina.local.here import Here

        return Here(self.store, indexes=self.indexes, env=self.env, offline=self.offline, progress=self.progress)

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
        if not _local_paths(self.recipe) and not sources:
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
        if _local_paths(self.recipe):
            with self._inside(order.target) as inside:
                self._checked(order, inside)

    def _checked(self, order: Order, inside: Inside | None) -> Mapping[str, Built]:
        """The local projects, held against the lock and against each other."""
        paths = _local_paths(self.recipe)
        if not paths:
            return {}
        built = self._all(paths, order.target, inside)
        from lamina.local.checks import differences

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
        if not _local_paths(self.recipe) and self.recipe.builder.kind != "docker":
            return inner

        def fetch(wheels: Sequence[LockedWheel]) -> Mapping[str, Path]:
            places = {wheel.sha256: self._restored(wheel) for wheel in wheels if wheel.sha256 in self._again}
            others = [wheel for wheel in wheels if wheel.sha256 not in self._again]
            return {**places, **(inner(others) if others else {})}

        return fetch

    def _restored(self, wheel: LockedWheel) -> Path:
        """A wheel that was made here in the store, made again if it is gone.

        Raises:
            IntegrityError: it builds to another one now.
        """
        from lamina.local.kept import wheel_path

        place = wheel_path(self.store, wheel)
        if not place.is_file() and self._again[wheel.sha256]() != wheel:
            message = f"{wheel.filename}: its wheel in the store was damaged, and what is built now differs"
            raise IntegrityError(message, hint="Run the command again: it then takes the new one.")
        return place

    def _local_again(self, path: str, target: Target) -> LockedWheel:
        with self._inside(target) as inside:
            return self._here().build(path, self.project.root / path, inside).wheel

    def _source_again(self, source: LockedSource, target: Target) -> LockedWheel:
        with self._inside(target) as inside:
            if inside is None:  # it was when the wheel was made
                raise AssertionError
            return self._from_source(source, inside).wheel

    def _agreement(self, order: Order, built: Mapping[str, Built]) -> Path:
        made_from = (FORMAT, order.target.name, order.lock.inputs, [(path, built[path].wheel.sha256) for path in built])
        return self.store.path("memos", hashlib.sha256(msgspec.json.encode(made_from)).hexdigest())

    def _agreed(self, order: Order, built: Mapping[str, Built]) -> bool:
        """Whether these wheels were found to go together before; remembered, since it takes ``packaging`` to tell."""
        return self._agreement(order, built).exists()
