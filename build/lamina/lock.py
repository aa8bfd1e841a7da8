"""Locks: the exact wheels for one recipe and one target, as hashed requirements that pip reads too.

One line is one wheel::

    numpy==1.26.4 --hash=sha256:666d…  # numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl 18256503

The line states the one hash of the one wheel that was chosen; the comment, its file name and its size in bytes. No line
holds a URL, so the same lock serves every index and mirror. The header says for which target, by which builder, and
from which resolution inputs the lock was made, and how to renew it.

A lock is read at the start of every build: nothing here is imported that a warm build can do without.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import TYPE_CHECKING, NoReturn

import msgspec

from lamina.errors import MissingLockError, StaleLockError, UsageError
from lamina.recipe.spelling import canonical, canonical_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lamina.recipe import Recipe
    from lamina.target import Target

#: No wheel is larger (4 GiB is the end of plain zip), and no sum of sizes grows beyond what a number may cost.
_LARGEST = 1 << 40

#: No file system takes longer names, and no name hides more tags than can be counted.
_LONGEST = 255

_HASH = "--hash=sha256:"
_LOCAL = "# local: "
_HEX = frozenset("0123456789abcdef")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

__all__ = [
    "Lock",
    "LockedLocal",
    "LockedWheel",
    "canonical",
    "canonical_requirement",
    "check",
    "inputs_digest",
    "lock_path",
    "parse",
    "read",
    "render",
    "verify",
]

#: What the header states, in this order. The values are shown in messages and commands, so they are held to it.
_HEADER = {
    "recipe": _WORD,
    "target": _WORD,
    "builder": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,99}"),
    "inputs": re.compile(r"[0-9a-f]{64}"),
}
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_VERSION = re.compile(r"[a-z0-9]+(?:[.!+][a-z0-9]+)*")
_FILENAME = re.compile(r"[A-Za-z0-9_.!+]+(?:-[A-Za-z0-9_.!+]+){4,5}\.whl")


class LockedWheel(msgspec.Struct, frozen=True):
    """One wheel. ``name`` and ``version`` are normalized, ``sha256`` is hexadecimal, ``size`` is in bytes."""

    name: str
    version: str
    filename: str
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
    """

    target: str
    builder: str
    inputs: str
    wheels: tuple[LockedWheel, ...]
    recipe: str = ""
    local: tuple[LockedLocal, ...] = ()

    @property
    def command(self) -> str:
        """The command that renews this lock."""
        return _command(self.recipe)


def lock_path(recipe_path: Path, recipe_name: str, target: Target) -> Path:
    """Where the lock of a recipe stands: ``locks/<name>-<target>.txt`` beside the recipe's file."""
    return recipe_path.parent / "locks" / f"{recipe_name}-{target.name}.txt"


def render(lock: Lock) -> str:
    """Write a lock; :func:`parse` reads it back to an equal value."""
    lines = [
        f"# Written by `{lock.command}`; to renew it, run that again. pip reads it with --require-hashes.",
        *(f"# {key}: {getattr(lock, key)}" for key in _HEADER),
    ]
    lines += [f"{_LOCAL}{local.path} {local.name} {local.metadata}" for local in lock.local]
    lines += [
        f"{wheel.name}=={wheel.version} {_HASH}{wheel.sha256}  # {wheel.filename} {wheel.size}" for wheel in lock.wheels
    ]
    return "\n".join(lines) + "\n"


def read(path: Path) -> Lock:
    """Read the lock in the file ``path``.

    Raises:
        MissingLockError: there is no such file.
        UsageError: the file is not what :func:`render` writes.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        found = re.match(r"(.+?)-cp3\d+-", path.name)
        hint = f"Make it: {_command(found[1] if found else '')}"
        raise MissingLockError(f"{path}: there is no lock yet", hint=hint) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a lock: {error.reason} at byte {error.start}", hint=_RENEW) from error
    return parse(text, str(path))


def parse(text: str, where: str) -> Lock:
    """Read a lock strictly: every line is one that :func:`render` writes, each wheel's file name is its own.

    Raises:
        UsageError: it is not so; the message says in which line of ``where``, and what was expected there.
    """
    header: dict[str, str] = {}
    wheels: dict[str, LockedWheel] = {}
    local: dict[str, LockedLocal] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        place = f"{where}:{number}"
        if stripped.startswith(_LOCAL):
            project = _local(stripped, place)
            if project.path in local:
                _refuse(place, f"{project.path} stands here twice")
            local[project.path] = project
        elif stripped.startswith("#"):
            _comment(stripped, place, header)
        elif stripped:
            wheel = _wheel(stripped, place)
            if wheel.name in wheels:
                _refuse(place, f"{wheel.name} stands here twice")
            wheels[wheel.name] = wheel
    missing = [key for key in _HEADER if key not in header]
    if missing:
        _refuse(where, f"the header does not state {', '.join(missing)}")
    ordered = tuple(wheels[name] for name in sorted(wheels))
    projects = tuple(local[path] for path in sorted(local))
    return Lock(header["target"], header["builder"], header["inputs"], ordered, header["recipe"], projects)


def _comment(line: str, place: str, header: dict[str, str]) -> None:
    """Add what a comment states of the header, if it is of the header."""
    key, colon, value = line[1:].strip().partition(": ")
    if colon and key in _HEADER:
        if key in header:
            _refuse(place, f"the header states {key!r} twice")
        if not _HEADER[key].fullmatch(value):
            _refuse(place, f"{key}: {value!r} cannot be that")
        header[key] = value


def check(lock: Lock, recipe: Recipe, target: Target, where: str) -> None:
    """Make sure that the lock was made for ``target`` from what the recipe now states.

    Raises:
        StaleLockError: it was not; the hint is the command that renews it.
    """
    hint = f"Renew it: {_command(recipe.name)}"
    if lock.target != target.name:
        raise StaleLockError(f"{where}: made for {lock.target}, not for {target.name}", hint=hint)
    if lock.inputs != inputs_digest(recipe, target):
        inputs = "requirements, constraints, provided packages, folders or indexes"
        message = f"{where}: stale: the recipe now states other {inputs}"
        raise StaleLockError(message, hint=hint)


def verify(lock: Lock, recipe: Recipe, target: Target, where: str) -> None:
    """Make sure that the lock is one that resolution can have written. Imports more than a warm build needs.

    Raises:
        UsageError: a wheel is for another Python or platform.
        StaleLockError: a requirement that holds on the target has no wheel, as after a merge that lost a line.
    """
    accepted = frozenset(target.tags())
    for wheel in lock.wheels:
        pythons, abis, platforms = (part.split(".") for part in wheel.filename[: -len(".whl")].rsplit("-", 3)[1:])
        if not any(f"{a}-{b}-{c}" in accepted for a in pythons for b in abis for c in platforms):
            message = f"{where}: {wheel.filename}: {target.name} does not accept this wheel"
            raise UsageError(message, hint=f"Renew the lock: {_command(recipe.name)}")
    names = {wheel.name for wheel in lock.wheels}.union(map(canonical, recipe.provided))
    for name in required(recipe.requirements, target):
        if name not in names:
            raise StaleLockError(
                f"{where}: has no wheel of {name}, which the recipe requires", hint=f"Renew it: {_command(recipe.name)}"
            )


def required(requirements: Iterable[str], target: Target) -> Iterator[str]:
    """The normalized names of the requirements whose markers hold on the target; what is no requirement is left out."""
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement

    environment = {**target.markers(), "extra": ""}
    for text in requirements:
        with contextlib.suppress(InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                yield canonical(requirement.name)


def inputs_digest(recipe: Recipe, target: Target) -> str:
    """SHA-256 of what resolution starts from, in hexadecimal, whatever the order, spacing and case it is written in.

    That is requirements, constraints, provided packages, folders of wheels and indexes of the recipe, and the target;
    nothing else of the recipe makes a lock stale.
    """
    inputs = {
        "requirements": _sorted(recipe.requirements),
        "constraints": _sorted(recipe.constraints),
        "provided": sorted({canonical(name) for name in recipe.provided}),
        "find-links": sorted({folder.replace("\\", "/").rstrip("/") for folder in recipe.find_links}),
        "index": sorted((index.name, index.url, sorted(map(canonical, index.packages))) for index in recipe.index),
        "target": target.name,
    }
    return hashlib.sha256(msgspec.json.encode(inputs, order="sorted")).hexdigest()


def _sorted(requirements: Sequence[str]) -> list[str]:
    return sorted({canonical_requirement(text) for text in requirements})


_RENEW = "Locks are written by `lamina lock`; run it for this recipe rather than editing the file."


def _command(recipe: str) -> str:
    return f"lamina lock {recipe}".rstrip()


def _refuse(place: str, message: str) -> NoReturn:
    raise UsageError(f"{place}: {message}", hint=_RENEW)


def _local(line: str, place: str) -> LockedLocal:
    """The line of a local project."""
    words = line.removeprefix(_LOCAL).rsplit(" ", 2)
    if len(words) != 3:  # noqa: PLR2004
        _refuse(place, "expected `# local: ./folder name digest`")
    path, name, digest = words
    if (
        not path.startswith("./")
        or canonical_requirement(path) != path
        or ".." in path.split("/")
        or not path.isprintable()
    ):
        _refuse(place, f"{path!r} is no folder of a local project")
    if not _NAME.fullmatch(name):
        _refuse(place, f"{name!r} is no normalized name of a package")
    if not _is_digest(digest):
        _refuse(place, f"{digest!r} is no SHA-256")
    return LockedLocal(path, name, digest)


def _wheel(line: str, place: str) -> LockedWheel:
    """One line of a lock."""
    words = line.split()
    if len(words) != 5 or words[2] != "#" or not words[1].startswith(_HASH) or "==" not in words[0]:  # noqa: PLR2004
        _refuse(place, "expected `name==version --hash=sha256:… # file size`")
    name, _, version = words[0].partition("==")
    digest, filename, size = words[1].removeprefix(_HASH), words[3], words[4]
    if not _NAME.fullmatch(name):
        _refuse(place, f"{name!r} is no normalized name of a package")
    if not _VERSION.fullmatch(version):
        _refuse(place, f"{version!r} is no normalized version")
    if not _is_digest(digest):
        _refuse(place, f"{digest!r} is no SHA-256")
    if not (size.isascii() and size.isdigit() and len(size) < 14 and 0 < int(size) < _LARGEST):  # noqa: PLR2004
        _refuse(place, f"{size!r} is no size in bytes")
    if not _FILENAME.fullmatch(filename) or ".." in filename or len(filename) > _LONGEST:
        _refuse(place, f"{filename!r} is no file name of a wheel")
    stated = filename.split("-")
    if canonical(stated[0]) != name or not _same_version(stated[1], version):
        _refuse(place, f"{filename!r} is no wheel of {name} {version}")
    return LockedWheel(name, version, filename, digest, int(size))


def _same_version(stated: str, version: str) -> bool:
    """Whether the version in a file name is ``version``; other spellings than the normal one are rare and slow."""
    if stated == version:
        return True
    from packaging.version import InvalidVersion, Version

    try:
        return Version(stated.replace("_", "-")) == Version(version)
    except InvalidVersion:
        return False


def _is_digest(text: str) -> bool:
    return len(text) == 64 and _HEX.issuperset(text)  # noqa: PLR2004
