"""Files of a base image's packages, taken in a container of that image: the edge, where an engine works."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lamina.engine.base import runnable
from lamina.engine.packages import install, offline_error
from lamina.engine.room import open_room
from lamina.errors import IntegrityError, MissingToolError
from lamina.progress import SILENT
from lamina.taken.closure import Source, Wanted, collect
from lamina.taken.tree import Budget, File, read
from lamina.target import has_own_base

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lamina.engine.room import Room
    from lamina.overlay import Generated
    from lamina.progress import Progress
    from lamina.recipe import Recipe
    from lamina.target import Target

#: More than any layer holds, and what an image may well have; all of it is in memory once.
_MOST_BYTES = 1024**3
_MOST_FILES = 65_535

_LONGEST_SEARCH = 120.0  # seconds


class Taken(NamedTuple):
    """What came out of an image: its digest, and the files by path."""

    image: str
    files: tuple[Generated, ...]


def open_base(
    recipe: Recipe,
    target: Target,
    environment: Mapping[str, str],
    *,
    image: str = "",
    offline: bool = False,
    progress: Progress = SILENT,
) -> Room:
    """A container of that image; with ``image``, a digest, of that very one where the engine can have it.

    Where it cannot, the image that has the name now may still give the same files.

    Raises:
        MissingToolError, UsageError: as :func:`lamina.engine.room.open_room`.
    """
    name = runnable(recipe, target, environment)
    network = bool(recipe.builder.system_packages) and not offline
    room = open_room(name, target, environment, network=network, offline=offline, progress=progress)
    if not image or room.image.digest == image:
        return room
    folder, slash, last = name.partition("@")[0].rpartition("/")
    pinned = f"{folder}{slash}{last.partition(':')[0]}@{image}"
    try:
        exact = open_room(pinned, target, environment, network=network, offline=offline, progress=progress)
    except MissingToolError:
        return room
    except BaseException:
        room.close()
        raise
    room.close()
    return exact


def take(room: Room, recipe: Recipe, target: Target, *, offline: bool = False, progress: Progress = SILENT) -> Taken:
    """Install the recipe's system packages in a fresh container and take what ``overlay.from-image`` names.

    Raises:
        IndexAccessError: the packages cannot be had.
        UsageError: the image has no package manager; an entry names nothing in it, or something that cannot be taken.
        IntegrityError: the image or the engine gives what it cannot be.
        MissingToolError: the engine refuses.
    """
    image = room.image.reference
    folders = target.runtime.library_path
    there = set(_located(room, folders, ())[1])
    if not has_own_base(recipe.artefacts, recipe.base):
        there |= target.runtime.libraries_present
    if recipe.builder.system_packages:
        if offline:
            raise offline_error(image, recipe.builder.system_packages)
        install(room, recipe.builder.system_packages, progress=progress)
    progress.stage(f"taking {', '.join(recipe.overlay.from_image)} from {image}")
    budget = Budget(image, _MOST_BYTES, _MOST_FILES)

    def files(path: str) -> list[File]:
        try:
            return read(room.get(path), path, image, budget)
        except FileNotFoundError:
            raise _lie(image, f"{path} is not there") from None

    source = Source(image, lambda wanted: _located(room, folders, wanted)[0], files)
    found = collect(recipe.overlay.from_image, source, architecture=target.architecture, there=there)
    return Taken(room.image.digest, found)


def _located(room: Room, folders: Sequence[str], wanted: Sequence[Wanted]) -> tuple[list[str | None], list[str]]:
    """The real path of each that is wanted, and the names of all libraries that the loader can find."""
    program = Path(__file__).with_name("inside").joinpath("locate.py").read_text(encoding="utf-8")
    asked = json.dumps({"folders": [*folders], "wanted": [one._asdict() for one in wanted]}).encode()
    outcome = room.python("-I", "-S", "-B", "-c", program, stdin=asked, seconds=_LONGEST_SEARCH)
    image = room.image.reference
    try:
        told: dict[str, Any] = json.loads(outcome.stdout)
        found, names = list(told["found"]), list(told["names"])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = outcome.stderr.decode(errors="replace").strip().splitlines()
        raise _lie(image, said[-1] if said else "the search for files does not answer") from None
    if len(found) != len(wanted) or not all(isinstance(name, str) for name in names):
        raise _lie(image, "the search for files answers something else")
    for path in found:
        if path is not None and not (
            isinstance(path, str) and path.startswith("/") and posixpath.normpath(path) == path
        ):
            raise _lie(image, f"the search for files answers {path!r}")
    return found, names


def _lie(image: str, what: str) -> IntegrityError:
    return IntegrityError(f"{image}: {what}", hint="Look at what the image holds, or take another one.")
