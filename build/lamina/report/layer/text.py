"""A report as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lamina.audit.owners import by_folder
from lamina.prove.import_times import Run
from lamina.report.diff_text import difference_lines
from lamina.report.findings import Paint, printable, table, unpainted
from lamina.report.layer import words
from lamina.report.layer.model import Kind, Report
from lamina.report.text import plural

_BAR = 40
_MOST = 10
#: The kinds that have a column of their own.
_KINDS: tuple[Kind, ...] = ("native", "bytecode", "python")
_WIDTH = 100
_COLOURS = {"good": "note", "warning": "warning", "bad": "error"}


def report_lines(report: Report, paint: Paint = unpainted) -> Iterator[str]:
    """The report; names and texts of wheels are shown, never believed to be printable."""
    yield from _lines(report, paint)
    yield from _findings(report, paint)
    yield from _proofs(report, paint)
    yield ""
    yield "licences, as METADATA states them"
    width = max((len(package.name) for package in report.packages), default=0)
    for package in report.packages:
        yield f"  {printable(package.name):<{width}}  {printable(words.licence(package))}"
    if report.changes is not None:
        yield ""
        yield "what changed"
        yield from (f"  {line}" for line in difference_lines(report.changes))


def _lines(report: Report, paint: Paint) -> Iterator[str]:
    colour, verdict = report.verdict()
    yield f"{words.title(report)} ({report.runtime}, {report.architecture})"
    yield f"  {paint(verdict, _COLOURS[colour])}"
    for one in report.artefacts:
        sizes = f"{one.zipped_bytes:,} bytes zipped, {one.unzipped_bytes:,} unzipped, {plural(one.entries, 'file')}"
        yield f"  {one.name}: {sizes}"
        yield f"    sha256 {one.sha256 or 'none: it was not made'}"
    yield ""
    yield from _budget(report)
    yield ""
    yield from _packages(report)
    yield ""
    yield from _left_out(report)
    if report.imports is not None:
        yield ""
        yield f"imports: {words.imports_told(report)}"
        yield from _imports(report)


def _budget(report: Report) -> Iterator[str]:
    budget = report.budget
    whole = max(budget.quota, budget.total)
    yield f"budget: {budget.total:,} bytes unzipped, {words.part(budget.total, budget.quota)} of Lambda's quota"
    width = max(len(share.label) for share in budget.shares)
    for share in budget.shares:
        length = min(_BAR, max(1 if share.bytes else 0, round(_BAR * share.bytes / whole)))
        yield f"  {printable(share.label):<{width}}  {'#' * length:<{_BAR}}  {words.size(share.bytes):>9}"
    yield from (f"  {line}" for line in words.room(budget))


def _packages(report: Report) -> Iterator[str]:
    kinds = [kind for kind in _KINDS if any(one.kind == kind for package in report.packages for one in package.kinds)]
    traced = ["touched"] if report.traced is not None else []
    width = max((len(package.name) + len(package.version) + 1 for package in report.packages), default=0)
    heads = ("ships", *kinds, "other", "pruned", "trimmed", *traced)
    yield f"{plural(len(report.packages), 'package'):<{width + 2}}  {'  '.join(f'{head:>8}' for head in heads)}"
    for package in report.packages:
        sizes = {one.kind: one.bytes for one in package.kinds}
        shown = [sizes.get(kind, 0) for kind in kinds]
        figures = [package.shipped_bytes, *shown, package.shipped_bytes - sum(shown)]
        figures += [package.pruned_bytes, package.trimmed_bytes, *([package.traced_bytes] if traced else [])]
        name = printable(f"{package.name} {package.version}")
        yield f"  {name:<{width}}  {'  '.join(f'{words.size(figure):>8}' for figure in figures)}"
    yield f"  {words.traced_told(report)}"


def _left_out(report: Report) -> Iterator[str]:
    yield "what was left out, and what had to stay"
    for use in report.rules:
        gone = f"{words.size(use.dropped_bytes):>9} in {plural(use.dropped_files, 'file')}"
        kept = f"; kept {words.size(use.kept_bytes)} in {plural(use.kept_files, 'file')}" if use.kept_files else ""
        yield f"  {words.rule_name(use.rule):<18} {gone}{kept}"
    trimmed = sum(package.trimmed_bytes for package in report.packages)
    if trimmed:
        yield f"  {'native.trim':<18} {words.size(trimmed):>9}"
    for line in words.bytecode_told(report.bytecode):
        yield from _wrapped(f"bytecode: {line}", "  ", "    ")
    for note in report.notes:
        yield from _wrapped(f"note: {note}", "  ", "    ")
    if report.vetoes:
        yield "  the largest vetoes:"
    for veto in report.vetoes:
        yield f"    {words.size(veto.bytes):>9}  {printable(veto.package)}: {printable(words.veto(veto))}"
    yield f"  every decision: lamina explain {report.name}"


def _imports(report: Report) -> Iterator[str]:
    times = report.imports
    if times is None or times.after is None:
        return
    yield from _wrapped(f"{', '.join(times.names)}; the fastest of {len(times.after.every)} runs", "  ", "  ")
    before = _by_name(times.before)
    whole = max(times.after.seconds, times.before.seconds if times.before else 0)
    for title, order in (("whole", lambda step: -step.whole), ("own", lambda step: -step.own)):
        yield f"  by {title} time:"
        for step in sorted(times.after.steps, key=order)[:_MOST]:
            now = step.whole if title == "whole" else step.own
            bar = "#" * round(24 * now / (whole * 1e6))
            then = before.get(step.name)
            was = f", was {words.seconds(then[title == 'own'] / 1e6)}" if then else ""
            yield f"    {words.seconds(now / 1e6):>8}  {bar:<24}  {printable(step.name)}{was}"


def _by_name(run: Run | None) -> dict[str, tuple[int, int]]:
    """Module → whole and own microseconds."""
    return {step.name: (step.whole, step.own) for step in run.steps} if run is not None else {}


def _findings(report: Report, paint: Paint) -> Iterator[str]:
    yield ""
    yield "findings" if report.findings else "findings: none"
    for one in report.artefacts:
        if one.findings:
            yield f"  {one.name}"
            yield from table(one.findings, by_folder, paint=paint)


def _proofs(report: Report, paint: Paint) -> Iterator[str]:
    yield ""
    yield "proofs" if report.proofs else f"proofs: none; {report.prove}"
    for proof in report.proofs:
        word = paint("passed", "note") if proof.passed else paint("failed", "error")
        told = _wrapped(f"{proof.kind}: {proof.detail}", "", "")
        yield f"  {word}  {told[0] if told else ''}"
        yield from (f"          {line}" for line in told[1:])
    for where in dict.fromkeys(proof.where for proof in report.proofs):
        yield from _wrapped(f"where   {where}", "  ", "          ")


def _wrapped(text: str, first: str, more: str) -> list[str]:
    wrapper = textwrap.TextWrapper(_WIDTH, first, more, break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(printable(text))
