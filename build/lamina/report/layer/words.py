"""Figures and sentences that all three forms of a report share."""

from __future__ import annotations

from collections.abc import Iterator

from lamina.report.layer.model import Budget, BytecodeReport, PackageReport, Report, Veto
from lamina.report.text import plural

_UNITS = ((1_000_000_000, "GB", 2), (1_000_000, "MB", 1), (1000, "kB", 0))
_RULES = {
    "metadata": "prune.metadata",
    "keep": "prune.keep",
    "drop": "prune.drop",
    "bytecode": "bytecode in place of sources",
}


def size(number: int) -> str:
    """A number of bytes in three or four figures: ``68.0 MB``, ``412 kB``, ``0``."""
    for unit, name, digits in _UNITS:
        if abs(number) >= unit:
            return f"{number / unit:,.{digits}f} {name}"
    return f"{number} B" if number else "0"


def part(number: float, whole: float) -> str:
    """``12.3 %``."""
    return f"{100 * number / whole:.1f} %" if whole else "0.0 %"


def seconds(number: float) -> str:
    """``1.07 s``, ``340 ms``, ``0.4 ms``."""
    if number >= 1:
        return f"{number:.2f} s"
    return f"{number * 1000:.0f} ms" if number >= 0.01 else f"{number * 1000:.1f} ms"  # noqa: PLR2004


def rule_name(rule: str) -> str:
    """What a rule is called: its name, or the key of the recipe that speaks."""
    return _RULES.get(rule, rule)


def room(budget: Budget) -> Iterator[str]:
    """How far the function is from where it is warned of, from its budget, and from the quota; equal ones as one."""
    limits: dict[int, list[str]] = {}
    for word, limit in (("the warning", budget.warn), ("the budget", budget.limit), ("Lambda's quota", budget.quota)):
        limits.setdefault(limit, []).append(word)
    for limit, names in limits.items():
        left = limit - budget.total
        yield f"{size(abs(left))} {'below' if left >= 0 else 'above'} {' and '.join(names)} ({limit:,} bytes)"


def bytecode_told(bytecode: BytecodeReport) -> Iterator[str]:
    """What ships as bytecode and what has none, in sentences."""
    if bytecode.mode == "off":
        yield 'no bytecode ships: bytecode.mode = "off"'
        return
    if not bytecode.files:
        yield f'no bytecode ships, though bytecode.mode = "{bytecode.mode}"'
    else:
        by = f" by CPython {bytecode.compiler}" if bytecode.compiler else ""
        yield f"{plural(bytecode.files, 'module')} compiled{by}: {bytecode.bytes:,} bytes"
    if bytecode.left:
        left = f"{bytecode.left_bytes:,} bytes more would be above budget.warn"
        yield f"{plural(bytecode.left, 'module')} ship without: {left}"
    if bytecode.failed:
        more = f" and {len(bytecode.failed) - 1:,} more" if len(bytecode.failed) > 1 else ""
        yield f"does not compile: {bytecode.failed[0]}{more}"


def traced_told(report: Report) -> str:
    """How much of what ships the proofs touch."""
    if report.traced is None:
        return f"what the proofs touch was not recorded for this target: {report.trace}"
    shipped = sum(package.shipped_bytes for package in report.packages)
    told = (
        f"the proofs touch {plural(report.traced.files, 'file')} of {size(report.traced.bytes)}, "
        f"{part(report.traced.bytes, shipped)} of what packages ship"
    )
    return f"{told}; by a trace of another lock: {report.trace}" if report.traced.stale else told


def uncompiled(package: PackageReport) -> int:
    """How many modules of a package ship as source alone."""
    return max(0, package.modules - package.compiled) if package.modules else 0


def licence(package: PackageReport) -> str:
    """The licences as stated, or that there are none."""
    return "; ".join(package.licences) or "METADATA names none"


def veto(one: Veto) -> str:
    """Why a rule had to leave something."""
    return f"{plural(one.files, 'file')} of {rule_name(one.rule)}: {one.reason}"


def title(report: Report) -> str:
    """What the report is about."""
    return f"{report.name} for {report.target}"


def imports_told(report: Report) -> str:
    """The imports in one sentence; empty where they were not to be measured."""
    times = report.imports
    if times is None:
        return ""
    if times.after is None:
        return f"not measured: {times.note}"
    told = f"{seconds(times.after.seconds)} for {plural(times.after.modules, 'module')}"
    if times.before is None:
        return f"{told}; the layer has no bytecode to compare without"
    ratio = faster(times.before.seconds, times.after.seconds)
    return f"{told}; {seconds(times.before.seconds)} without bytecode ({ratio})"


def faster(before: float, after: float) -> str:
    """``3.4 times as fast``, or by how much it is slower."""
    if not before or not after:
        return "no difference"
    ratio = before / after
    return f"{ratio:.1f} times as fast" if ratio >= 1 else f"{1 / ratio:.1f} times as slow"
