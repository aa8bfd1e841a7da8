"""A report as Markdown for a comment on a pull request.

What wheels, manifests and recipes say stands in code spans, where GitHub sees neither mentions nor links nor HTML, or
in sentences with every mark of Markdown and HTML escaped. Sources: the GitHub Flavored Markdown specification, 0.29;
GitHub refuses a comment of more than 65,536 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lamina.audit.owners import by_folder
from lamina.findings import Finding
from lamina.prune.model import Thing
from lamina.report.diff import Difference, PackageChange
from lamina.report.findings import counts, grouped, printable
from lamina.report.layer import words
from lamina.report.layer.model import KINDS, PackageReport, Report
from lamina.report.text import plural

#: Characters that a comment can have: https://github.com/orgs/community/discussions/27190.
LONGEST = 65_536
_MOST_ROWS = 40
_MOST_TEXT = 600
_MARKS = {"good": "✅", "warning": "⚠️", "bad": "❌"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$:^=>-])")
_LEFT_OUT = "\n_Left out, as the comment would be too long: {}. The page has all of it: `lamina report {} --html`._\n"


def markdown(report: Report) -> str:
    """The comment; where all would be too long, sections go whole, the least telling first, and it says which."""
    head, *sections = [*_sections(report)]
    kept = [f"{head[1]}\n", *(f"\n{text}\n" for _, text in sections)]
    gone: list[str] = []
    while sum(map(len, kept)) + len(_LEFT_OUT) + 300 > LONGEST and len(kept) > 1:
        largest = max(range(1, len(kept)), key=lambda at: len(kept[at]))
        gone.append(sections.pop(largest - 1)[0])
        del kept[largest]
    return "".join(kept) + (_LEFT_OUT.format(", ".join(gone), _plain_name(report.name)) if gone else "")


def code(text: str) -> str:
    """A text as a code span on one line: what could end the span, or a cell of a table, is spelled out."""
    shown = printable(text[:_MOST_TEXT]).replace("`", "\\x60").replace("|", "\\x7c").strip()
    return f"`{shown}`" if shown else ""


def prose(text: str) -> str:
    """A text as a sentence of it: nothing in it marks up, links or mentions anything."""
    shown = printable(text[:_MOST_TEXT]).replace("&", "&amp;").replace("<", "&lt;")
    shown = _SPECIAL.sub(r"\\\1", shown)
    return (
        shown.replace("@", "@\u200b")
        .replace("\\#", "\\#\u200b")
        .replace("www.", "www\\.")
        .replace("GH\\-", "GH\u200b\\-")
    )


def _plain_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "", name, flags=re.ASCII)


def _sections(report: Report) -> Iterator[tuple[str, str]]:
    """Title and text of each section; the first always stays."""
    yield "", "\n".join(_head(report))
    if report.changes is not None:
        yield "changes", "\n".join(_changes(report.changes))
    found = [*_findings(report)]
    if found:
        yield "findings", _folded(f"Findings: {counts(report.findings)}", "\n".join(found))
    yield "packages", _folded(f"{plural(len(report.packages), 'package')}", _packages(report))
    yield "what was left out", _folded("What was left out, what had to stay", "\n".join(_left_out(report)))
    if report.imports is not None and report.imports.after is not None:
        yield "imports", _folded("Imports, by package", "\n".join(_imports(report)))
    yield "proofs", _folded(_proven(report), "\n".join(_proofs(report)))
    yield "licences", _folded("Licences", _licences(report.packages))


def _head(report: Report) -> Iterator[str]:
    kind, verdict = report.verdict()
    yield f"### {_MARKS[kind]} {code(report.name)} for {code(report.target)}: {verdict}"
    yield ""
    budget = report.budget
    rows = [
        [
            code(one.name),
            f"{one.zipped_bytes:,}",
            f"{one.unzipped_bytes:,}",
            f"{one.entries:,}",
            code((one.sha256 or "none")[:12]),
        ]
        for one in report.artefacts
    ]
    yield _table(["artefact", "#zipped", "#unpacked", "#files", "sha256"], rows)
    yield ""
    shares = " + ".join(f"{prose(share.label)} {words.size(share.bytes)}" for share in budget.shares)
    yield f"- **Budget**: {budget.total:,} bytes, {words.part(budget.total, budget.quota)} of Lambda's quota ({shares})"
    warn = budget.warn - budget.total
    yield f"  - {words.size(abs(warn))} {'below' if warn >= 0 else 'above'} the warning at {budget.warn:,}"
    told = words.imports_told(report)
    if told:
        yield f"- **Imports**: {prose(told)}"
    yield f"- **Findings**: {counts(report.findings)}"
    for line in words.bytecode_told(report.bytecode):
        yield f"- **Bytecode**: {prose(line)}"
    for note in report.notes[:_MOST_ROWS]:
        yield f"- {prose(note)}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a head that begins with ``#`` is one of numbers."""
    lines = [f"| {' | '.join(head.lstrip('#') for head in heads)} |"]
    lines.append(f"| {' | '.join('---:' if head.startswith('#') else '---' for head in heads)} |")
    shown = [*rows]
    lines += [f"| {' | '.join(row)} |" for row in shown[:_MOST_ROWS]]
    more = len(shown) - _MOST_ROWS
    return "\n".join(lines) + (f"\n\nand {more:,} more" if more > 0 else "")


def _folded(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"


def _packages(report: Report) -> str:
    kinds = [kind for kind in KINDS if any(one.kind == kind for package in report.packages for one in package.kinds)]
    traced = report.traced is not None
    rows = [_package(package, kinds, traced=traced) for package in report.packages]
    heads = ["package", "#ships", *(f"#{kind}" for kind in kinds), "#pruned", "#trimmed"]
    return _table([*heads, "#touched"] if traced else heads, rows) + f"\n\n{prose(words.traced_told(report))}"


def _package(package: PackageReport, kinds: Sequence[str], *, traced: bool) -> list[str]:
    sizes: dict[str, int] = {one.kind: one.bytes for one in package.kinds}
    figures = [
        package.shipped_bytes,
        *(sizes.get(kind, 0) for kind in kinds),
        package.pruned_bytes,
        package.trimmed_bytes,
        *([package.traced_bytes] if traced else []),
    ]
    return [code(f"{package.name} {package.version}"), *(words.size(figure) if figure else "" for figure in figures)]


def _left_out(report: Report) -> Iterator[str]:
    rows = [
        [
            words.rule_name(use.rule),
            words.size(use.dropped_bytes),
            f"{use.dropped_files:,}",
            f"{words.size(use.kept_bytes)} in {plural(use.kept_files, 'file')}" if use.kept_files else "",
        ]
        for use in report.rules
    ]
    trimmed = sum(package.trimmed_bytes for package in report.packages)
    rows += [["native.trim", words.size(trimmed), "", ""]] if trimmed else []
    yield _table(["rule", "#saved", "#files", "#had to stay"], rows)
    if report.vetoes:
        yield "\nThe largest vetoes:\n"
        told = ([code(one.package), words.size(one.bytes), code(words.veto(one))] for one in report.vetoes)
        yield _table(["package", "#kept", "what, and why"], told)
    for title, things in (("kept", report.largest_kept), ("dropped", report.largest_dropped)):
        if things:
            yield f"\nThe largest things {title}:\n"
            yield _table(["path", "#bytes", "why"], map(_thing, things))


def _thing(thing: Thing) -> list[str]:
    why = f"{words.rule_name(thing.rule)}: {thing.reason}" if thing.rule else thing.reason
    return [code(thing.path), words.size(thing.bytes), code(why)]


def _imports(report: Report) -> Iterator[str]:
    times = report.imports
    if times is None or times.after is None:
        return
    was = {group.package: group.own / 1e6 for group in times.before.groups} if times.before is not None else {}
    rows = [
        [
            code(group.package),
            f"{group.modules:,}",
            words.seconds(was[group.package]) if group.package in was else "",
            words.seconds(group.own / 1e6),
        ]
        for group in times.after.groups[:_MOST_ROWS]
    ]
    yield _table(["package", "#modules", "#without bytecode", "#as it ships"], rows)
    yield ""
    yield f"{code(', '.join(times.names))}; {code(times.where)}"


def _findings(report: Report) -> Iterator[str]:
    left = _MOST_ROWS
    for one in report.artefacts:
        groups = grouped(one.findings, by_folder)
        for group in groups[:left]:
            yield from _finding(group.findings)
        left = max(0, left - len(groups))
    if sum(len(grouped(one.findings, by_folder)) for one in report.artefacts) > _MOST_ROWS:
        yield "- and more"


def _finding(findings: Sequence[Finding]) -> Iterator[str]:
    first = findings[0]
    accepted = "accepted " if first.accepted else ""
    more = f" and {len(findings) - 1:,} more" if len(findings) > 1 else ""
    yield f"- **{accepted}{first.severity}** {code(first.code)} {code(first.path)}{more}: {prose(first.message)}"
    if first.hint and not first.accepted:
        yield from (f"  - {prose(line)}" for line in first.hint.splitlines())


def _proven(report: Report) -> str:
    failed = sum(not proof.passed for proof in report.proofs)
    if not report.proofs:
        return "Proofs: none"
    return f"Proofs: {failed:,} failed" if failed else f"Proofs: {len(report.proofs):,} passed"


def _proofs(report: Report) -> Iterator[str]:
    if not report.proofs:
        yield f"Run them: {code(report.prove)}"
    for proof in report.proofs[:_MOST_ROWS]:
        yield f"- **{'passed' if proof.passed else 'failed'}** {code(proof.kind)}: {prose(proof.detail)}"
    for where in [*dict.fromkeys(proof.where for proof in report.proofs)][:_MOST_ROWS]:
        yield f"\n{code(where)}"


def _licences(packages: Sequence[PackageReport]) -> str:
    rows = ([code(one.name), code(words.licence(one))] for one in sorted(packages, key=lambda one: one.name))
    return _table(["package", "licence, as METADATA states it"], rows)


def _changes(changes: Difference) -> Iterator[str]:
    before, after = changes.before, changes.after
    yield f"**Against** {code(before.path)}: {changes.verdict}"
    if changes.verdict != "identical":
        delta = after.unzipped_bytes - before.unzipped_bytes
        yield f"\n{before.unzipped_bytes:,} → {after.unzipped_bytes:,} bytes unpacked ({delta:+,}), "
        yield f"{before.entries:,} → {after.entries:,} files"
    if changes.packages:
        yield ""
        yield _table(["package", "version", "#bytes", "#change"], map(_change, changes.packages))
    for word, findings in (("appeared", changes.findings_appeared), ("vanished", changes.findings_vanished)):
        if findings:
            yield f"\nFindings that {word}:\n"
        for finding in findings[:_MOST_ROWS]:
            yield from _finding([finding])
    for note in changes.notes:
        yield f"\n{prose(note)}"


def _change(one: PackageChange) -> list[str]:
    old, new = one.version_before, one.version_after
    versions = new or old or "" if old == new else f"{old or 'none'} → {new or 'none'}"
    delta = one.bytes_after - one.bytes_before
    return [
        code(one.package),
        code(versions),
        words.size(one.bytes_after),
        f"{'+' if delta > 0 else ''}{words.size(delta)}",
    ]
