"""A file or folder of an image, from the tar that the engine gives: hostile, as all that an image holds."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from lamina.archive import check_name
from lamina.errors import IntegrityError, UnsafeWheelError, UsageError
from lamina.oci.tars import FILE, FOLDER, HARD_LINK, LINK, Member, Pieces, Tar

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Links that lead from one to the next; Linux follows 40 (path_resolution(7)).
_MOST_LINKS = 40


class File(NamedTuple):
    """A file: its absolute path in the image, and its content."""

    path: str
    content: bytes


class Budget:
    """What may still come out of an image: bytes of files, and entries. Shared by all that one recipe takes."""

    def __init__(self, image: str, most_bytes: int, most_entries: int) -> None:
        self._image = image
        self._bytes, self._entries = most_bytes, most_entries
        self._stated = f"{most_bytes:,} bytes in {most_entries:,} files and folders"

    def spend(self, path: str, size: int) -> None:
        """Count one more entry of that many bytes.

        Raises:
            UsageError: it is more than may be.
        """
        self._bytes -= size
        self._entries -= 1
        if self._bytes < 0 or self._entries < 0:
            raise UsageError(
                f"{self._image}: {path}: with it more than {self._stated} would be taken",
                hint="Name what is needed in overlay.from-image, rather than a folder that holds more.",
            )


def read(pieces: Iterable[bytes], path: str, image: str, budget: Budget) -> list[File]:
    """The file at ``path`` or all files below it, links replaced by what they lead to.

    Raises:
        IntegrityError: the tar is none, or holds what no such tar does: paths that escape, devices, a file twice.
        UsageError: a link leads out of the folder or to a folder; or it is too much.
    """
    found: dict[str, bytes] = {}
    links: dict[str, str] = {}
    root = posixpath.basename(path)
    above = posixpath.dirname(path).rstrip("/")
    try:
        tar = Tar(Pieces(pieces))
        for member in tar:
            inside = f"{above}/{_checked(member, root)}"
            budget.spend(inside, member.size if member.type in FILE else 0)
            if member.type == FOLDER:
                continue
            _check_file(member, inside, again=inside in found or inside in links)
            if member.type in FILE:
                found[inside] = b"".join(tar.pieces())
            elif member.type == LINK:
                links[inside] = posixpath.normpath(posixpath.join(posixpath.dirname(inside), member.link))
            else:
                links[inside] = posixpath.normpath(f"{above}/{member.link}")
    except IntegrityError as error:
        message = f"{image}: {path}: what the engine gives of it cannot be used: {error.message}"
        raise IntegrityError(message, hint="Look at that path in the image, or take another image.") from error
    for link in links:
        content = _followed(link, links, found, image)
        budget.spend(link, len(content))
        found[link] = content
    return [File(inside, found[inside]) for inside in sorted(found)]


def _checked(member: Member, root: str) -> str:
    name = member.name.removeprefix("./").rstrip("/")
    try:
        check_name(name)
    except UnsafeWheelError as error:
        raise IntegrityError(f"{name!r}: {error.message}") from None
    if name.partition("/")[0] != root:
        raise IntegrityError(f"{name!r} is not below {root}")
    return name


def _check_file(member: Member, inside: str, *, again: bool) -> None:
    if again:
        raise IntegrityError(f"{inside} comes twice")
    if member.type not in {*FILE, LINK, HARD_LINK}:
        raise IntegrityError(f"{inside} is a device, socket or pipe")


def _followed(link: str, links: dict[str, str], found: dict[str, bytes], image: str) -> bytes:
    """The content that a link leads to, over other links."""
    at = link
    for _ in range(_MOST_LINKS):
        at = links.get(at, at)
        if at in found:
            return found[at]
    raise UsageError(
        f"{image}: {link}: is a link to {links[link]!r}, which is no file of the folder that is taken",
        hint="Name the files that are needed in overlay.from-image one by one, or the folder that the link leads to.",
    )
