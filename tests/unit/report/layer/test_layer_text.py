from __future__ import annotations

from collections.abc import Callable

import msgspec

from lamina.prove.import_times import ImportTimes
from lamina.report.layer import words
from lamina.report.layer.model import Report
from lamina.report.layer.text import report_lines


def test_the_terminal_gets_the_same_figures(make_report: Callable[..., Report]) -> None:
    lines = [*report_lines(make_report())]
    assert lines[:13] == [
        "demo for cp311-manylinux2014_x86_64 (python3.11, x86_64)",
        "  built, with 1 warning; 1 proof passed",
        "  demo.zip: 4,000,000 bytes zipped, 10,000,000 unzipped, 42 files",
        f"    sha256 {'ab' * 32}",
        "",
        "budget: 15,000,000 bytes unzipped, 75.0 % of Lambda's quota",
        f"  this layer  {'#' * 20:<40}    10.0 MB",
        f"  other       {'#' * 10:<40}     5.0 MB",
        "  3.0 MB above the warning (12,000,000 bytes)",
        "  1.0 MB above the budget (14,000,000 bytes)",
        "  5.0 MB below Lambda's quota (20,000,000 bytes)",
        "",
        "2 packages     ships    native  bytecode    python     other    pruned   trimmed   touched",
    ]
    assert "  pkg0 1.0    5.0 MB    3.0 MB    500 kB    1.5 MB         0    800 kB    200 kB    1.2 MB" in lines
    assert "  the proofs touch 14 files of 2.5 MB, 25.0 % of what packages ship" in lines
    assert "  tests                 1.4 MB in 10 files; kept 40 kB in 2 files" in lines
    assert "imports: 1.25 s for 2 modules; 4.00 s without bytecode (3.2 times as fast)" in lines
    assert "  passed  imports: 2 of 2" in lines


def test_no_control_character_reaches_the_terminal(make_report: Callable[..., Report]) -> None:
    lines = [*report_lines(make_report("\x1b]0;owned\x07\r\u202e"))]
    assert all(line.isprintable() for line in lines)
    assert any("\\x1b]0;owned\\x07\\r\\u202e" in line for line in lines)


def test_a_build_that_failed_and_one_that_was_not_proven_are_told_as_such(make_report: Callable[..., Report]) -> None:
    report = make_report()
    one = report.artefacts[0]
    failed = msgspec.structs.replace(
        one, sha256=None, findings=(msgspec.structs.replace(one.findings[0], severity="error"),), proofs=()
    )
    lines = [*report_lines(msgspec.structs.replace(report, artefacts=(failed,)))]
    assert lines[1:4] == [
        "  not built: 1 error",
        "  demo.zip: 4,000,000 bytes zipped, 10,000,000 unzipped, 42 files",
        "    sha256 none: it was not made",
    ]
    assert "proofs: none; lamina prove demo --target cp311-manylinux2014_x86_64" in lines
    broken = msgspec.structs.replace(one, proofs=(msgspec.structs.replace(one.proofs[0], passed=False),))
    assert msgspec.structs.replace(report, artefacts=(broken,)).verdict() == ("bad", "built, but 1 of 1 proof failed")


def test_imports_that_could_not_be_measured_say_why(make_report: Callable[..., Report]) -> None:
    report = msgspec.structs.replace(make_report(), imports=ImportTimes(("a",), note="no CPython"))
    assert "imports: not measured: no CPython" in [*report_lines(report)]
    assert not any(line.startswith("imports") for line in report_lines(msgspec.structs.replace(report, imports=None)))


def test_sizes_and_times_have_three_or_four_figures() -> None:
    assert [words.size(n) for n in (0, 999, 1000, 412_300, 68_004_934, 1_234_000_000, -5000)] == [
        "0", "999 B", "1 kB", "412 kB", "68.0 MB", "1.23 GB", "-5 kB",
    ]  # fmt: skip
    assert [words.seconds(n) for n in (1.066, 0.34, 0.0004)] == ["1.07 s", "340 ms", "0.4 ms"]
    assert [words.faster(*pair) for pair in ((3.0, 1.0), (1.0, 2.0), (0.0, 1.0))] == [
        "3.0 times as fast",
        "2.0 times as slow",
        "no difference",
    ]


def test_what_can_be_copied_stands_on_one_line(make_report: Callable[..., Report]) -> None:
    report = make_report()
    name = "-".join(["demo"] * 16) + ".zip"
    proof = msgspec.structs.replace(report.proofs[0], detail=f"as expected; with {name}, sha256 {'ab' * 32}")
    one = msgspec.structs.replace(report.artefacts[0], proofs=(proof,))
    lines = [*report_lines(msgspec.structs.replace(report, artefacts=(one,)))]
    assert f"          {name}, sha256" in lines
