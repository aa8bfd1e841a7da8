"""Where a project is from, as its git checkout states it; read from its files, so that no hook and no program runs.

Sources: gitrepository-layout(5), git-config(1) "Syntax".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"refs/[\w./+@-]+")
_SECTION = re.compile(r'\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
#: git@host:path, the form of ssh's own copy command.
_SCP = re.compile(r"(?:[^@/\s]+@)?([\w.-]+):(?!//|:)([^\s@]+)")
_PUBLIC = frozenset({"http", "https", "ssh", "git", "git+ssh"})
_MOST_BYTES = 16 * 1024**2


class Origin(NamedTuple):
    """The commit that is checked out and the URL of the remote ``origin``, without credentials; each may be empty."""

    revision: str
    url: str


def origin(root: Path) -> Origin:
    """What the git checkout says that holds the folder ``root``; empty where there is none."""
    for folder in (root, *root.parents):
        found = folder / ".git"
        if found.exists():
            git = _git_folder(found)
            return Origin("", "") if git is None else Origin(_revision(git), _remote(_common(git)))
    return Origin("", "")


def _git_folder(found: Path) -> Path | None:
    if found.is_dir():
        return found
    stated = _text(found).strip()  # of a worktree or submodule: a file that says where
    if not stated.startswith("gitdir:"):
        return None
    return found.parent / stated.removeprefix("gitdir:").strip()


def _common(git: Path) -> Path:
    """The folder with what all worktrees share."""
    stated = _text(git / "commondir").strip()
    return git / stated if stated else git


def _revision(git: Path) -> str:
    head = _text(git / "HEAD").strip()
    for _ in range(5):  # symbolic refs may name each other
        if _COMMIT.fullmatch(head):
            return head
        name = head.removeprefix("ref:").strip()
        if not _REF.fullmatch(name) or ".." in name:
            return ""
        head = _text(git / name).strip() or _text(_common(git) / name).strip() or _packed(_common(git), name)
    return ""


def _packed(common: Path, name: str) -> str:
    for line in _text(common / "packed-refs").splitlines():
        commit, _, ref = line.partition(" ")
        if ref == name:
            return commit
    return ""


def _remote(common: Path) -> str:
    section = ("", "")
    for line in _text(common / "config").splitlines():
        stripped = line.strip()
        if header := _SECTION.match(stripped):
            section = (header[1].lower(), header[2] or "")
        key, equals, value = stripped.partition("=")
        if section == ("remote", "origin") and equals and key.strip().lower() == "url":
            return public(value.strip().strip('"'))
    return ""


def public(url: str) -> str:
    """A remote's URL without user, password, query and fragment; empty for a path of this machine."""
    try:
        parts = urlsplit(url)
        if parts.scheme in _PUBLIC and parts.hostname:
            port = f":{parts.port}" if parts.port else ""
            if "@" in parts.path:  # of a password with a slash in it, which stands unquoted
                return ""
            return urlunsplit((parts.scheme, parts.hostname + port, parts.path, "", ""))
    except ValueError:
        return ""
    if (scp := _SCP.fullmatch(url)) and len(scp[1]) > 1:  # C:\ is a drive
        return f"ssh://{scp[1]}/{scp[2].lstrip('/')}"
    return ""


def _text(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe would be waited for
            return ""
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
