from __future__ import annotations

from typing import NamedTuple

import pytest

from lamina.findings import CODES, Finding, accept, make


class Entry(NamedTuple):
    code: str
    path: str


def test_a_finding_takes_its_codes_default_severity() -> None:
    assert make("near-budget", "python", "230 of 250 MiB", "Drop something.") == Finding(
        code="near-budget",
        severity="warning",
        path="python",
        message="230 of 250 MiB",
        hint="Drop something.",
        accepted=False,
    )


def test_a_check_that_knows_more_states_the_severity() -> None:
    assert make("missing-import", "python/a.py", "imports b", severity="note").severity == "note"


def test_an_unknown_code_is_a_mistake_of_the_check() -> None:
    with pytest.raises(KeyError, match="no-such-code"):
        make("no-such-code", "", "")


def test_the_codes_of_the_contract() -> None:
    by_severity = {
        severity: [code for code, default in CODES.items() if default == severity]
        for severity in ("error", "warning", "note")
    }
    assert by_severity["warning"] == ["near-budget", "missing-executable", "deprecated-runtime", "undeclared-variable"]
    assert by_severity["note"] == ["needs-s3-upload"]
    assert len(by_severity["error"]) == 21


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [
        (Entry("missing-import", "python/pkg/extra.py"), True),
        (Entry("missing-import", "python/pkg/*"), True),
        (Entry("missing-import", "*.py"), True),
        (Entry("missing-import", "python/pkg/EXTRA.py"), False),
        (Entry("missing-import", "python/pkg"), False),
        (Entry("missing-library", "python/pkg/extra.py"), False),
    ],
)
def test_acceptance_goes_by_code_and_path(entry: Entry, accepted: bool) -> None:  # noqa: FBT001
    finding = make("missing-import", "python/pkg/extra.py", "imports gone")
    (judged,) = accept([finding], [entry])
    assert judged.accepted is accepted
    assert judged.message == finding.message


def test_a_path_with_brackets_is_accepted_as_it_stands() -> None:
    path = "python/pkg/[a]/x.py"
    (judged,) = accept([make("missing-import", path, "")], [Entry("missing-import", path)])
    assert judged.accepted


def test_accepted_findings_stay_in_their_place() -> None:
    findings = [make("stub-code", "a", "1"), make("over-budget", "b", "2"), make("stub-code", "c", "3")]
    judged = accept(findings, [Entry("stub-code", "*")])
    assert [(finding.path, finding.accepted) for finding in judged] == [("a", True), ("b", False), ("c", True)]
