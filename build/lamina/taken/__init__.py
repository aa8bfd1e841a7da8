"""What a layer takes from the packages of its base image: ``[overlay] from-image`` of the recipe.

``lamina lock`` takes the files, writes each into the lock by path, SHA-256 and size, and keeps their contents in the
store. ``lamina build`` asks the store; what it lacks is taken again, and must be what the lock says.

What a build needs is here; an engine is only touched by :mod:`.take`, which this imports nothing of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from lamina.errors import MissingToolError, StaleLockError
from lamina.overlay import Generated, kind_of

if TYPE_CHECKING:
    from pathlib import Path

    from lamina.lock import LockedFile
    from lamina.project import Order
    from lamina.recipe import Recipe
    from lamina.store import Store
    from lamina.target import Target

#: Takes what an order's lock lists from the image, into the store.
Take = Callable[["Order"], None]

#: The kind under which the store keeps contents.
KIND = "taken"

#: Counted up with every change of what is taken for the same recipe.
FORMAT = 1

#: Whom files belong to, in findings.
OWNER = "the packages of the base image"


def check(order: Order) -> None:
    """Make sure that the lock has files of the image exactly where the recipe takes some.

    Raises:
        StaleLockError: lines were lost, as by a merge, or added.
    """
    if bool(order.recipe.overlay.from_image) != bool(order.lock.taken):
        what = "lists files" if order.lock.taken else "lists no file"
        raise StaleLockError(
            f"{order.project.shown(order.lock_path)}: {what} of the base image, against overlay.from-image",
            hint=f"Renew it: {order.lock.command}",
        )


def place(store: Store, sha256: str) -> Path:
    """Where the store keeps a content, or would."""
    return store.path(KIND, sha256)


def memo(store: Store, recipe: Recipe, target: Target, image: str) -> Path:
    """Where the store remembers which files were taken of an image, for what the recipe asks of it."""
    made_from = (
        f"taken {FORMAT}",
        image,
        target.name,
        recipe.base,
        sorted(recipe.artefacts),
        sorted(recipe.builder.system_packages),
        sorted(recipe.overlay.from_image),
    )
    return store.path("memos", hashlib.sha256(msgspec.json.encode(made_from)).hexdigest())


def used(order: Order, store: Store) -> list[Path]:
    """What a build with this lock relies on in the store."""
    files = order.lock.taken
    paths = [memo(store, order.recipe, order.target, order.lock.image)] if files else []
    return [*paths, *(place(store, file.sha256) for file in files)]


def keep(store: Store, files: Iterable[Generated]) -> None:
    """Put contents into the store, each under its SHA-256."""
    for file in files:
        with store.create(place(store, hashlib.sha256(file.content).hexdigest())) as beside:
            beside.write_bytes(file.content)


def missing(store: Store, files: Iterable[LockedFile]) -> Iterator[LockedFile]:
    """The files whose content the store does not have, or has damaged."""
    return (file for file in files if _content(store, file) is None)


def contents(order: Order, store: Store, take: Take | None) -> tuple[Generated, ...]:
    """The files that the lock lists, from the store; those that it lacks are taken again.

    Raises:
        StaleLockError: the image gives others now.
        MissingToolError: they are not in the store, and nothing here can take them.
    """
    files = order.lock.taken
    found = list(_loaded(store, files))
    if len(found) < len(files):
        if take is None:
            raise absent(order, len(files) - len(found), "and this command does not take them")
        take(order)
        found = list(_loaded(store, files))
    if len(found) < len(files):
        raise absent(order, len(files) - len(found), "although they were put there a moment ago")
    return tuple(found)


def absent(order: Order, count: int, why: str, hint: str = "") -> MissingToolError:
    """The error where contents are not in the store."""
    files = "1 file" if count == 1 else f"{count} files"
    return MissingToolError(
        f"{order.project.shown(order.lock_path)}: {files} of the base image not in the store, {why}",
        hint=hint or f"Run lamina build {order.recipe.name} where a container engine is.",
    )


def _loaded(store: Store, files: Sequence[LockedFile]) -> Iterator[Generated]:
    for file in files:
        content = _content(store, file)
        if content is not None:
            yield Generated(file.path, content, kind_of(content), OWNER)


def _content(store: Store, file: LockedFile) -> bytes | None:
    try:
        path = place(store, file.sha256)
        if path.stat().st_size != file.size:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == file.sha256 else None
