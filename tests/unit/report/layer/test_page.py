from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

import lamina.report.layer
from lamina.prove.import_times import ImportTimes
from lamina.report.layer.model import KINDS, Report
from lamina.report.layer.page import page

CSS = Path(lamina.report.layer.__path__[0], "page.css").read_text(encoding="utf-8")
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\x1b[31m\u202e'</style></title>${style}$x"


class _Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":  # which has no end
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_wheels_say_is_text_and_nothing_else(make_report: Callable[..., Report]) -> None:
    tame, wild = _Parsed(page(make_report("WORD"))), _Parsed(page(make_report(HOSTILE)))
    assert set(wild.tags) == set(tame.tags)
    assert wild.tags.count("section") == tame.tags.count("section") == 9
    assert wild.open == tame.open == []
    assert {name for name, _ in wild.attributes} == {name for name, _ in tame.attributes}
    assert "script" not in wild.tags
    assert "<script>alert(1)</script>" in wild.text
    assert "\x1b" not in wild.text
    assert "\\x1b[31m\\u202e" in wild.text


def test_the_page_asks_for_nothing_and_its_policy_names_its_own_style_alone(make_report: Callable[..., Report]) -> None:
    text = page(make_report())
    parsed = _Parsed(text)
    names = {name for name, _ in parsed.attributes}
    assert names.isdisjoint({"src", "href", "style", "srcset", "action", "onload", "onclick", "background"})
    assert set(parsed.tags).isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base"})
    assert not re.search(r"url\(|@import|@font-face|https?:", text)
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text


def test_the_page_tells_figures_findings_and_what_to_do(make_report: Callable[..., Report]) -> None:
    text = " ".join(_Parsed(page(make_report("!"))).text.split())
    for told in (
        "built, with 1 warning; 1 proof passed",
        "15,000,000 bytes unpacked, 75.0 % of what Lambda takes.",
        "3.0 MB above the warning (12,000,000 bytes)",
        "5.0 MB below Lambda's quota (20,000,000 bytes)",
        "2 modules in 1.25 s, 3.2 times as fast as from the same layer without bytecode (4.00 s).",
        "accepted warning near-budget",
        "→ do !",
        "18 modules compiled by CPython 3.11.7: 1,000,000 bytes",
        "2 files of tests: imported by x!",
        "9,000,000 → 10,000,000 bytes unpacked (+1,000,000), 40 → 42 files, 1 package the same.",
    ):
        assert told in text


def test_without_proofs_or_a_measure_the_page_says_so(make_report: Callable[..., Report]) -> None:
    report = make_report()
    bare = msgspec.structs.replace(report.artefacts[0], proofs=(), findings=())
    report = msgspec.structs.replace(
        report, artefacts=(bare,), imports=ImportTimes(("a",), note="no <CPython> here"), changes=None
    )
    text = _Parsed(page(report)).text
    assert "Nothing was run yet: lamina prove demo --target cp311-manylinux2014_x86_64" in text
    assert "Not measured: no <CPython> here" in text
    assert "What changed" not in text
    assert "Imports" not in _Parsed(page(msgspec.structs.replace(report, imports=None))).text


def _schemes() -> dict[str, dict[str, str]]:
    found = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    light, dark, paper = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in found)
    return {"light": light, "dark": dark, "print": paper}


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _mixed(ink: str, ground: str, share: float) -> str:
    parts = [(int(ink[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(share * over + (1 - share) * under):02x}" for over, under in parts)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_is_readable_on_all_that_it_stands_on(scheme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    colours = _schemes()[scheme]
    for ground in ("paper", "raised"):
        for ink in ("ink", "muted", "accent", "good", "warning", "bad"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for ground in (*KINDS, "room"):
        faint = _mixed(colours["ink"], colours[ground], 0.8)
        assert _contrast(faint, colours[ground]) >= 4.5, ground
    assert _contrast(colours["warning"], colours["room"]) >= 3
