"""Locks as text: one line a file, strict in what is read."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NoReturn, TypeVar

from lamina.errors import MissingLockError, UsageError
from lamina.lock.model import Lock, LockedFile, LockedLocal, LockedSource, LockedWheel, renewal
from lamina.recipe.spelling import canonical, canonical_requirement

if TYPE_CHECKING:
    from pathlib import Path

_T = TypeVar("_T")

#: No wheel is larger (4 GiB is the end of plain zip), and no sum of sizes grows beyond what a number may cost.
_LARGEST = 1 << 40

#: No file system takes longer names, and no name hides more tags than can be counted.
_LONGEST = 255

_HASH = "--hash=sha256:"
_LOCAL, _TAKEN, _IMAGE = "# local: ", "# taken: ", "# image: "
_HEX = frozenset("0123456789abcdef")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

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
#: PEP 625, and what older projects offer.
_SOURCE_ENDS = (".tar.gz", ".zip")
_SOURCE = re.compile(r"([A-Za-z0-9_.]+(?:-[A-Za-z0-9_.]+)*)-([A-Za-z0-9_.!+]+)")
_IMAGE_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def render(lock: Lock) -> str:
    """Write a lock; :func:`parse` reads it back to an equal value."""
    lines = [
        f"# Written by `{lock.command}`; to renew it, run that again. pip reads it with --require-hashes.",
        *(f"# {key}: {getattr(lock, key)}" for key in _HEADER),
    ]
    lines += [f"{_LOCAL}{local.path} {local.name} {local.metadata}" for local in lock.local]
    lines += [f"{_IMAGE}{lock.image}"] if lock.image else []
    lines += [f"{_TAKEN}{file.path} {file.sha256} {file.size}" for file in lock.taken]
    files: list[LockedWheel | LockedSource] = sorted([*lock.wheels, *lock.sources], key=lambda file: file.name)
    lines += [f"{file.name}=={file.version} {_HASH}{file.sha256}  # {file.filename} {file.size}" for file in files]
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
        hint = f"Make it: {renewal(found[1] if found else '')}"
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
    found = _Found()
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        place = f"{where}:{number}"
        if stripped.startswith(_LOCAL):
            project = _local(stripped, place)
            _once(found.local, project.path, project, place)
        elif stripped.startswith(_TAKEN):
            taken = _taken(stripped, place)
            _once(found.taken, taken.path, taken, place)
        elif stripped.startswith(_IMAGE):
            _once(found.image, "the image", _image(stripped, place), place)
        elif stripped.startswith("#"):
            _comment(stripped, place, header)
        elif stripped:
            file = _file(stripped, place)
            _once(found.files, file.name, file, place)
    missing = [key for key in _HEADER if key not in header]
    if missing:
        _refuse(where, f"the header does not state {', '.join(missing)}")
    if bool(found.taken) != bool(found.image):
        _refuse(where, "files are taken from an image, and the image is named, or neither is so")
    files = [found.files[name] for name in sorted(found.files)]
    return Lock(
        header["target"],
        header["builder"],
        header["inputs"],
        tuple(file for file in files if isinstance(file, LockedWheel)),
        header["recipe"],
        local=tuple(found.local[path] for path in sorted(found.local)),
        sources=tuple(file for file in files if isinstance(file, LockedSource)),
        taken=tuple(found.taken[path] for path in sorted(found.taken)),
        image=next(iter(found.image.values()), ""),
    )


class _Found:
    """What a lock holds below its header, by what may stand there once only."""

    def __init__(self) -> None:
        self.files: dict[str, LockedWheel | LockedSource] = {}
        self.local: dict[str, LockedLocal] = {}
        self.taken: dict[str, LockedFile] = {}
        self.image: dict[str, str] = {}


def _once(found: dict[str, _T], key: str, value: _T, place: str) -> None:
    if key in found:
        _refuse(place, f"{key} stands here twice")
    found[key] = value


def _comment(line: str, place: str, header: dict[str, str]) -> None:
    """Add what a comment states of the header, if it is of the header."""
    key, colon, value = line[1:].strip().partition(": ")
    if colon and key in _HEADER:
        if key in header:
            _refuse(place, f"the header states {key!r} twice")
        if not _HEADER[key].fullmatch(value):
            _refuse(place, f"{key}: {value!r} cannot be that")
        header[key] = value


_RENEW = "Locks are written by `lamina lock`; run it for this recipe rather than editing the file."


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


def _image(line: str, place: str) -> str:
    """The digest of the image that files were taken from."""
    digest = line.removeprefix(_IMAGE)
    if not _IMAGE_DIGEST.fullmatch(digest):
        _refuse(place, f"{digest!r} is no digest of an image")
    return digest


def _taken(line: str, place: str) -> LockedFile:
    """The line of a file from the image's packages."""
    words = line.removeprefix(_TAKEN).rsplit(" ", 2)
    if len(words) != 3:  # noqa: PLR2004
        _refuse(place, "expected `# taken: path digest size`")
    path, digest, size = words
    if (
        not path.isprintable()
        or path != posixpath.normpath(path)
        or path.startswith(("/", "../"))
        or path in {"", ".", ".."}
    ):
        _refuse(place, f"{path!r} is no path inside a layer")
    if not _is_digest(digest):
        _refuse(place, f"{digest!r} is no SHA-256")
    return LockedFile(path, digest, _size(size, place, least=0))


def _file(line: str, place: str) -> LockedWheel | LockedSource:
    """The line of a wheel, or of a source distribution."""
    words = line.split()
    if len(words) != 5 or words[2] != "#" or not words[1].startswith(_HASH) or "==" not in words[0]:  # noqa: PLR2004
        _refuse(place, "expected `name==version --hash=sha256:… # file size`")
    name, _, version = words[0].partition("==")
    digest, filename = words[1].removeprefix(_HASH), words[3]
    if not _NAME.fullmatch(name):
        _refuse(place, f"{name!r} is no normalized name of a package")
    if not _VERSION.fullmatch(version):
        _refuse(place, f"{version!r} is no normalized version")
    if not _is_digest(digest):
        _refuse(place, f"{digest!r} is no SHA-256")
    size = _size(words[4], place, least=1)
    if ".." in filename or len(filename) > _LONGEST:
        _refuse(place, f"{filename!r} is no file name of a wheel")
    if filename.endswith(_SOURCE_ENDS):
        _stated_by_source(filename, name, version, place)
        return LockedSource(name, version, filename, digest, size)
    if not _FILENAME.fullmatch(filename):
        _refuse(place, f"{filename!r} is no file name of a wheel")
    stated = filename.split("-")
    if canonical(stated[0]) != name or not _same_version(stated[1], version):
        _refuse(place, f"{filename!r} is no wheel of {name} {version}")
    return LockedWheel(name, version, filename, digest, size)


def _stated_by_source(filename: str, name: str, version: str, place: str) -> None:
    """Hold the file name of a source distribution against name and version."""
    stem = next(filename.removesuffix(end) for end in _SOURCE_ENDS if filename.endswith(end))
    stated = _SOURCE.fullmatch(stem)
    if stated is None or canonical(stated[1]) != name or not _same_version(stated[2], version):
        _refuse(place, f"{filename!r} is no source distribution of {name} {version}")


def _size(text: str, place: str, *, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 14 and least <= int(text) < _LARGEST):  # noqa: PLR2004
        _refuse(place, f"{text!r} is no size in bytes")
    return int(text)


def _same_version(stated: str, version: str) -> bool:
    """Whether the version in a file name is ``version``; other spellings than the normal one are rare and slow."""
    if stated == version:
        return True
    from packaging.version import Version

    try:
        return Version(stated.replace("_", "-")) == Version(version)
    except ValueError:  # no version, or one of more digits than Python makes a number of
        return False


def _is_digest(text: str) -> bool:
    return len(text) == 64 and _HEX.issuperset(text)  # noqa: PLR2004
