"""SARIF for code scanning: what its format and GitHub's subset of it ask for."""

from __future__ import annotations

import json

import msgspec

from lamina.findings import CODES, MEANINGS, make
from lamina.report.sarif import sarif


def test_results_have_rule_level_place_and_fingerprint() -> None:
    error = make("glibc-too-new", "python/a b.so", "needs GLIBC_2.28", "Take another.")
    accepted = msgspec.structs.replace(make("near-budget", "x.zip", "much"), accepted=True)
    log = json.loads(sarif([("dist/my layer.zip", [error, accepted]), ("/abs/f.zip", [error])]))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted(CODES)
    first, second, third = run["results"]
    assert rules[first["ruleIndex"]] == first["ruleId"] == "glibc-too-new"
    assert first["level"] == "error"
    assert first["message"] == {"text": "python/a b.so: needs GLIBC_2.28\nTake another."}
    [place] = first["locations"]
    assert place["physicalLocation"]["artifactLocation"] == {"uri": "dist/my%20layer.zip"}
    assert place["logicalLocations"] == [{"fullyQualifiedName": "python/a b.so", "kind": "resource"}]
    assert first["suppressions"] == []
    assert second["suppressions"] == [{"kind": "external"}]
    assert third["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "f.zip"}
    assert first["partialFingerprints"] == third["partialFingerprints"] != second["partialFingerprints"]


def test_every_code_has_a_meaning() -> None:
    assert list(MEANINGS) == list(CODES)
    assert all(text.endswith(".") and len(text) < 120 for text in MEANINGS.values())
