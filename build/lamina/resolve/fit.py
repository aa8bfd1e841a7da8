"""Which wheels fit a target, which one is best, and what glibc or Python those need that do not fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lamina.index.model import IndexFile, Project
    from lamina.target import Target

Glibc = tuple[int, int]

_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MANYLINUX = re.compile(r"(manylinux(?:1|2010|2014|_(\d+)_(\d+)))_(.+)")


class Fit:
    """The target's view of wheels."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._rank = {tag: rank for rank, tag in enumerate(target.tags())}
        self._interpreters = {tag.rpartition("-")[0] for tag in self._rank}
        self._python = Version(target.markers()["python_full_version"])
        self._admitting: dict[str | None, bool] = {}  # thousands of wheels state the same few of them

    def rank(self, file: IndexFile) -> int | None:
        """How good the wheel's best tag is, 0 being best; ``None`` if the target accepts none of its tags."""
        return min((self._rank[tag] for tag in file.tags if tag in self._rank), default=None)

    def accepts(self, file: IndexFile) -> bool:
        """Whether the wheel loads on the target, by its tags and the Python it asks for."""
        return self.rank(file) is not None and self.python_fits(file)

    def python_fits(self, file: IndexFile) -> bool:
        """Whether the wheel's ``Requires-Python`` admits the target's; one that cannot be read admits all."""
        stated = file.requires_python
        if stated not in self._admitting:
            specifiers = _specifiers(stated or "")
            self._admitting[stated] = specifiers is None or specifiers.contains(self._python, prereleases=True)
        return self._admitting[stated]

    def interpreter_fits(self, file: IndexFile) -> bool:
        """Whether the wheel is for the target's Python and ABI, whatever its platform."""
        return any(tag.rpartition("-")[0] in self._interpreters for tag in file.tags)

    def glibc(self, file: IndexFile) -> Glibc | None:
        """The least glibc with which the wheel loads on the target's Python and architecture; ``None`` if with none."""
        found = []
        for tag in file.tags:
            interpreter, _, platform = tag.rpartition("-")
            if interpreter not in self._interpreters:
                continue
            if platform == "any":
                return (2, 0)
            needed = glibc_of(platform, self.target.architecture)
            if needed is not None:
                found.append(needed)
        return min(found, default=None)

    def needs(self, files: Iterable[IndexFile]) -> Glibc | None:
        """The least glibc with which one of these wheels would load on the target's Python."""
        found = [needed for file in files if self.python_fits(file) and (needed := self.glibc(file)) is not None]
        return min(found, default=None)

    def best(self, files: Iterable[IndexFile]) -> IndexFile | None:
        """The wheel that an installer on the target would take: the best tag, then the highest build tag.

        Yanked ones only if nothing else is left (PEP 592).
        """
        fitting = [(rank, file) for file in files if (rank := self.rank(file)) is not None and self.python_fits(file)]
        kept = [pair for pair in fitting if not pair[1].yanked] or fitting
        if not kept:
            return None
        least = min(rank for rank, _ in kept)
        return max((file for rank, file in kept if rank == least), key=lambda file: (file.build, file.filename))


def glibc_of(platform: str, architecture: str) -> Glibc | None:
    """The glibc that a manylinux platform tag of this architecture stands for (PEP 600)."""
    found = _MANYLINUX.fullmatch(platform)
    if not found or found[4] != architecture:
        return None
    return _LEGACY.get(found[1]) or (int(found[2]), int(found[3]))


def releases(project: Project) -> dict[Version, list[IndexFile]]:
    """The project's versions with their wheels, oldest first; none for a version with a source distribution only."""
    table: dict[Version, list[IndexFile]] = {}
    for text, files in project.versions().items():
        table.setdefault(Version(text), []).extend(files)
    return dict(sorted(table.items()))


def final(table: dict[Version, list[IndexFile]]) -> list[Version]:
    """The versions that are not pre-releases, and not yanked as a whole, oldest first."""
    return [
        version
        for version, files in table.items()
        if not version.is_prerelease and not (files and all(file.yanked for file in files))
    ]


def admitted(versions: Sequence[Version], specifiers: SpecifierSet) -> list[Version]:
    """The versions that ``specifiers`` admit; pre-releases by the rules of PEP 440."""
    return list(specifiers.filter(versions))


def _specifiers(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text) if text else None
    except InvalidSpecifier:
        return None
