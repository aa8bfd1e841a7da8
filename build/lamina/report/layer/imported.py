"""The imports of a report in HTML: before and after on one scale, then the same figures as tables."""

from __future__ import annotations

from collections.abc import Iterator

from lamina.prove.import_times import ImportTimes, Run, Step
from lamina.report.layer import words
from lamina.report.layer.drawing import bar, colours, icicle
from lamina.report.layer.parts import e, folded, legend, table
from lamina.report.text import plural

_MOST = 15


def html(times: ImportTimes) -> Iterator[str]:
    """The section on imports, without its title."""
    if times.after is None:
        yield f"<p>Not measured: {e(times.note)}</p>"
        return
    yield f"<p>{e(_sentence(times))}</p>"
    runs = [("with the bytecode that ships", times.after)]
    if times.before is not None:
        runs.insert(0, ("without bytecode, compiled at each start", times.before))
    else:
        runs = [("from the layer as it ships", times.after)]
    scale = max(run.seconds for _, run in runs)
    colour = colours(run for _, run in runs)
    for told, run in runs:
        yield f"<h3>{words.seconds(run.seconds)} {told}</h3>"
        yield icicle(run, scale, f"{plural(run.modules, 'module')} in {words.seconds(run.seconds)}, {told}", colour)
    yield legend((kind, name, "") for name, kind in [*colour.items(), ("others", "other")])
    yield "<h3>By package, without what each imports itself</h3>"
    yield _packages(times.before, times.after)
    yield folded("The slowest modules", _modules(times.before, times.after))
    yield f'<p class="muted">{e(", ".join(times.names))}; the fastest of {len(times.after.every)} runs each, in turn. '
    yield f"{e(times.where)}</p>"


def _sentence(times: ImportTimes) -> str:
    if times.after is None:
        raise AssertionError
    told = f"{plural(times.after.modules, 'module')} in {words.seconds(times.after.seconds)}"
    if times.before is None:
        return f"{told}. The layer has no bytecode, so there is nothing to compare with."
    ratio = words.faster(times.before.seconds, times.after.seconds)
    return f"{told}, {ratio} as from the same layer without bytecode ({words.seconds(times.before.seconds)})."


def _packages(before: Run | None, after: Run) -> str:
    was = {group.package: group.own / 1e6 for group in before.groups} if before is not None else {}
    whole = max([group.own / 1e6 for group in after.groups[:1]] + [max(was.values(), default=0.0)])
    rows = []
    order = sorted(after.groups, key=lambda group: -max(group.own / 1e6, was.get(group.package, 0.0)))
    for group in order[:_MOST]:
        now = group.own / 1e6
        bars = bar(now, whole) if not was else f"{bar(was.get(group.package, 0.0), whole, 'before')}{bar(now, whole)}"
        cells = [words.seconds(was[group.package]) if group.package in was else ""] if was else []
        rows.append([e(group.package), bars, f"{group.modules:,}", *cells, words.seconds(now)])
    heads = ["package", "|", "#modules", *(["#without bytecode"] if was else []), "#as it ships"]
    return table(heads, rows, "Import time of each package")


def _modules(before: Run | None, after: Run) -> str:
    was = {step.name: step for step in before.steps} if before is not None else {}
    found = []
    for title, key in (("With what they import", _whole), ("Their own time", _own)):
        rows = []
        for step in sorted(after.steps, key=key, reverse=True)[:_MOST]:
            earlier = was.get(step.name)
            cells = [words.seconds(key(earlier) / 1e6) if earlier else ""] if was else []
            rows.append([f"<code>{e(step.name)}</code>", *cells, words.seconds(key(step) / 1e6)])
        heads = ["module", *(["#without bytecode"] if was else []), "#as it ships"]
        found.append(f"<h3>{title}</h3>{table(heads, rows, title)}")
    return "".join(found)


def _whole(step: Step) -> int:
    return step.whole


def _own(step: Step) -> int:
    return step.own
