"""The sources of a local project: which files count, and their digest.

A wheel is built from a copy of these files and of nothing else, so the digest names everything that can enter it, and
what a backend leaves beside the sources (setuptools: ``build/lib``, ``*.egg-info``) neither enters nor counts. Left out
are version control, environments, caches, bytecode and outputs; what ``.gitignore`` says is not asked, since generated
code is often both ignored and needed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from lamina.errors import UsageError

#: Folders that never hold sources, wherever they stand.
FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", ".bzr", ".jj", ".venv", ".tox", ".nox", ".eggs", ".mypy_cache", ".ruff_cache",
        ".pytest_cache", ".hypothesis", ".ipynb_checkpoints", ".idea", ".vscode", "__pycache__", "node_modules",
    }
)  # fmt: skip

#: Folders that are outputs at the top of a project. ``build`` itself may be a source root.
OUTPUTS = ("dist", "build/lib", "build/bdist.", "build/temp.", "build/lib.", "build/scripts-")

_ENDINGS = (".pyc", ".pyo")
_FILES = frozenset({".DS_Store", "Thumbs.db", ".coverage", ".git"})


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that count, as path below ``folder`` with ``/`` and full path, sorted by the former's bytes.

    A link to a file counts as the file. Links to folders are not followed, nor what is no regular file.
    """
    found: list[tuple[str, Path]] = []
    for parent, folders, names in os.walk(folder):
        inner = os.path.relpath(parent, folder).replace(os.sep, "/")
        prefix = "" if inner == "." else inner + "/"
        folders[:] = [name for name in folders if not _left_out(Path(parent, name), prefix + name)]
        for name in names:
            path = Path(parent, name)
            if name not in _FILES and not name.endswith(_ENDINGS) and path.is_file():
                found.append((prefix + name, path))
    return iter(sorted(found, key=lambda file: os.fsencode(file[0])))


def digest(folder: Path) -> str:
    """SHA-256 over the files that count, with their paths and sizes; modes and dates make no difference.

    Raises:
        UsageError: a file cannot be read.
    """
    whole = hashlib.sha256()
    for name, path in files(folder):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{path}: cannot be read: {error.strerror}", hint="Local projects are read whole."
            ) from error
        whole.update(os.fsencode(f"{name}\0{len(content)}\n"))
        whole.update(content)
    return whole.hexdigest()


def copy(folder: Path, to: Path) -> None:
    """Copy the files that count."""
    import shutil

    to.mkdir(parents=True)
    for name, path in files(folder):
        place = to / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        place.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _left_out(folder: Path, inner: str) -> bool:
    name = folder.name
    if name in FOLDERS or name.endswith(".egg-info") or _is_output(inner):
        return True
    return (folder / "pyvenv.cfg").is_file()


def _is_output(inner: str) -> bool:
    return any(inner == output or (output.endswith((".", "-")) and inner.startswith(output)) for output in OUTPUTS)
