"""A difference of two artefacts as text; what stands in their zips is shown, never believed to be printable."""

from __future__ import annotations

from collections.abc import Iterator

from lamina.findings import Finding
from lamina.report.diff import Difference, FileChange, PackageChange
from lamina.report.findings import printable
from lamina.report.text import plural

#: How many files of a package are shown unless all are asked for.
MOST_FILES = 5


def difference_lines(difference: Difference, *, every_file: bool = False) -> Iterator[str]:
    """The difference as text: the whole, each package with its largest changes (or all of them), the findings."""
    before, after = difference.before, difference.after
    yield f"before  {printable(before.path)}"
    yield f"after   {printable(after.path)}"
    if difference.verdict == "identical":
        yield f"identical, byte for byte: sha256 {before.sha256}"
    else:
        yield f"sha256    {before.sha256 or 'none'} → {after.sha256 or 'none'}"
        yield f"zipped    {_span(before.zipped_bytes, after.zipped_bytes)}"
        yield f"unzipped  {_span(before.unzipped_bytes, after.unzipped_bytes)}"
        yield f"files     {before.entries:,} → {after.entries:,} ({after.entries - before.entries:+,})"
    if difference.verdict == "repacked":
        yield "the same files, by path, size, CRC-32 and mode; their order, dates or compression differ"
    elif difference.verdict == "different":
        yield from _summary(difference)
        for package in difference.packages:
            yield from _package_lines(package, every_file=every_file)
    for word, findings in (("appeared", difference.findings_appeared), ("vanished", difference.findings_vanished)):
        for finding in findings:
            yield f"finding {word}: {_stated(finding)}"
    for note in difference.notes:
        yield f"note: {printable(note)}"


def _summary(difference: Difference) -> Iterator[str]:
    """How many packages came, went, changed; what is no package is not counted."""
    known = [package for package in difference.packages if package.version_before or package.version_after]
    kinds = [_kind(package) for package in known]
    counted = [f"{kinds.count(word):,} {word}" for word in ("added", "removed", "changed") if word in kinds]
    yield f"packages  {', '.join([*counted, f'{difference.same:,} the same'])}"


def _kind(package: PackageChange) -> str:
    there = package.version_before is not None, package.version_after is not None
    if there == (False, True):
        return "added"
    return "removed" if there == (True, False) else "changed"


def _package_lines(package: PackageChange, *, every_file: bool) -> Iterator[str]:
    kind = _kind(package)
    sign = {"added": "+", "removed": "-"}.get(kind, "~")
    old, new = package.version_before, package.version_after
    versions = old if old == new else " → ".join(version for version in (old, new) if version)
    name = printable(f"{package.package} {versions}" if versions else package.package)
    words = (("added", package.added), ("removed", package.removed), ("changed", package.changed))
    counts = ", ".join(f"{plural(count, 'file')} {word}" for word, count in words if count)
    yield f"{sign} {name}: {_span(package.bytes_before, package.bytes_after)}{'; ' if counts else ''}{counts}"
    shown = package.files if every_file else package.files[:MOST_FILES]
    for change in shown:
        yield f"    {_file_line(change)}"
    if len(shown) < len(package.files):
        yield f"    and {plural(len(package.files) - len(shown), 'file')} more (--files shows all)"


def _file_line(change: FileChange) -> str:
    sign = "+" if change.before is None else "-" if change.after is None else "~"
    delta = (change.after or 0) - (change.before or 0)
    what = f" (mode {change.modes})" if change.modes else " (same size)" if sign == "~" and not delta else ""
    return f"{sign} {delta:>+13,}  {printable(change.path)}{what}"


def _span(before: int | None, after: int | None) -> str:
    """``1,000 → 1,200 bytes (+200)``."""
    shown = " → ".join("none" if size is None else f"{size:,}" for size in (before, after))
    return f"{shown} bytes" + (f" ({after - before:+,})" if before is not None and after is not None else "")


def _stated(finding: Finding) -> str:
    severity = f"accepted {finding.severity}" if finding.accepted else finding.severity
    return printable(f"{severity}: {finding.code}: {finding.path}: {finding.message}")
