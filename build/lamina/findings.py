"""Findings: the one form in which checks state their verdicts, their codes, and how a recipe accepts one.

A check says what it saw; whether that fails the build is decided from ``severity`` and ``accepted`` alone.
"""

from __future__ import annotations

import fnmatch
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Severity = Literal["error", "warning", "note"]


class Finding(msgspec.Struct, frozen=True):
    """One verdict of one check.

    ``path`` is the place in the artefact (``python/pkg/x.so``) or the key it concerns, ``message`` what it means,
    ``hint`` what to do. An accepted finding stays visible and fails nothing.
    """

    code: str
    severity: Severity
    path: str
    message: str
    hint: str = ""
    accepted: bool = False


class Acceptance(Protocol):
    """What :func:`accept` reads of a recipe's ``[[accept]]`` entry."""

    @property
    def code(self) -> str:
        """The finding code that is accepted."""

    @property
    def path(self) -> str:
        """Where: a path as findings state it, or a glob over such paths."""


#: Every code with its default severity. Checks lower or raise it where they know more, as the comments say.
CODES: Mapping[str, Severity] = MappingProxyType(
    {
        "windows-binary": "error",
        "macos-binary": "error",
        "wrong-architecture": "error",
        "wrong-python-abi": "error",
        "glibc-too-new": "error",
        "libstdcxx-too-new": "error",
        "missing-library": "error",  # a warning where the contents of the runtime are unverified
        "unaligned-segment": "error",
        "damaged-file": "error",
        "unsafe-path": "error",
        "bad-layout": "error",
        "unreadable-mode": "error",
        "file-conflict": "error",
        "over-budget": "error",
        "near-budget": "warning",
        "too-many-entries": "error",
        "missing-import": "error",  # in functions; in packages a note, since they guard optional imports
        "metadata-needed": "error",
        "missing-executable": "warning",
        "runtime-library-too-old": "error",
        "needs-s3-upload": "note",
        "deprecated-runtime": "warning",
        "handler-missing": "error",
        "undeclared-variable": "warning",
        "stub-code": "error",
        "placeholder-value": "error",
    },
)

#: What each code means, in a line; for tools that list rules.
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "windows-binary": "A Windows program or library (PE); Lambda runs Linux.",
        "macos-binary": "A macOS program or library (Mach-O); Lambda runs Linux.",
        "wrong-architecture": "A native file for another processor than the target's.",
        "wrong-python-abi": "An extension module or bytecode for another CPython than the target's.",
        "glibc-too-new": "A native file needs a newer glibc than the runtime has.",
        "libstdcxx-too-new": "A native file needs a newer libstdc++ or libgcc than the runtime has.",
        "missing-library": "A native file needs a shared library that neither runtime nor artefact has.",
        "unaligned-segment": "A native file that the loader refuses to map, as strip leaves it after patchelf.",
        "damaged-file": "A file that is truncated or contradicts itself.",
        "unsafe-path": "A path or link that leaves the artefact, or leads nowhere.",
        "bad-layout": "Files stand where the runtime does not look for them.",
        "unreadable-mode": "Permissions that keep Lambda's user from reading or running a file.",
        "file-conflict": "Two packages bring different files of one path.",
        "over-budget": "More bytes, or more layers, than a function takes.",
        "near-budget": "Almost as many bytes as a function takes.",
        "too-many-entries": "More files than every reader of zips understands.",
        "missing-import": "Code imports a module that nothing provides.",
        "metadata-needed": "Code asks for metadata of a distribution that is not there.",
        "missing-executable": "A package runs a program that is not there.",
        "runtime-library-too-old": "A package needs a newer library than the runtime's interpreter is linked to.",
        "needs-s3-upload": "Too large for a direct upload.",
        "deprecated-runtime": "A runtime that Lambda no longer supports, or soon will not.",
        "handler-missing": "The function's handler does not exist or cannot be called as Lambda calls it.",
        "undeclared-variable": "Code reads an environment variable that the recipe does not declare, or the reverse.",
        "stub-code": "Code that stands for something unfinished.",
        "placeholder-value": "A value that stands for one to be filled in.",
    },
)


def make(code: str, path: str, message: str, hint: str = "", severity: Severity | None = None) -> Finding:
    """Make a finding of a known code, with the code's default severity unless ``severity`` is given.

    Raises:
        KeyError: ``code`` is none of :data:`CODES`; that is a mistake in a check, not in a recipe.
    """
    default = CODES[code]
    return Finding(code, severity or default, path, message, hint)


def accept(findings: Iterable[Finding], accepts: Iterable[Acceptance]) -> tuple[Finding, ...]:
    """Mark the findings that a recipe accepts: same code, and the path is the accepted one or matches it as a glob.

    Order and number stay the same: an accepted finding is still reported. ``*`` in a glob matches across ``/``.
    """
    known = tuple(accepts)
    return tuple(
        msgspec.structs.replace(finding, accepted=True) if _covers(known, finding) else finding for finding in findings
    )


def fails(findings: Iterable[Finding]) -> bool:
    """The one place that decides it: an error that the recipe does not accept."""
    return any(finding.severity == "error" and not finding.accepted for finding in findings)


def _covers(accepts: tuple[Acceptance, ...], finding: Finding) -> bool:
    return any(
        entry.code == finding.code and (entry.path == finding.path or fnmatch.fnmatchcase(finding.path, entry.path))
        for entry in accepts
    )
