"""Known needs that no byte tells: newer system libraries, programs, libraries opened under computed names.

The facts are ``needs.toml``, each with its source, held against the packages that an artefact has metadata of.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import tomli

from lamina.audit.model import Artefact, Package
from lamina.audit.modules import Modules
from lamina.findings import Finding, make
from lamina.runtimes import Runtime

_LIBRARIES = {"sqlite": "SQLite", "openssl": "OpenSSL"}


class _Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    package: str
    source: str
    versions: str = ""

    def concerns(self, package: Package) -> bool:
        """Whether the package is the one that is meant, in such a version."""
        if package.name != self.package:
            return False
        from packaging.specifiers import SpecifierSet  # here, since most artefacts have none of these packages
        from packaging.version import InvalidVersion, Version

        try:
            return SpecifierSet(self.versions).contains(Version(package.version), prereleases=True)
        except InvalidVersion:  # nobody knows then which it is
            return False


class _LibraryVersion(_Fact, frozen=True, forbid_unknown_fields=True, kw_only=True):
    library: Literal["sqlite", "openssl"]
    minimum: tuple[int, ...]
    effect: str
    severity: Literal["error", "warning"] = "error"
    swap: str = ""
    remedy: str = ""


class _Executable(_Fact, frozen=True, forbid_unknown_fields=True, kw_only=True):
    program: str


class _LoadedLibrary(_Fact, frozen=True, forbid_unknown_fields=True, kw_only=True):
    library: str


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    library_version: tuple[_LibraryVersion, ...]
    executable: tuple[_Executable, ...]
    loaded_library: tuple[_LoadedLibrary, ...]


@functools.cache
def _facts() -> _Facts:
    text = Path(__file__).with_name("needs.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomli.loads(text), _Facts)


def check_needs(artefact: Artefact, modules: Modules) -> Iterator[Finding]:
    """``runtime-library-too-old``, ``missing-executable`` and ``missing-library`` for the packages of one artefact.

    ``modules`` are those of the stack, whose other artefacts may bring what a package needs. An image on a base that is
    not Lambda's has libraries of its own, of which nothing is known here.
    """
    packages = sorted({(package.name, package.version): package for package in artefact.packages}.values())
    runtime = modules.target.runtime
    if artefact.kind != "image" or runtime.interpreter in modules.items:
        for package in packages:
            for fact in _facts().library_version:
                if fact.concerns(package):
                    yield from _too_old(package, fact, runtime, modules)
    for package in packages:
        for need in _facts().executable:
            if need.concerns(package) and not _has_program(modules, need.program):
                yield make(
                    "missing-executable",
                    package.folder,
                    f"{package.name} runs the program {need.program}, which neither the artefacts nor "
                    f"{runtime.name} on Lambda have",
                    f"Put {need.program}, with the libraries it needs, into bin/ of a layer (overlay), which stands on "
                    "the PATH as /opt/bin; or ship an image whose packages have it.",
                )
        for opened in _facts().loaded_library:
            if opened.concerns(package) and not _has_library(modules, opened.library):
                yield make(
                    "missing-library",
                    package.folder,
                    f"{package.name} opens {opened.library}.so when it is used, which neither the artefacts nor "
                    f"{runtime.name} on Lambda are known to have",
                    f"Put {opened.library}.so, with the libraries it needs, into lib/ of a layer (overlay), which is "
                    "searched as /opt/lib; or ship an image whose packages have it.",
                    severity="warning",
                )


def _too_old(package: Package, fact: _LibraryVersion, runtime: Runtime, modules: Modules) -> Iterator[Finding]:
    have = runtime.sqlite if fact.library == "sqlite" else runtime.openssl
    if have >= fact.minimum[: len(have)]:  # of a version known in part, the part decides
        return
    library = _LIBRARIES[fact.library]
    message = (
        f"{package.name} {package.version} wants {library} {_dotted(fact.minimum)} or newer, "
        f"and {runtime.name} on Lambda has {_dotted(have)}: {fact.effect}"
    )
    hint, severity = fact.remedy or "Use a newer runtime.", fact.severity
    if fact.swap:
        swap = (
            f'__import__("pysqlite3"); import sys; sys.modules["sqlite3"] = sys.modules.pop("pysqlite3"), '
            f"before anything imports {package.name}"
        )
        if any(other.name == fact.swap for artefact in modules.artefacts for other in artefact.packages):
            message += f"; {fact.swap} brings a newer one, which counts only once code puts it in place"
            hint, severity = f"Make sure that the function begins with: {swap}.", "warning"
        else:
            hint = f"Use a newer runtime; or require {fact.swap} and begin the function with: {swap}."
    yield make("runtime-library-too-old", package.folder, message, hint, severity=severity)


def _has_program(modules: Modules, program: str) -> bool:
    """Whether a file of that name lies in a folder ``bin`` or ``sbin``, or at the root of the function."""
    wanted = (f"/bin/{program}", f"/sbin/{program}")
    return any(place.endswith(wanted) or place == f"/var/task/{program}" for place in modules.items)


def _has_library(modules: Modules, library: str) -> bool:
    """Whether the library lies anywhere: beside its package under a name with a hash too."""
    names = (f"/{library}.so", f"/{library}-")
    return any(name in place and ".so" in place for place in modules.items for name in names)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
