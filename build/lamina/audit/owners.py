"""Whose file is it: the package that a path of an artefact belongs to, as people name it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lamina.lock import canonical

if TYPE_CHECKING:
    from lamina.audit.model import Artefact

#: Folders that stand for site-packages in what Lambda unpacks, and in what people pack wrongly.
_SITE = re.compile(r"(?:.*?/)?(?:(?:site|dist)-packages|python(?:/lib/python3\.\d+/site-packages)?)/")


def by_folder(path: str) -> str:
    """The folder below site-packages that a path is in, or the name of its metadata folder; empty beside both."""
    inside = path[site.end() :] if (site := _SITE.match(path)) else path
    top, slash, _ = inside.partition("/")
    if top.endswith((".dist-info", ".egg-info")):
        return canonical(top.partition("-")[0])
    return top.removesuffix(".libs") if slash else ""


class Owners:
    """The owners of one artefact's files: by RECORD where a package has one, else :func:`by_folder`."""

    def __init__(self, artefact: Artefact) -> None:
        self._name = artefact.name
        self._recorded = {path: package.name for package in artefact.packages for path in package.files}
        self._recorded |= {package.folder: package.name for package in artefact.packages}
        self._versions = {package.name: package.version for package in artefact.packages}

    def of(self, path: str) -> str:
        """The package's name; empty for what belongs to none: the artefact itself, a file beside all packages."""
        return self.distribution(path) or ("" if path == self._name else by_folder(path))

    def distribution(self, path: str) -> str:
        """The canonical name of the distribution whose RECORD lists the path; empty where none does."""
        return self._recorded.get(path, "")

    def title(self, path: str) -> str:
        """The package's name with its version, where its metadata is there."""
        name = self.of(path)
        return f"{name} {version}" if (version := self._versions.get(name)) else name
