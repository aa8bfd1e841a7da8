"""What indexes offer, as values: files, and projects of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec


class IndexFile(msgspec.Struct, frozen=True):
    """A file on an index or in a folder. ``sha256`` and ``size`` (bytes) are ``None`` where nobody states them.

    ``version`` is normalized (PEP 440), ``url`` without credentials; that of a file in a folder begins with ``file:``.
    ``metadata``: the wheel's METADATA stands beside it (PEP 658). Only wheels have ``tags`` and a ``build``.
    """

    filename: str
    version: str
    url: str
    sha256: str | None = None
    size: int | None = None
    requires_python: str | None = None
    yanked: bool = False
    metadata: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag of the file's compressed tag set (PEP 425), written out."""
        pythons, abis, platforms = (part.split(".") for part in self.filename[: -len(".whl")].rsplit("-", 3)[1:])
        return tuple(f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms)

    @property
    def build(self) -> tuple[int, str]:
        """The build tag, which decides between wheels of equal tags (PEP 427); ``(-1, "")`` without one."""
        parts = self.filename.split("-")
        found = re.match(r"(\d+)(.*)", parts[2]) if len(parts) == 6 else None  # noqa: PLR2004
        return (int(found[1]), found[2]) if found else (-1, "")

    @property
    def path(self) -> Path | None:
        """Where the file is, if it is a file of this machine."""
        return file_path(self.url)


class Project(msgspec.Struct, frozen=True):
    """A project: its wheels, and the versions that have source distributions. ``found`` if anybody knows it.

    ``archives`` are those source distributions.
    """

    name: str
    found: bool = False
    wheels: tuple[IndexFile, ...] = ()
    sources: frozenset[str] = frozenset()
    archives: tuple[IndexFile, ...] = ()

    @classmethod
    def merged(cls, name: str, pages: Sequence[Project]) -> Project:
        """All ``pages`` together; of files with the same name the first one counts."""
        wheels: dict[str, IndexFile] = {}
        archives: dict[str, IndexFile] = {}
        for page in pages:
            for found, files in ((wheels, page.wheels), (archives, page.archives)):
                for file in files:
                    found.setdefault(file.filename, file)
        sources = frozenset().union(*(page.sources for page in pages))
        return cls(name, bool(pages), tuple(wheels.values()), sources, tuple(archives.values()))

    def versions(self) -> dict[str, list[IndexFile]]:
        """Every version with its wheels; without any, where there is only a source distribution. In no order."""
        table: dict[str, list[IndexFile]] = {version: [] for version in self.sources}
        for wheel in self.wheels:
            table.setdefault(wheel.version, []).append(wheel)
        return table


def file_path(url: str) -> Path | None:
    """The path that a ``file:`` URL names; ``None`` for any other URL."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None
