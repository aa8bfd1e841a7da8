"""Resolution: a recipe and a target become a lock.

Either uv or pip-tools chooses the versions.

uv resolves on this host for the target: its markers, its Python, the least platform that uv has a name for and that
loads all that the target does. What exceeds the target's own glibc is shut out, and uv asked again, until every wheel
fits; one round mostly. The wheel of each version is then chosen here, by the target's own order of tags.

Packages for which the recipe names an index are offered to uv as that index lists them, ahead of all others, see
:mod:`.routes`.

pip-tools does so inside the target's base image, see :mod:`.docker`.
"""

from __future__ import annotations

import contextlib
import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from lamina.lock import Lock, LockedLocal, LockedSource, LockedWheel, canonical, inputs_digest
from lamina.progress import SILENT
from lamina.resolve.model import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lamina.built import Built
    from lamina.index import IndexClient, Indexes
    from lamina.progress import Progress
    from lamina.recipe import Recipe
    from lamina.resolve.model import Resolver
    from lamina.store import Store
    from lamina.target import Target


#: The local projects of a recipe that has none.
NOTHING: Mapping[str, Built] = MappingProxyType({})


class Resolution(msgspec.Struct, frozen=True):
    """A new lock, and what is worth telling about it, each a line.

    ``held_back`` names packages of which the platform or the Python excludes newer versions, ``changes`` what differs
    from the previous lock, ``notes`` what else a reader should know.
    """

    lock: Lock
    held_back: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def resolve(  # noqa: PLR0913 - every effect is handed in
    recipe: Recipe,
    target: Target,
    *,
    indexes: Indexes,
    previous: Lock | None = None,
    upgrade: bool = False,
    upgrade_packages: Sequence[str] = (),
    offline: bool = False,
    base: Path,
    env: Mapping[str, str],
    local: Mapping[str, Built] = NOTHING,
    builder: str = "",
    progress: Progress = SILENT,
) -> Resolution:
    """Choose the wheels for one target, keeping the pins of ``previous`` that are still valid.

    ``upgrade`` lets go of all pins, ``upgrade_packages`` of those packages'. Relative folders of wheels start from
    ``base``. ``env`` is the environment that uv inherits and that says where the store is. ``local`` are the recipe's
    local projects by path, as built. ``builder`` takes the place of the recipe's, ``uv`` or ``docker``.

    Raises:
        ResolutionError: no wheels satisfy the requirements on the target; the message says which, the hint what would.
        IndexAccessError: an index fails or refuses; or, offline, was never asked.
        IntegrityError: a file is none of those that the builder resolved with.
        MissingToolError: uv or the engine is not there, or the store cannot be written.
    """
    from lamina.index import IndexClient
    from lamina.resolve.complete import locked_files
    from lamina.resolve.given import given
    from lamina.resolve.held import held_back
    from lamina.resolve.settle import Settler, kept_pins
    from lamina.store import Store, default_root

    indexes = indexes.anchored(base)
    store = Store(default_root(env))
    pins = {} if upgrade else kept_pins(previous, upgrade_packages)
    progress.stage(f"resolving {recipe.name} for {target.name}")
    with IndexClient(indexes, offline=offline, store=store) as client, given(recipe, local, store) as stated:
        client.check_folders()
        resolvers: contextlib.AbstractContextManager[Resolver]
        if (builder or recipe.builder.kind) == "docker":
            from lamina.resolve.docker import opened

            resolvers = opened(recipe, target, client, store, env=env, offline=offline, progress=progress)
        else:
            resolvers = _uv(client, store, env, offline=offline)
        with resolvers as resolver:
            settler = Settler(stated, target, client, resolver, {built.wheel.name for built in local.values()})
            settled = settler.settle(pins, refresh=not offline and (upgrade or bool(upgrade_packages)))
            chosen = locked_files(settler, settled, previous, pins, store=store, progress=progress)
            lock = _locked(recipe, target, resolver, chosen, local)
            if previous is not None and _alike(lock, previous):  # another builder, or version of it, is no change
                lock = msgspec.structs.replace(lock, builder=previous.builder)
            return Resolution(
                lock,
                held_back(settler, settled),
                changes(previous, lock),
                (*settled.notes, *resolver.notes, *_unknown(upgrade_packages, previous, lock)),
            )


@contextlib.contextmanager
def _uv(client: IndexClient, store: Store, env: Mapping[str, str], *, offline: bool) -> Iterator[Resolver]:
    from lamina.resolve.routes import route
    from lamina.resolve.uv import Uv

    yield Uv(client.indexes, env, offline=offline, first=route(client, store))


def _locked(
    recipe: Recipe,
    target: Target,
    resolver: Resolver,
    chosen: Sequence[LockedWheel | LockedSource],
    local: Mapping[str, Built],
) -> Lock:
    """What was chosen, as a lock."""
    return Lock(
        target.name,
        resolver.version(),
        inputs_digest(recipe, target),
        tuple(file for file in chosen if isinstance(file, LockedWheel)),
        recipe.name,
        local=tuple(local[path].locked(path) for path in sorted(local)),
        sources=tuple(file for file in chosen if isinstance(file, LockedSource)),
    )


def _alike(lock: Lock, previous: Lock) -> bool:
    """Whether two locks differ in nothing but their builder, and what was taken from the image, which comes later."""
    own = msgspec.structs.replace(lock, builder=previous.builder, taken=previous.taken, image=previous.image)
    return own == previous


def changes(previous: Lock | None, lock: Lock) -> tuple[str, ...]:
    """What is different in ``lock``, a line for each package; nothing for a first lock."""
    if previous is None:
        return ()
    old, new = ({file.name: file for file in files(one)} for one in (previous, lock))
    lines = [_change(old.get(name), new.get(name)) for name in sorted({*old, *new})]
    before, after = ({local.path: local for local in one.local} for one in (previous, lock))
    lines += [_local_change(before.get(path), after.get(path)) for path in sorted({*before, *after})]
    return tuple(filter(None, lines))


def _local_change(old: LockedLocal | None, new: LockedLocal | None) -> str:
    if new is None:
        return f"{old.path} removed" if old is not None else ""
    if old is None:
        return f"{new.path} ({new.name}) added"
    return f"{new.path} ({new.name}) states other dependencies" if old != new else ""


def _change(old: LockedWheel | LockedSource | None, new: LockedWheel | LockedSource | None) -> str:
    if new is None:
        return f"{old.name} {old.version} removed" if old is not None else ""
    if old is None:
        return f"{new.name} {new.version} added"
    if old.version != new.version:
        return f"{new.name} {old.version} -> {new.version}"
    if old.filename != new.filename:
        return f"{new.name} {new.version}: now {new.filename}, was {old.filename}"
    return f"{new.name} {new.version}: {new.filename} has other bytes now" if old.sha256 != new.sha256 else ""


def _unknown(names: Sequence[str], previous: Lock | None, lock: Lock) -> list[str]:
    """Packages that were to be upgraded and that neither the old nor the new lock has."""
    known = {file.name for one in (previous, lock) for file in files(one)}
    notes = []
    for name in names:
        if canonical(name) not in known:
            near = difflib.get_close_matches(canonical(name), sorted(known), 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            notes.append(f"{name}: not in the lock, so there was nothing to upgrade{meant}")
    return notes
