"""A report as one page of HTML that needs nothing else: no script, no font, no image, no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from string import Template

from lamina.audit.owners import by_folder
from lamina.findings import Finding
from lamina.prune.model import Thing
from lamina.report.diff import Difference, PackageChange
from lamina.report.findings import counts, grouped
from lamina.report.layer import imported, words
from lamina.report.layer.drawing import bar, stack, treemap
from lamina.report.layer.model import KINDS, PackageReport, Report
from lamina.report.layer.parts import e, folded, items, legend, table
from lamina.report.text import plural

_HERE = Path(__file__).parent
_MOST = 200
_MOST_CHANGES = 100


def page(report: Report) -> str:
    """The whole page. What wheels, manifests and recipes say is escaped; a browser is told to load nothing."""
    style = _HERE.joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    kind, verdict = report.verdict()
    template = Template(_HERE.joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=style,
        style_digest=digest,
        title=e(words.title(report)),
        name=e(report.name),
        target=e(f"{report.target}, {report.runtime} on {report.architecture}"),
        verdict_kind=kind,
        verdict=e(verdict),
        about=e(report.description),
        version=e(report.lamina_version),
        sections="\n".join(_sections(report)),
    )


def _sections(report: Report) -> Iterator[str]:
    yield _figures(report)
    yield _section("Budget", _budget(report))
    yield _section("Where the bytes are", _bytes(report))
    yield _section("What was left out, what had to stay", _left_out(report))
    yield _section("What the proofs touch", _touched(report))
    if report.imports is not None:
        yield _section("Imports", imported.html(report.imports))
    yield _section("Findings", _findings(report))
    yield _section("Proofs", _proofs(report))
    yield _section("Licences", _licences(report.packages))
    if report.changes is not None:
        yield _section("What changed", _changes(report.changes))


def _section(title: str, parts: Iterable[str]) -> str:
    return f"<section>\n<h2>{title}</h2>\n{''.join(parts)}\n</section>"


def _figures(report: Report) -> str:
    first = report.artefacts[0]
    rows = [
        ("Unpacked", words.size(first.unzipped_bytes), f"{first.unzipped_bytes:,} bytes"),
        ("Zipped", words.size(first.zipped_bytes), f"{first.zipped_bytes:,} bytes"),
        ("Files", f"{first.entries:,}", plural(len(report.packages), "package")),
        ("Of Lambda's quota", words.part(report.budget.total, report.budget.quota), "with all that shares it"),
    ]
    times = report.imports
    if times is not None and times.after is not None:
        was = f"{words.seconds(times.before.seconds)} without bytecode" if times.before else "no bytecode ships"
        rows.append(("Imports", words.seconds(times.after.seconds), was))
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{e(value)}<small>{e(more)}</small></dd></div>" for name, value, more in rows
    )
    digests = "".join(
        f'<li>{e(one.name)}: {one.zipped_bytes:,} bytes, <span class="muted">sha256 '
        f"<code>{e(one.sha256 or 'none, it was not made')}</code></span></li>"
        for one in report.artefacts
    )
    return f'<dl class="figures">{cells}</dl><details><summary>What was emitted</summary><ul>{digests}</ul></details>'


def _budget(report: Report) -> Iterator[str]:
    budget = report.budget
    yield f"<p>{budget.total:,} bytes unpacked, {words.part(budget.total, budget.quota)} of what Lambda takes.</p>"
    yield stack(budget)
    rows = [(f"s{min(at, 5)}", share.label, words.size(share.bytes)) for at, share in enumerate(budget.shares)]
    yield legend(rows)
    yield items(words.room(budget))


def _bytes(report: Report) -> Iterator[str]:
    sizes = dict.fromkeys(KINDS, 0)
    for one in (*(one for package in report.packages for one in package.kinds), *report.rest):
        sizes[one.kind] += one.bytes
    shown = [kind for kind in KINDS if sizes[kind]]
    yield treemap(report.packages, report.rest)
    yield legend((kind, kind, words.size(sizes[kind])) for kind in shown)
    whole = sum(sizes.values())
    heads = ["package", "|", "#ships", *(f"#{kind}" for kind in shown), "#pruned", "#trimmed"]
    yield table(heads, (_row(package, shown, whole) for package in report.packages), "Bytes of each package")


def _row(package: PackageReport, shown: Sequence[str], whole: int) -> list[str]:
    sizes: dict[str, int] = {one.kind: one.bytes for one in package.kinds}
    largest = [sizes.get(kind, 0) for kind in shown]
    figures = [package.shipped_bytes, *largest, package.pruned_bytes, package.trimmed_bytes]
    name = f'{e(package.name)} <span class="muted">{e(package.version)}</span>'
    return [name, bar(package.shipped_bytes, whole), *(words.size(figure) if figure else "" for figure in figures)]


def _left_out(report: Report) -> Iterator[str]:
    trimmed = sum(package.trimmed_bytes for package in report.packages)
    most = max([use.dropped_bytes for use in report.rules] + [trimmed, report.bytecode.bytes, 1])
    rows = [
        [
            e(words.rule_name(use.rule)),
            bar(use.dropped_bytes, most),
            words.size(use.dropped_bytes),
            f"{use.dropped_files:,}",
            f"{words.size(use.kept_bytes)} in {plural(use.kept_files, 'file')}" if use.kept_files else "",
        ]
        for use in report.rules
    ]
    if trimmed:
        rows.append(["native.trim", bar(trimmed, most), words.size(trimmed), "", ""])
    yield table(["rule", "|", "#saved", "#files", "#had to stay"], rows, "What each rule saved")
    told = (*words.bytecode_told(report.bytecode), *report.notes)
    yield f"<h3>Bytecode, and what else there is to say</h3>{items(told)}"
    yield _compiled(report)
    vetoes = [[e(one.package), words.size(one.bytes), e(words.veto(one))] for one in report.vetoes]
    if vetoes:
        yield folded("The largest vetoes", table(["package", "#kept", "what, and why"], vetoes, "Vetoes"))
    for title, things in (("kept", report.largest_kept), ("dropped", report.largest_dropped)):
        if things:
            yield folded(f"The largest things {title}", table(["path", "#bytes", "why"], map(_thing, things), title))
    yield folded("Each package", "".join(map(_package_rules, report.packages)))
    yield f"<p class=muted>Every decision: <code>lamina explain {e(report.name)}</code></p>"


def _touched(report: Report) -> Iterator[str]:
    """Traced against shipped."""
    yield f"<p>{e(words.traced_told(report))}</p>"
    if report.traced is not None:
        rows = [
            [
                e(one.name),
                bar(one.traced_bytes, one.shipped_bytes),
                words.size(one.traced_bytes),
                words.size(one.shipped_bytes),
                f"{one.traced_files:,}",
            ]
            for one in report.packages
        ]
        yield table(["package", "|", "#touched", "#ships", "#files touched"], rows, "What the proofs touch")


def _compiled(report: Report) -> str:
    """Of each package the modules with bytecode and without, and why its sources stay where others go."""
    if not report.bytecode.files:
        return ""
    kept = any(one.sources_kept for one in report.packages)
    rows = [
        [
            e(one.name),
            words.size(one.bytecode_bytes),
            f"{one.compiled:,}",
            f"{words.uncompiled(one):,}",
            *([e(one.sources_kept)] if kept else []),
        ]
        for one in report.packages
        if one.modules or one.compiled
    ]
    heads = ["package", "#costs", "#compiled", "#without", *(["sources kept, as it"] if kept else [])]
    return folded("Bytecode of each package", table(heads, rows, "Bytecode"))


def _thing(thing: Thing) -> list[str]:
    files = f" ({plural(thing.files, 'file')})" if thing.path.endswith("/") else ""
    why = f"{words.rule_name(thing.rule)}: {thing.reason}" if thing.rule else thing.reason
    return [f"<code>{e(thing.path)}</code>{files}", words.size(thing.bytes), e(f"{thing.package}: {why}")]


def _package_rules(package: PackageReport) -> str:
    rows = [
        f"<li>{e(words.rule_name(use.rule))}: {words.size(use.dropped_bytes)} in {plural(use.dropped_files, 'file')} "
        f"dropped, {words.size(use.kept_bytes)} in {plural(use.kept_files, 'file')} kept</li>"
        for use in package.rules
    ]
    return f"<h3>{e(package.name)} {e(package.version)}</h3><ul>{''.join(rows) or '<li>nothing was left out</li>'}</ul>"


def _findings(report: Report) -> Iterator[str]:
    yield f"<p>{counts(report.findings)}</p>"
    for one in report.artefacts:
        for group in grouped(one.findings, by_folder)[:_MOST]:
            yield _finding(group.findings)


def _finding(findings: Sequence[Finding]) -> str:
    first = findings[0]
    accepted = "accepted " if first.accepted else ""
    word = f'<span class="{first.severity}">{accepted}{first.severity}</span>'
    head = f"<p>{word} <code>{e(first.code)}</code> {e(first.path)}</p>"
    more = f"<p class=muted>and {len(findings) - 1:,} more files</p>" if len(findings) > 1 else ""
    hints = "".join(f'<p class="hint">→ {e(line)}</p>' for line in first.hint.splitlines() if not first.accepted)
    return f'<div class="finding">{head}<p>{e(first.message)}</p>{more}{hints}</div>'


def _proofs(report: Report) -> Iterator[str]:
    if not report.proofs:
        yield f"<p>Nothing was run yet: <code>{e(report.prove)}</code></p>"
    for proof in report.proofs:
        word = '<span class="good">passed</span>' if proof.passed else '<span class="bad">failed</span>'
        yield f'<div class="proof"><p>{word} {e(proof.kind)}</p><p>{e(proof.detail)}</p></div>'
    for where in dict.fromkeys(proof.where for proof in report.proofs):
        yield f"<p class=muted>{e(where)}</p>"


def _licences(packages: Sequence[PackageReport]) -> Iterator[str]:
    rows = (
        [e(one.name), e(words.licence(one)), e(one.licence_field)] for one in sorted(packages, key=lambda one: one.name)
    )
    yield table(["package", "licence, as METADATA states it", "field"], rows, "Licences")


def _changes(changes: Difference) -> Iterator[str]:
    before, after = changes.before, changes.after
    yield f"<p>Against {e(before.path)}: {changes.verdict}.</p>"
    if changes.verdict != "identical":
        unzipped = after.unzipped_bytes - before.unzipped_bytes
        yield f"<p>{before.unzipped_bytes:,} → {after.unzipped_bytes:,} bytes unpacked ({unzipped:+,}), "
        yield f"{before.entries:,} → {after.entries:,} files, {plural(changes.same, 'package')} the same.</p>"
    if changes.packages:
        rows = map(_change, changes.packages[:_MOST_CHANGES])
        yield table(["package", "version", "#bytes", "#change", "#files"], rows, "Packages that changed")
    for word, findings in (("appeared", changes.findings_appeared), ("vanished", changes.findings_vanished)):
        for finding in findings[:_MOST]:
            yield f"<h3>A finding {word}</h3>{_finding([finding])}"
    for note in changes.notes:
        yield f"<p class=muted>{e(note)}</p>"


def _change(one: PackageChange) -> list[str]:
    old, new = one.version_before, one.version_after
    versions = new or old or "" if old == new else " → ".join((old or "none", new or "none"))
    delta = one.bytes_after - one.bytes_before
    files = one.added + one.removed + one.changed
    sign = "+" if delta > 0 else ""
    return [
        e(one.package),
        e(versions),
        words.size(one.bytes_after),
        f"{sign}{words.size(delta)}",
        f"{files:,}" if files else "",
    ]
