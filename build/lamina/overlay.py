"""Files of a layer that no wheel brings: made for it, or taken from the recipe's overlay, relative to ``/opt``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from lamina.errors import UnsafeWheelError, UsageError
from lamina.part.model import ELF, PLAIN, SCRIPT

#: What version control and desktops leave in folders, and nobody means to ship.
_IGNORED = frozenset({".gitkeep", ".DS_Store", "Thumbs.db", "__pycache__"})


class Generated(NamedTuple):
    """A file that no part holds: made for this layer, or taken from the overlay. ``owner`` is what it belongs to."""

    path: str
    content: bytes
    kind: int
    owner: str

    @property
    def mode(self) -> int:
        """Permissions by content, as for the entries of parts."""
        return 0o644 if self.kind == PLAIN else 0o755


def kind_of(content: bytes) -> int:
    """What a file is by its first bytes; decides its mode, so that every host gives the same."""
    return ELF if content.startswith(b"\x7fELF") else SCRIPT if content.startswith(b"#!") else PLAIN


def read_overlay(folder: Path) -> tuple[Generated, ...]:
    """All files below ``folder``, by path; empty where there is no such folder.

    Modes come from content, so that a checkout on Windows gives the same layer.

    Raises:
        UsageError: a link, or something that is no file: what it would become differs from host to host; a name that
            no layer can hold.
        OSError: a file or folder cannot be read.
    """
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise UsageError(f"{folder}: is no folder", hint="Put the files of the overlay into a folder of that name.")
        return ()
    found = []
    for parent, folders, names in os.walk(folder, onerror=_fail):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise UsageError(f"{path}: a link or special file in an overlay", hint="Put the file itself there.")
        folders[:] = sorted(set(folders) - _IGNORED)
        for name in names:
            if name not in _IGNORED:
                path = Path(parent, name)
                inside = path.relative_to(folder).as_posix()
                _check(folder, inside)
                content = path.read_bytes()
                found.append(Generated(inside, content, kind_of(content), "the overlay"))
    return tuple(sorted(found, key=lambda file: file.path.encode()))


def _check(folder: Path, inside: str) -> None:
    from lamina.archive import check_name

    try:
        check_name(inside)
    except UnsafeWheelError as error:
        raise UsageError(f"{folder}: {inside!r}: {error.message}", hint="Rename the file.") from None


def _fail(error: OSError) -> None:
    """A folder that cannot be read is none that is empty."""
    raise error
