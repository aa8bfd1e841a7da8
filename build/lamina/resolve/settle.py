"""Resolve, shut out what exceeds the target, and again until everything fits; then leave out what is provided."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from lamina.errors import IndexAccessError
from lamina.index.workers import each
from lamina.lock import canonical
from lamina.resolve.fit import Fit, final, releases
from lamina.resolve.model import Answer, Question, Refusal, files
from lamina.resolve.uv import platform_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lamina.index import IndexClient
    from lamina.index.model import IndexFile
    from lamina.lock import Lock
    from lamina.recipe import Recipe
    from lamina.resolve.model import Resolver
    from lamina.target import Target

#: Rounds after which something is wrong. Each shuts out all misfits of at least one more package.
_ROUNDS = 50

_JOBS = 8


class Settled(msgspec.Struct, frozen=True):
    """A resolution that fits: all ``versions``, those of packages that ship, and what is worth a note.

    ``hashes``: as of :class:`~lamina.resolve.model.Answer`.
    """

    versions: Mapping[str, str]
    shipped: tuple[str, ...]
    notes: tuple[str, ...]
    hashes: Mapping[str, frozenset[str]] = {}


class Settler:
    """One recipe for one target, with what answers questions about it.

    ``local`` names packages that are local projects: no index is ever asked about them.
    """

    def __init__(
        self, recipe: Recipe, target: Target, client: IndexClient, resolver: Resolver, local: Collection[str] = ()
    ) -> None:
        self.recipe = recipe
        self.local = frozenset(local)
        self.target = target
        self.client = client
        self.fit = Fit(target)
        self.resolver = resolver
        self.requirements = active(recipe.requirements, target)
        self.constraints = active(recipe.constraints, target)
        self.provided = {canonical(name) for name in recipe.provided}
        self.absent: set[str] = set()
        self._releases: dict[str, dict[Version, list[IndexFile]]] = {}

    def question(
        self, pins: Mapping[str, str], shut_out: Mapping[str, str], *, platform: str = "", provided: bool = True
    ) -> Question:
        """The recipe as a question. ``shut_out`` are constraints by package."""
        return Question(
            (*self.recipe.requirements, *(self.present() if provided else ())),
            (*self.recipe.constraints, *shut_out.values()),
            self.target.markers()["python_full_version"],
            platform or platform_for(self.target),
            pins,
        )

    def settle(self, pins: Mapping[str, str], *, refresh: bool = False) -> Settled:
        """Resolve until every wheel that ships fits the target.

        Raises:
            ResolutionError: there is no such resolution.
            IndexAccessError: an index fails, refuses, or does not know what uv found there.
        """
        from lamina.resolve.failure import explain

        shut_out: dict[str, str] = {}
        for round_ in range(_ROUNDS):
            answer = self.resolver.ask(self.question(pins, shut_out), refresh=refresh and round_ == 0)
            if isinstance(answer, Refusal):
                if self.without_absent():
                    continue
                raise explain(self, answer, shut_out)
            shipped = self.shipped(answer)
            self.prefetch(shipped)
            misfits = [name for name in shipped if not self.fits(name, answer.versions[name])]
            if not misfits:
                notes = (*answer.warnings, *self.notes(answer, shipped))
                return Settled(answer.versions, shipped, notes, answer.hashes)
            for name in misfits:
                limit = self.misfits(name)
                if not limit or shut_out.get(name) == limit:
                    message = f"{name} {answer.versions[name]}: the index does not list what it offered a moment ago"
                    raise IndexAccessError(message, hint="Run the command again.")
                shut_out[name] = limit
        raise AssertionError("unreachable")

    def present(self) -> list[str]:
        """The provided packages, less those that were found to be on no index."""
        return [name for name in self.recipe.provided if canonical(name) not in self.absent]

    def without_absent(self) -> bool:
        """Whether some of what is provided is on no index, as on a private one; it is left out from now on."""
        known = {canonical(name) for name in self.present()}
        with contextlib.suppress(IndexAccessError):
            absent = {name for name in known if not self.client.project(name).found}
            self.absent |= absent
            return bool(absent)
        return False

    def fits(self, name: str, version: str) -> bool:
        """Whether this version has a wheel for the target, or a source distribution that is taken for want of one."""
        return self.fit.best(self.wheels(name, version)) is not None or self.source(name, version) is not None

    def source(self, name: str, version: str) -> IndexFile | None:
        """The source distribution of a version, where the resolver takes such; yanked ones only for want of others."""
        if not self.resolver.sources:
            return None
        wanted = Version(version)
        archives = (file for file in self.client.project(name).archives if Version(file.version) == wanted)
        fitting = [file for file in archives if self.fit.python_fits(file)]
        # A mirror may offer several forms of one; pip takes the last as well. PEP 625 knows .tar.gz only.
        return max(fitting, key=lambda file: (not file.yanked, file.filename.endswith(".tar.gz")), default=None)

    def releases(self, name: str) -> dict[Version, list[IndexFile]]:
        """The project's versions with their wheels, oldest first; none for one with a source distribution only."""
        if name not in self._releases:
            self._releases[name] = releases(self.client.project(name))
        return self._releases[name]

    def wheels(self, name: str, version: str) -> list[IndexFile]:
        """The wheels of one version."""
        return self.releases(name).get(Version(version), [])

    def misfits(self, name: str) -> str:
        """A constraint against every version that has wheels and none of them for the target."""
        table = self.releases(name)
        fitting = {version.public for version, files in table.items() if self.fit.best(files)}
        # `!=1.0` shuts out 1.0+cpu as well (PEP 440), so a version stays if one of its local builds fits.
        out = [
            str(version)
            for version, files in table.items()
            if files and version.public not in fitting and self.source(name, str(version)) is None
        ]
        return name + ",".join(f"!={version}" for version in out) if out else ""

    def limits(self, name: str) -> SpecifierSet:
        """What the recipe itself says of a package's versions."""
        limits = SpecifierSet()
        for requirement in (*self.requirements.get(name, ()), *self.constraints.get(name, ())):
            limits &= requirement.specifier
        return limits

    def prefetch(self, names: Sequence[str]) -> None:
        """Ask the index about many projects at once."""
        each(self.client.project, names, jobs=_JOBS, interrupt=self.client.transport.interrupt)

    def shipped(self, answer: Answer) -> tuple[str, ...]:
        """Packages that ship, by name: what requirements reach without passing through a provided package.

        Local projects ship as well, but are not among these: their wheels are built, not chosen.
        An extra of a provided package is nothing the runtime has: what only the extra needs ships.
        """
        children: dict[str, set[str]] = {name: set() for name in answer.versions}
        for child, parents in answer.parents.items():
            for parent in parents:
                children.setdefault(parent, set()).add(child)
        bare = self._bare(answer)
        waiting = [name for name in self.requirements if name in answer.versions]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in self.provided:
                waiting += children[name]
            elif name in answer.with_extras:
                waiting += children[name] - bare
        return tuple(sorted(seen - self.provided - self.local))

    def newest(self, name: str) -> Version | None:
        """The newest release that has a wheel for the target."""
        table = self.releases(name)
        return max((one for one in final(table) if self.fit.best(table[one])), default=None)

    def notes(self, answer: Answer, shipped: Sequence[str]) -> list[str]:
        """Provided packages that had to be resolved well below their newest, so that the runtime's may not fit.

        Only minor versions are compared, as some packages are released daily; only those are looked at that need, or
        are needed by, something that ships.
        """
        ships = set(shipped)
        older = []
        for name in sorted(self.provided & set(answer.versions)):
            near = answer.parents[name] & ships or any(name in answer.parents[one] for one in ships)
            newest = self.newest(name) if near else None
            version = Version(answer.versions[name])
            if newest is not None and newest.release[:2] > version.release[:2]:
                older.append(f"{name} {version} (newest: {newest})")
        missing = [f"no index has {' or '.join(sorted(self.absent))}, so nothing was held against the runtime's"]
        notes = missing if self.absent else []
        if not older:
            return notes
        note = f"what ships goes with {' and '.join(older)}, and the runtime has copies of its own"
        return [*notes, f"{note}; to ship those that fit, leave them out of `provided`"]

    def _bare(self, answer: Answer) -> set[str]:
        """All that provided packages need without extras; asked only when an extra of one was asked for."""
        wanted = sorted(self.provided & answer.with_extras)
        if not wanted:
            return set()
        exact = tuple(f"{name}=={version}" for name, version in answer.versions.items())
        question = msgspec.structs.replace(self.question({}, {}), requirements=tuple(wanted), constraints=exact)
        bare = self.resolver.ask(question)
        return set(bare.versions) if isinstance(bare, Answer) else set()


def active(requirements: Sequence[str], target: Target) -> dict[str, list[Requirement]]:
    """The requirements whose markers the target meets, by canonical name."""
    environment = {**target.markers(), "extra": ""}
    found: dict[str, list[Requirement]] = {}
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            found.setdefault(canonical(requirement.name), []).append(requirement)
    return found


def kept_pins(previous: Lock | None, upgrade_packages: Sequence[str]) -> dict[str, str]:
    """Versions that a new resolution should keep: the previous lock's, but for packages to upgrade."""
    upgraded = {canonical(name) for name in upgrade_packages}
    return {file.name: file.version for file in files(previous) if file.name not in upgraded}
