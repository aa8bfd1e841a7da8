"""Findings as a table: grouped, ordered, collapsed, safe to print."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lamina.audit.owners import by_folder
from lamina.findings import CODES, Finding, make
from lamina.report.findings import SEVERITIES, counts, grouped, rank, table


def lines(*findings: Finding, width: int = 100) -> list[str]:
    return list(table(findings, by_folder, width=width))


def accepted(finding: Finding) -> Finding:
    return msgspec.structs.replace(finding, accepted=True)


def test_one_finding_says_what_where_and_what_to_do() -> None:
    finding = make("missing-library", "python/pkg/x.so", "pkg needs libgomp.so.1", "Put it there.\nOr there.")
    assert lines(finding) == [
        "  pkg",
        "    error  missing-library  python/pkg/x.so",
        "      pkg needs libgomp.so.1",
        "      -> Put it there.",
        "      -> Or there.",
    ]


def test_many_files_with_one_cause_are_told_as_one() -> None:
    found = [make("windows-binary", f"python/pkg/{name}.pyd", "a Windows library") for name in "abcde"]
    assert lines(*found) == [
        "  pkg",
        "    error  windows-binary  python/pkg/a.pyd",
        "      a Windows library",
        "      and python/pkg/b.pyd, python/pkg/c.pyd and 2 more",
    ]
    assert lines(*found[:2])[-1] == "      and python/pkg/b.pyd"


def test_what_has_causes_of_its_own_is_told_one_by_one() -> None:
    found = [make("missing-import", "python/pkg/a.py", f"No module named {name!r}", severity="note") for name in "xy"]
    assert lines(*found, found[0]) == [
        "  pkg",
        "    note  missing-import  python/pkg/a.py",
        "      No module named 'x'",
        "      and python/pkg/a.py",
        "    note  missing-import  python/pkg/a.py",
        "      No module named 'y'",
    ]


def test_packages_stand_in_the_order_in_which_to_act() -> None:
    found = [
        make("missing-import", "python/first/a.py", "a note", severity="note"),
        make("near-budget", "layer.zip", "a warning"),
        make("glibc-too-new", "python/zz/a.so", "an error"),
        make("missing-import", "python/zz/b.py", "another note", severity="note"),
        accepted(make("damaged-file", "python/aa/a.so", "an accepted error", "not shown")),
    ]
    assert lines(*found) == [
        "  zz",
        "    error  glibc-too-new  python/zz/a.so",
        "      an error",
        "    note  missing-import  python/zz/b.py",
        "      another note",
        "  the artefact itself",
        "    warning  near-budget  layer.zip",
        "      a warning",
        "  first",
        "    note  missing-import  python/first/a.py",
        "      a note",
        "  aa",
        "    accepted error  damaged-file  python/aa/a.so",
        "      an accepted error",
    ]


def test_long_sentences_are_wrapped_and_paths_stay_whole() -> None:
    path = "python/pkg/" + "x" * 80 + ".so"
    found = lines(make("damaged-file", path, "word " * 20, "hint " * 20), width=40)
    assert found[1] == f"    error  damaged-file  {path}"
    assert all(len(line) <= 40 for line in found[2:])
    assert found[-1].startswith("         hint")


def test_what_an_artefact_calls_its_files_cannot_talk_to_the_terminal() -> None:
    found = lines(make("unsafe-path", "python/p\x1b[31m/\u202ex.so", "a \x07 bell", "ring \x1b"))
    assert "".join(found).isprintable()
    assert found[0] == r"  p\x1b[31m"
    assert found[2] == r"      a \x07 bell"


def test_counts() -> None:
    error, warning, note = (make("damaged-file", "p", "m", severity=severity) for severity in SEVERITIES)
    assert counts([]) == "nothing found"
    assert counts([error]) == "1 error"
    assert counts([note, error, error, warning, accepted(error)]) == "2 errors, 1 warning, 1 note, 1 accepted"


findings = st.lists(
    st.builds(
        Finding,
        code=st.sampled_from(sorted(CODES)),
        severity=st.sampled_from(SEVERITIES),
        path=st.sampled_from(["python/a/x.so", "python/b/y.so", "layer.zip"]),
        message=st.text(),
        hint=st.text(),
        accepted=st.booleans(),
    )
)


@given(findings)
def test_no_finding_is_lost_and_each_package_is_told_worst_first(found: list[Finding]) -> None:
    groups = grouped(found, by_folder)
    told = [finding for group in groups for finding in group.findings]
    assert sorted(map(repr, told)) == sorted(map(repr, found))
    assert len(
        {(group.package, group.findings[0].code, *group.rank, group.findings[0].message) for group in groups}
    ) == len(groups)
    packages = [group.package for group in groups]
    assert all(packages.index(name) + packages.count(name) - 1 == _last(packages, name) for name in set(packages))
    for name in set(packages):
        ranks = [group.rank for group in groups if group.package == name]
        assert ranks == sorted(ranks)
    if told:
        assert rank(told[0]) == min(map(rank, told))


def _last(names: list[str], name: str) -> int:
    return len(names) - 1 - names[::-1].index(name)
