"""A lock as a value: the files for one recipe and one target, each by its one hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from lamina.target import Target


class LockedWheel(msgspec.Struct, frozen=True):
    """One wheel. ``name`` and ``version`` are normalized, ``sha256`` is hexadecimal, ``size`` is in bytes."""

    name: str
    version: str
    filename: str
    sha256: str
    size: int


class LockedSource(msgspec.Struct, frozen=True):
    """A source distribution of which no wheel exists for the target: it is built inside the base image.

    Fields as of :class:`LockedWheel`; ``filename`` ends in ``.tar.gz`` or ``.zip``.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size: int


class LockedFile(msgspec.Struct, frozen=True):
    """A file taken from the base image's packages: its path in the layer, its SHA-256, its size in bytes."""

    path: str
    sha256: str
    size: int


class LockedLocal(msgspec.Struct, frozen=True):
    """A local project: its folder as ``./packages/shared``, its normalized name, the SHA-256 of its metadata."""

    path: str
    name: str
    metadata: str


class Lock(msgspec.Struct, frozen=True):
    """The wheels for one target, by name; ``inputs`` is the digest of what was resolved, ``builder`` what resolved it.

    ``recipe`` is the recipe's name, for the command that renews the lock. ``local`` are its local projects, by path.
    ``sources`` are packages that are built from source, by name. ``taken`` are the files from the packages of the base
    image, by path, and ``image`` is that image's digest (``sha256:…``), empty where nothing was taken.
    """

    target: str
    builder: str
    inputs: str
    wheels: tuple[LockedWheel, ...]
    recipe: str = ""
    local: tuple[LockedLocal, ...] = ()
    sources: tuple[LockedSource, ...] = ()
    taken: tuple[LockedFile, ...] = ()
    image: str = ""

    @property
    def command(self) -> str:
        """The command that renews this lock."""
        return renewal(self.recipe)


def lock_path(recipe_path: Path, recipe_name: str, target: Target) -> Path:
    """Where the lock of a recipe stands: ``locks/<name>-<target>.txt`` beside the recipe's file."""
    return recipe_path.parent / "locks" / f"{recipe_name}-{target.name}.txt"


def renewal(recipe: str) -> str:
    """The command that makes the locks of a recipe."""
    return f"lamina lock {recipe}".rstrip()
