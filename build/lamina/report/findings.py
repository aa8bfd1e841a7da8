"""Findings as people act on them: by package, the most severe first, many files with one cause told as one."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from lamina.findings import Finding

SEVERITIES = ("error", "warning", "note")

#: The package that a path belongs to, as it is to be named; empty where it belongs to none.
Owner = Callable[[str], str]
#: Text and the severity it stands for → the text as a terminal shows it.
Paint = Callable[[str, str], str]


def unpainted(text: str, severity: str) -> str:
    """The text as it is."""
    del severity
    return text


#: Paths that are named of many findings with one code in one package; ``--json`` names all.
_NAMED = 3
_INDENT = " " * 4
#: Codes of which many files of a package have one cause, though each has a message of its own.
_OF_FILES = frozenset(
    "windows-binary macos-binary wrong-architecture wrong-python-abi glibc-too-new libstdcxx-too-new unaligned-segment "
    "damaged-file unsafe-path unreadable-mode".split()
)


def printable(text: str) -> str:
    """A text as a terminal may see it: names in an artefact are whatever its maker wrote, control characters too."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Group(NamedTuple):
    """Findings of one package with one code, severity and cause, the first of which speaks for all."""

    package: str
    findings: tuple[Finding, ...]

    @property
    def rank(self) -> tuple[bool, int]:
        """Accepted ones last; else by severity."""
        return rank(self.findings[0])


def rank(finding: Finding) -> tuple[bool, int]:
    """Where a finding stands among others: accepted ones last, else by severity."""
    return finding.accepted, SEVERITIES.index(finding.severity)


def grouped(findings: Iterable[Finding], owner: Owner) -> list[Group]:
    """Groups in the order in which to act on them: packages by their worst finding, in each the worst first."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        cause = "" if finding.code in _OF_FILES else finding.message
        key = (owner(finding.path), finding.code, finding.severity, finding.accepted, cause)
        groups.setdefault(key, []).append(finding)
    made = [Group(str(key[0]), tuple(found)) for key, found in groups.items()]
    worst: dict[str, tuple[bool, int]] = {}
    for group in made:
        worst[group.package] = min(worst.get(group.package, group.rank), group.rank)
    return sorted(made, key=lambda group: (worst[group.package], group.package, group.rank, group.findings[0].code))


def counts(findings: Iterable[Finding]) -> str:
    """``2 errors, 1 warning, 3 notes, 1 accepted``; ``nothing found`` where there is nothing."""
    found = list(findings)
    told = [(sum(1 for one in found if one.severity == kind and not one.accepted), kind) for kind in SEVERITIES]
    words = [f"{number:,} {kind}{'s' * (number != 1)}" for number, kind in told if number]
    accepted = sum(one.accepted for one in found)
    return ", ".join([*words, *([f"{accepted:,} accepted"] if accepted else [])]) or "nothing found"


def table(findings: Sequence[Finding], owner: Owner, *, width: int = 100, paint: Paint = unpainted) -> Iterator[str]:
    """The lines of the table; ``width`` in characters is what they are wrapped to, but for paths, which stay whole."""
    package: str | None = None
    for group in grouped(findings, owner):
        if group.package != package:
            package = group.package
            yield f"  {printable(package)}" if package else "  the artefact itself"
        first = group.findings[0]
        severity = f"accepted {first.severity}" if first.accepted else first.severity
        places = [finding.path for finding in group.findings]
        yield f"{_INDENT}{paint(severity, first.severity)}  {first.code}  {printable(places[0])}"
        yield from _wrapped(first.message, width)
        if len(places) > 1:
            more = ", ".join(places[1:_NAMED])
            left = len(places) - _NAMED
            yield from _wrapped(f"and {more}{f' and {left:,} more' if left > 0 else ''}", width)
        if first.hint and not first.accepted:
            for line in first.hint.splitlines():
                yield from _wrapped(f"-> {line}", width, "   ")


def _wrapped(text: str, width: int, deeper: str = "") -> list[str]:
    start = _INDENT + "  "
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=start,
        subsequent_indent=start + deeper,
        break_long_words=False,
        break_on_hyphens=False,
    )
