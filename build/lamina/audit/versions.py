"""Symbol versions: what a library asks of glibc, libstdc++ and libgcc against what the running function has there.

A version that is not defined ends the load (``version `GLIBC_2.28' not found``), whether the symbol is called or not;
only a weak need is passed over (gLSB, Symbol Versioning). A need that the loader answers with a file of the stack, such
as a libstdc++ that a wheel brings, is held against what that file defines; any other against the runtime's facts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lamina.audit.facts import facts
from lamina.audit.loader import RUNTIME, loadable
from lamina.audit.model import Artefact, Item, Package
from lamina.audit.world import World
from lamina.binary.model import MACHINES, Elf, Need
from lamina.findings import Finding, Severity, make
from lamina.runtimes import Runtime, runtimes

CODES = {
    "GLIBC": "glibc-too-new",
    "GLIBCXX": "libstdcxx-too-new",
    "CXXABI": "libstdcxx-too-new",
    "GCC": "libstdcxx-too-new",
}
_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI|GCC)_([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})")
_FAMILY = re.compile(r"(GLIBCXX|GLIBC|CXXABI|GCC)_")


class Version(NamedTuple):
    """A symbol version that is a number: ``GLIBC_2.28`` is of the family GLIBC, (2, 28)."""

    family: str
    number: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.family}_{'.'.join(map(str, self.number))}"


class _Excess(NamedTuple):
    """A need that is not met; ``has`` says what is there instead. Sorts by how bad it is."""

    certain: bool
    version: Version
    written: str
    symbol: str
    has: str


def version_of(written: str) -> Version | None:
    """Read a version; ``None`` of one that is no number, as GLIBC_PRIVATE and CXXABI_TM_1.

    Marks of the linker that stand for a version are known by a table: GLIBC_ABI_DT_RELR is GLIBC_2.36.
    """
    mark = facts().glibc_marks.get(written)
    if mark is not None:
        return Version("GLIBC", mark)
    match = _VERSION.fullmatch(written)
    return Version(match[1], tuple(map(int, match[2].split(".")))) if match else None


def check_versions(artefact: Artefact, world: World) -> Iterator[Finding]:
    """``glibc-too-new`` and ``libstdcxx-too-new``: at most one of each for a file, for its highest version.

    The code for libgcc_s (GCC_) is ``libstdcxx-too-new`` too: both come from one compiler. Between what is certain and
    what is inferred of a runtime it warns.
    """
    machine = MACHINES[world.target.architecture]
    for item in artefact.items:
        elf = loadable(item)
        if elf is None or elf.machine != machine or world.files.get(item.place) is not item:
            continue
        worst: dict[str, _Excess] = {}
        for excess, code in _excesses(item, elf, world):
            if code not in worst or excess[:3] > worst[code][:3]:
                worst[code] = excess
        for code, excess in sorted(worst.items()):
            asks = f" for {excess.symbol}" if excess.symbol else ""
            severity: Severity = "error" if excess.certain else "warning"
            message = f"{world.owner(item)} needs {excess.written}{asks}; {excess.has}"
            yield make(code, item.path, message, _way_out(excess, item, world), severity)


def concerned(artefact: Artefact, findings: Iterable[Finding]) -> tuple[tuple[Package, tuple[Finding, ...]], ...]:
    """Which distribution each finding on a version is about, by name: those of which another version may load.

    Findings on files that belong to no distribution are left out.
    """
    codes = set(CODES.values())
    owners = {path: package for package in artefact.packages for path in package.files}
    about: dict[Package, list[Finding]] = {}
    for finding in findings:
        if finding.code in codes and finding.path in owners:
            about.setdefault(owners[finding.path], []).append(finding)
    return tuple((package, tuple(about[package])) for package in sorted(about, key=lambda package: package.name))


def _excesses(item: Item, elf: Elf, world: World) -> Iterator[tuple[_Excess, str]]:
    for need in elf.needs:
        family = _FAMILY.match(need.version)
        if need.weak or family is None:
            continue
        where = world.linked.get(item.place, {}).get(need.library)
        if where is None:
            continue  # missing altogether, which check_libraries tells
        excess = _of_runtime(need, world) if where == RUNTIME else _of_file(need, where, world)
        if excess is not None:
            yield excess, CODES[family[1]]


def _of_runtime(need: Need, world: World) -> _Excess | None:
    version, runtime = version_of(need.version), world.target.runtime
    if version is None:
        return None
    certain, inferred = _ceilings(version.family, runtime, world.target.architecture)
    if version.number <= certain:
        return None
    if version.family == "GLIBC":
        has = f"{runtime.name} on Lambda has glibc {'.'.join(map(str, certain))}"
        return _Excess(certain=True, version=version, written=need.version, symbol=need.symbol, has=has)
    has = f"{runtime.name} on Lambda has up to {Version(version.family, certain)}"
    if inferred is not None:
        has += f" for certain, and up to {Version(version.family, inferred)} in newer images as far as is known"
    sure = inferred is None or version.number > inferred
    return _Excess(certain=sure, version=version, written=need.version, symbol=need.symbol, has=has)


def _ceilings(family: str, runtime: Runtime, architecture: str) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """The highest version that is certain, and the one that is inferred."""
    if family == "GLIBC":
        return runtime.glibc, None
    if family == "GLIBCXX":
        return runtime.glibcxx, runtime.glibcxx_inferred
    if family == "CXXABI":
        return runtime.cxxabi, runtime.cxxabi_inferred
    inferred = runtime.gcc_inferred
    return runtime.gcc.of(architecture), inferred.of(architecture) if inferred is not None else None


def _of_file(need: Need, where: str, world: World) -> _Excess | None:
    """A file without any versions answers every need, with a warning on stderr; so does the loader (ld.so)."""
    elf = loadable(world.files[where])
    if elf is None or not elf.defines or need.version in elf.defines:
        return None
    family = _FAMILY.match(need.version)
    version = version_of(need.version) or Version(family[1] if family else "", ())
    own = [known for name in elf.defines if (known := version_of(name)) is not None and known.family == version.family]
    has = f"{where}, which the loader takes for {need.library}, has "
    has += f"none above {max(own)}" if own and version.number > max(own).number else "no such version"
    return _Excess(certain=True, version=version, written=need.version, symbol=need.symbol, has=has)


def _way_out(excess: _Excess, item: Item, world: World) -> str:
    """The runtime that has enough, or an older build."""
    older = f"an older version of {world.owner(item)}: lamina audit --online tells the newest that loads"
    if world.is_system(item):
        older = f"the one that the packages of {world.target.base_image} have (overlay.from-image takes it from there)"
    version = excess.version
    enough: Callable[[Runtime], bool] = lambda runtime: (  # noqa: E731 - one expression over eight lines of loop
        _ceilings(version.family, runtime, world.target.architecture)[0] >= version.number
    )
    newer = next((other for other in runtimes() if other.python > world.target.runtime.python and enough(other)), None)
    if world.complete:
        return f"Take a base image with a newer system, or {older}."
    if newer is not None:
        return f"Build for {newer.abi} or newer, which {newer.os} runs, or take {older}."
    base = posixpath.basename(item.path)
    if not excess.certain:
        return f"Invoke the function once in its region to see {base} load, or take {older}."
    return f"No Lambda runtime has that: take {older}, or ship an image whose base has it."
