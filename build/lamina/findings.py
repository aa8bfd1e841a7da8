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


def _covers(accepts: tuple[Acceptance, ...], finding: Finding) -> bool:
    return any(
        entry.code == finding.code and (entry.path == finding.path or fnmatch.fnmatchcase(finding.path, entry.path))
        for entry in accepts
    )
