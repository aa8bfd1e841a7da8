"""Findings as annotations of a GitHub Actions run.

Source: GitHub documentation, "Workflow commands for GitHub Actions", notices, warnings and errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lamina.findings import Finding

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
#: A step shows ten annotations of a kind and drops the rest in silence.
_SHOWN = 10


def workflow_commands(name: str, findings: Iterable[Finding]) -> Iterator[str]:
    """One workflow command for each finding that nobody accepted, ten of a kind at most; ``name`` is the artefact's."""
    left = dict.fromkeys(_COMMANDS, _SHOWN)
    for finding in findings:
        if finding.accepted or not left[finding.severity]:
            continue
        left[finding.severity] -= 1
        title = _property(f"{finding.code}: {finding.path}")
        hint = f"\n{finding.hint}" if finding.hint else ""
        yield f"::{_COMMANDS[finding.severity]} title={title}::{_data(f'{name}: {finding.message}{hint}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
