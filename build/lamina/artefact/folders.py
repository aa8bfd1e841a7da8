"""A folder, taken as an artefact that is unpacked already. No link in it is followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.archive import MOST_ENTRIES
from lamina.artefact.content import look_at
from lamina.artefact.gathered import Gathered

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1024 * 1024
_READABLE = "Make it readable for you (chmod u+r; a folder needs u+rx), or audit as its owner."


def read_folder(path: Path, name: str, *, sources: bool) -> Gathered:
    """Read the folder at ``path``, which the user calls ``name``."""
    gathered = Gathered(name)
    root = os.fspath(path)

    def unreadable(error: OSError) -> None:
        at = _inside(root, error.filename or root)
        gathered.damaged(at or name, f"is a folder that cannot be read: {error.strerror}", _READABLE)

    for folder, names, files in os.walk(root, onerror=unreadable):
        names.sort()
        for file in (*names, *sorted(files)):
            full = os.path.join(folder, file)  # noqa: PTH118 - os.walk speaks in strings
            if len(gathered.items) >= MOST_ENTRIES:
                gathered.damaged(
                    name, f"has more than {MOST_ENTRIES:,} files; lamina reads no more", "Name a part of it."
                )
                return gathered
            _read_one(gathered, full, _inside(root, full), sources=sources)
    return gathered


def read_file(path: Path, inside: str, gathered: Gathered, mode: int | None, *, sources: bool) -> None:
    """Take one regular file under the path ``inside``; one that cannot be read is a finding."""
    size = path.lstat().st_size
    gathered.add(inside, size, mode)
    sources = sources and gathered.affords(inside, size)
    try:
        gathered.saw(inside, look_at(inside, size, _pieces(path), sources=sources))
    except OSError as error:
        gathered.damaged(inside, f"cannot be read: {error.strerror}", _READABLE)


def mode_of(status: os.stat_result) -> int | None:
    """The permission bits; Windows has none of its own."""
    return None if os.name == "nt" else stat.S_IMODE(status.st_mode) & 0o777


def _read_one(gathered: Gathered, full: str, inside: str, *, sources: bool) -> None:
    if not gathered.is_safe(inside):
        return
    try:
        status = os.lstat(full)
        mode = mode_of(status)
        if stat.S_ISLNK(status.st_mode):
            gathered.add(inside, 0, mode, "link", os.fsencode(os.readlink(full)).decode("utf-8", errors="replace"))  # noqa: PTH115
        elif stat.S_ISDIR(status.st_mode):
            gathered.add(inside, 0, mode, "folder")
        elif stat.S_ISREG(status.st_mode):
            read_file(Path(full), inside, gathered, mode, sources=sources)
        else:
            gathered.unsafe(inside, "a device, socket or pipe", "Remove it: neither a zip nor Lambda can hold one.")
    except OSError as error:
        gathered.damaged(inside, f"cannot be read: {error.strerror}", _READABLE)


def _inside(root: str, full: str) -> str:
    relative = os.path.relpath(full, root)
    return "" if relative == os.curdir else relative.replace(os.sep, "/")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece
