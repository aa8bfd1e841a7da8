"""Annotations of a GitHub Actions run."""

from __future__ import annotations

import msgspec

from lamina.findings import make
from lamina.report.actions import workflow_commands


def test_each_severity_has_its_command_and_special_characters_are_escaped() -> None:
    found = [
        make("damaged-file", "python/a,b:c.so", "50 % gone\r", "Take it\nagain."),
        make("near-budget", "x.zip", "much"),
        make("needs-s3-upload", "x.zip", "large"),
    ]
    assert list(workflow_commands("x.zip", found)) == [
        "::error title=damaged-file%3A python/a%2Cb%3Ac.so::x.zip: 50 %25 gone%0D%0ATake it%0Aagain.",
        "::warning title=near-budget%3A x.zip::x.zip: much",
        "::notice title=needs-s3-upload%3A x.zip::x.zip: large",
    ]


def test_accepted_ones_are_left_out_and_no_kind_exceeds_what_a_step_shows() -> None:
    errors = [make("damaged-file", str(number), "m") for number in range(12)]
    accepted = msgspec.structs.replace(errors[0], accepted=True)
    told = list(workflow_commands("x", [accepted, *errors, make("near-budget", "x", "m")]))
    assert [line.split(" ")[0] for line in told] == ["::error"] * 10 + ["::warning"]
    assert told[0] == "::error title=damaged-file%3A 0::x: m"
