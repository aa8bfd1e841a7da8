"""``lamina lock`` and ``lamina build`` for files of the image: into the lock, and again from the image as locked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from lamina import taken
from lamina.engine.engine import ELSEWHERE
from lamina.errors import MissingToolError, StaleLockError
from lamina.lock import Lock, LockedFile
from lamina.progress import SILENT
from lamina.taken.take import open_base, take

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina.overlay import Generated
    from lamina.progress import Progress
    from lamina.project import Order
    from lamina.recipe import Recipe
    from lamina.store import Store
    from lamina.target import Target

_NAMED = 5


def lock_taken(  # noqa: PLR0913 - every effect is handed in
    lock: Lock,
    recipe: Recipe,
    target: Target,
    *,
    previous: Lock | None,
    store: Store,
    environment: Mapping[str, str],
    upgrade: bool = False,
    offline: bool = False,
    progress: Progress = SILENT,
) -> tuple[Lock, tuple[str, ...]]:
    """The lock with the files of the image in it, and what has changed, a line a file.

    What was taken from the same image, packages and entries before stays, as long as the store has all of it and the
    ``previous`` lock says nothing else; ``upgrade`` takes anew, as packages have newer versions then.

    Raises:
        LaminaError: as :func:`lamina.taken.take.take` and :func:`lamina.engine.room.open_room`.
    """
    try:
        room = open_base(recipe, target, environment, offline=offline, progress=progress)
    except MissingToolError as error:
        raise MissingToolError(
            f"{recipe.name}: overlay.from-image takes files from the base image: {error.message}",
            hint=error.hint.removesuffix(ELSEWHERE).strip(),
        ) from error
    with room:
        image = room.image.digest
        memo = taken.memo(store, recipe, target, image)
        files = None if upgrade else _remembered(store, store.load(memo))
        if files is None or (previous is not None and previous.image == image and previous.taken != files):
            found = take(room, recipe, target, offline=offline, progress=progress).files
            taken.keep(store, found)
            files = tuple(map(_locked, found))
            store.save(memo, msgspec.msgpack.encode(files))
    lock = msgspec.structs.replace(lock, taken=files, image=image)
    if previous is None:
        return lock, ()
    if msgspec.structs.replace(lock, builder=previous.builder) == previous:
        return previous, ()  # another version of the resolver alone is no change
    return lock, tuple(_changes(previous, lock))


def take_again(
    order: Order,
    *,
    store: Store,
    environment: Mapping[str, str],
    offline: bool = False,
    progress: Progress = SILENT,
) -> None:
    """Take what an order's lock lists once more, into the store.

    Raises:
        StaleLockError: the image is another one, or its packages give other files, than when the lock was made.
        MissingToolError: there is no engine.
        LaminaError: as :func:`lamina.taken.take.take`.
    """
    recipe, target, lock = order.recipe, order.target, order.lock
    where = order.project.shown(order.lock_path)
    count = sum(1 for _ in taken.missing(store, lock.taken))
    try:
        room = open_base(recipe, target, environment, image=lock.image, offline=offline, progress=progress)
    except MissingToolError as error:
        hint = (
            "Build on a machine that has them, or with a CI cache of its store (LAMINA_CACHE names the folder); or let "
            f"an engine take them: {error.hint.removesuffix(ELSEWHERE).strip()}"
        )
        raise taken.absent(order, count, f"and they cannot be taken again: {error.message}", hint) from error
    with room:
        found = take(room, recipe, target, offline=offline, progress=progress)
    differ = [*_differing(lock.taken, found.files)]
    if differ:
        more = f" and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
        raise StaleLockError(
            f"{where}: stale: the packages of {room.image.reference} give other files now than were locked: "
            f"{', '.join(differ[:_NAMED])}{more}",
            hint=f"Renew it: {lock.command}",
        )
    taken.keep(store, found.files)
    store.save(taken.memo(store, recipe, target, lock.image), msgspec.msgpack.encode(lock.taken))


def _remembered(store: Store, content: bytes | None) -> tuple[LockedFile, ...] | None:
    """The files that were taken for the same, where the store still has them all."""
    try:
        files = None if content is None else msgspec.msgpack.decode(content, type=tuple[LockedFile, ...])
    except msgspec.MsgspecError:
        return None
    return None if files is None or any(taken.missing(store, files)) else files


def _locked(file: Generated) -> LockedFile:
    return LockedFile(file.path, hashlib.sha256(file.content).hexdigest(), len(file.content))


def _differing(locked: tuple[LockedFile, ...], found: tuple[Generated, ...]) -> Iterator[str]:
    before, now = ({file.path: file for file in files} for files in (locked, map(_locked, found)))
    return (path for path in sorted({*before, *now}) if before.get(path) != now.get(path))


def _changes(previous: Lock, lock: Lock) -> Iterator[str]:
    before, now = ({file.path: file for file in one.taken} for one in (previous, lock))
    if previous.taken and previous.image != lock.image:
        yield f"files are taken from the image {lock.image}, was {previous.image}"
    for path in sorted({*before, *now}):
        if path not in now:
            yield f"{path} of the image removed"
        elif path not in before:
            yield f"{path} of the image added"
        elif before[path] != now[path]:
            yield f"{path} of the image has other bytes now"
