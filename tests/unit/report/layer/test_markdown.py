from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest

from lamina.report.layer.markdown import LONGEST, code, markdown, prose
from lamina.report.layer.model import Report

HOSTILE = "`|@team #12 <b>x</b> [a](https://e.invalid) ![i](x) **b** www.e.invalid \x1b[0m\n# head\n- @all"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("scipy 1.16.3", "`scipy 1.16.3`"),
        ("a`b|c", "`a\\x60b\\x7cc`"),
        ("a\nb\x1b", "`a\\nb\\x1b`"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_code_stays_in_its_span_and_its_cell(text: str, shown: str) -> None:
    assert code(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1,234 bytes.", "1,234 bytes."),
        ("*a* <b> & |", "\\*a\\* &lt;b\\> &amp; \\|"),
        ("@team, see #12", "@\u200bteam, see \\#\u200b12"),
        ("http://e.invalid and www.e.invalid", "http\\://e.invalid and www\\.e.invalid"),
        ("a\n# b", "a\\\\n\\#\u200b b"),
    ],
)
def test_prose_marks_nothing_up_links_nothing_and_mentions_nobody(text: str, shown: str) -> None:
    assert prose(text) == shown


def test_outside_of_code_no_text_of_a_wheel_stands_as_it_is(make_report: Callable[..., Report]) -> None:
    wild, tame = markdown(make_report(HOSTILE)), markdown(make_report("word"))
    plain = "\n".join(re.sub(r"`[^`\n]*`", "", line) for line in wild.splitlines())
    assert not re.search(r"@\w|#\d|<b>|(?<!\\)\]\(|(?<!\\)\*\*b|https?:|www\.e|\x1b", plain)
    assert [line.count("|") for line in wild.splitlines() if line.startswith("|")] == [
        line.count("|") for line in tame.splitlines() if line.startswith("|")
    ]
    assert wild.count("<details>") == wild.count("</details>") == tame.count("<details>")


def test_a_comment_tells_first_what_reviewers_ask(make_report: Callable[..., Report]) -> None:
    assert markdown(make_report()).splitlines()[:14] == [
        "### ⚠️ `demo` for `cp311-manylinux2014_x86_64`: built, with 1 warning; 1 proof passed",
        "",
        "| artefact | zipped | unpacked | files | sha256 |",
        "| --- | ---: | ---: | ---: | --- |",
        "| `demo.zip` | 4,000,000 | 10,000,000 | 42 | `abababababab` |",
        "",
        "- **Budget**: 15,000,000 bytes, 75.0 % of Lambda's quota (this layer 10.0 MB + other 5.0 MB)",
        "  - 3.0 MB above the warning at 12,000,000",
        "- **Imports**: 1.25 s for 2 modules; 4.00 s without bytecode \\(3.2 times as fast\\)",
        "- **Findings**: 1 warning, 1 accepted",
        "- **Bytecode**: 18 modules compiled by CPython 3.11.7\\: 1,000,000 bytes",
        "- **Bytecode**: 2 modules ship without\\: 5,000 bytes more would be above budget.warn",
        "- **Bytecode**: does not compile\\: python/bad.py",
        "- bytecode\\: a note",
    ]


def test_a_comment_is_never_longer_than_github_takes_and_says_what_is_missing(
    make_report: Callable[..., Report],
) -> None:
    report = make_report("x" * 900, many=300)
    one = report.artefacts[0]
    finding = one.findings[0]
    many = tuple(
        msgspec.structs.replace(finding, path=f"python/p{number}/x.py", message="m" * 900) for number in range(500)
    )
    text = markdown(msgspec.structs.replace(report, artefacts=(msgspec.structs.replace(one, findings=many),)))
    assert len(text) <= LONGEST
    assert "_Left out, as the comment would be too long: " in text
    assert text.rstrip().endswith("The page has all of it: `lamina report demo --html`._")
    assert text.count("<details>") == text.count("</details>")
