"""Findings as SARIF 2.1.0, for code scanning.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; GitHub's subset: "SARIF support for code
scanning" in its documentation, which wants a rule, a physical location and a fingerprint for each result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import lamina
from lamina.findings import CODES, MEANINGS, Finding

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(found: Iterable[tuple[str, Sequence[Finding]]]) -> str:
    """The SARIF text of the findings on each named artefact. Accepted findings stand in it as suppressed ones."""
    rules = sorted(CODES)
    results = [_result(name, finding, rules) for name, findings in found for finding in findings]
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "lamina",
                        "semanticVersion": lamina.__version__,
                        "rules": [_rule(code) for code in rules],
                    }
                },
                "results": results,
            }
        ],
    }
    return json.dumps(log, indent=2)


def _rule(code: str) -> Mapping[str, Any]:
    return {
        "id": code,
        "shortDescription": {"text": MEANINGS[code]},
        "defaultConfiguration": {"level": CODES[code]},
    }


def _result(name: str, finding: Finding, rules: Sequence[str]) -> Mapping[str, Any]:
    text = f"{finding.path}: {finding.message}" + (f"\n{finding.hint}" if finding.hint else "")
    same = hashlib.sha256(f"{finding.code}\n{finding.path}\n{finding.message}".encode()).hexdigest()
    return {
        "ruleId": finding.code,
        "ruleIndex": rules.index(finding.code),
        "level": finding.severity,
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(name)},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [{"fullyQualifiedName": finding.path, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"lamina/v1": same},
        "suppressions": [{"kind": "external"}] if finding.accepted else [],
    }


def _uri(name: str) -> str:
    """The artefact's path as a relative URI reference, which code scanning takes for a path in the repository."""
    from urllib.parse import quote

    path = PurePath(name)
    return quote(path.name if path.is_absolute() else path.as_posix())
