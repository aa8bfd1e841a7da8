"""Drawings of a report as inline SVG: places along the width in percent, so that text never shrinks with the page.

Nothing here needs a script or a style of its own: classes stand in ``page.css``, and what a drawing shows stands in a
table beside it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lamina.prove.import_times import Run, Step
from lamina.report.layer import words
from lamina.report.layer.model import Budget, PackageReport, Slice
from lamina.report.layer.parts import e
from lamina.report.layer.treemap import Box, squarify
from lamina.report.text import plural

#: What a drawing of this width, in pixels, is laid out for; it fills whatever width it has.
WIDE, NARROW = 1040.0, 340.0
_HEIGHTS = {WIDE: 520.0, NARROW: 620.0}
#: The least height of a strip with a package's name, and that of a line of text.
_STRIP, _LINE = 20.0, 16.0
_CHARACTER = 7.2  # the width of a character of 12 pixels, on the wide side
_ROW = 19.0
_DEEPEST = 14
_FINEST = 0.0008  # of the width: what is narrower is not drawn


class Tile(NamedTuple):
    """One package of a treemap and where it stands, with its kinds: each as its place in the same pixels."""

    name: str
    bytes: int
    box: Box
    slices: tuple[tuple[Slice, Box], ...]
    titled: bool


def tiles(packages: Sequence[PackageReport], rest: Sequence[Slice], width: float) -> list[Tile]:
    """Where packages and their kinds stand in a treemap of this width in pixels."""
    groups = [(f"{package.name} {package.version}", package.kinds) for package in packages]
    groups += [("beside the packages", tuple(rest))] if rest else []
    sized = [(name, kinds, sum(one.bytes for one in kinds)) for name, kinds in groups]
    sized = sorted((group for group in sized if group[2]), key=lambda group: -group[2])
    boxes = squarify([size for _, _, size in sized], Box(0, 0, width, _HEIGHTS[width]))
    made = []
    for (name, kinds, size), box in zip(sized, boxes, strict=True):
        titled = box.height > _STRIP + _LINE and bool(_named(name, box.width))
        top = _STRIP if titled else 0.0
        inner = Box(box.x, box.y + top, box.width, box.height - top)
        slices = sorted((one for one in kinds if one.bytes), key=lambda one: -one.bytes)
        placed = squarify([one.bytes for one in slices], inner)
        made.append(Tile(name, size, box, tuple(zip(slices, placed, strict=True)), titled))
    return made


def treemap(packages: Sequence[PackageReport], rest: Sequence[Slice]) -> str:
    """The treemap, laid out for wide and for narrow pages: the style sheet shows one of the two."""
    return "".join(
        _map(tiles(packages, rest, width), width, kind) for width, kind in ((WIDE, "wide"), (NARROW, "narrow"))
    )


def _map(placed: Sequence[Tile], width: float, shown: str) -> str:
    whole = sum(tile.bytes for tile in placed)
    told = f"Treemap of {words.size(whole)} in {plural(len(placed), 'package')}; the table below has the same figures"
    inside = "".join(_tile(tile, width, whole) for tile in placed)
    size = f'width="100%" height="{_HEIGHTS[width]:g}"'
    return f'<svg class="map {shown}" {size} role="img" aria-label="{e(told)}">{inside}</svg>'


def _tile(tile: Tile, width: float, whole: int) -> str:
    box = tile.box
    title = f"{tile.name}: {words.size(tile.bytes)}, {words.part(tile.bytes, whole)}"
    name = _named(tile.name, box.width)
    size = words.size(tile.bytes)
    parts = [f"<title>{e(title)}</title>", '<rect class="tile" width="100%" height="100%"/>']
    if tile.titled:
        parts.append(f'<text class="name" x="7" y="14">{e(name)}</text>')
        if _fitting(f"{name}  {size}", box.width):
            parts.append(f'<text class="figure" x="100%" dx="-7" y="14" text-anchor="end">{size}</text>')
    parts += [_slice(one, at, tile) for one, at in tile.slices]
    return f"{_viewport(box, 0.0, 0.0, width)}{''.join(parts)}</svg>"


def _named(name: str, width: float) -> str:
    """A package's name with its version, or without, as it fits into so many pixels; else nothing."""
    return _fitting(name, width) or _fitting(name.partition(" ")[0], width)


def _slice(one: Slice, at: Box, tile: Tile) -> str:
    box = tile.box
    title = f"{tile.name}: {one.kind}, {words.size(one.bytes)} in {plural(one.files, 'file')}"
    texts = []
    if at.height > _LINE + 4 and _fitting(one.kind, at.width):
        texts.append(f'<text x="7" y="16">{one.kind}</text>')
        if at.height > 2 * _LINE + 6 and _fitting(words.size(one.bytes), at.width):
            texts.append(f'<text class="figure" x="7" y="32">{words.size(one.bytes)}</text>')
    rect = f'<rect class="k {one.kind}" width="100%" height="100%"/>'
    return f"{_viewport(at, box.x, box.y, box.width)}<title>{e(title)}</title>{rect}{''.join(texts)}</svg>"


def _viewport(box: Box, left: float, top: float, width: float) -> str:
    """A part of a drawing that clips what is in it: percent along the width, pixels along the height."""
    x, wide = 100 * (box.x - left) / width if width else 0.0, 100 * box.width / width if width else 0.0
    return f'<svg x="{x:.3f}%" y="{box.y - top:.2f}" width="{wide:.3f}%" height="{box.height:.2f}">'


def _fitting(text: str, width: float) -> str:
    """The text where it fits into so many pixels, else nothing."""
    return text if text and len(text) * _CHARACTER + 14 < width else ""


def stack(budget: Budget) -> str:
    """The bar of all that shares the function, with marks where it is warned of, and where budget and quota end."""
    whole = max(budget.quota, budget.total, 1)
    parts = ['<rect class="room" width="100%" height="28"/>']
    at = 0.0
    for number, share in enumerate(budget.shares):
        wide = 100 * share.bytes / whole
        title = f"{share.label}: {share.bytes:,} bytes"
        parts.append(
            f'<rect class="s s{min(number, 5)}" x="{at:.3f}%" width="{wide:.3f}%" height="28">'
            f"<title>{e(title)}</title></rect>"
        )
        at += wide
    for kind, limit in (("warn", budget.warn), ("limit", budget.limit)):
        x = f"{min(100.0, 100 * limit / whole):.3f}%"
        parts.append(f'<line class="mark {kind}" x1="{x}" x2="{x}" y1="-4" y2="32"/>')
    told = f"{budget.total:,} of {budget.quota:,} bytes"
    return f'<svg class="stack" width="100%" height="28" role="img" aria-label="{told}">{"".join(parts)}</svg>'


def bar(value: float, whole: float, kind: str = "plain") -> str:
    """A small bar beside a figure that says the same."""
    wide = 100 * value / whole if whole else 0.0
    rect = f'<rect class="{kind}" width="{wide:.2f}%" height="10"/>'
    return f'<svg class="bar" width="100%" height="10" aria-hidden="true">{rect}</svg>'


def colours(runs: Iterable[Run], most: int = 6) -> Mapping[str, str]:
    """Top-level package → the class of its colour: the slowest have one each."""
    times: dict[str, int] = {}
    for run in runs:
        for group in run.groups:
            times[group.package] = max(times.get(group.package, 0), group.own)
    slowest = sorted(times, key=lambda name: (-times[name], name))[:most]
    return {name: f"c{number}" for number, name in enumerate(slowest)}


def icicle(run: Run, scale: float, told: str, colour: Mapping[str, str]) -> str:
    """Modules as bars that hang below what imported them; ``scale`` is what the whole width stands for, in seconds."""
    whole = scale * 1e6
    steps = [step for step in run.steps if step.depth < _DEEPEST and step.whole >= whole * _FINEST]
    deepest = max((step.depth for step in steps), default=0)
    bars = "".join(_hanging(steps, whole, colour))
    height = (deepest + 1) * _ROW
    return f'<svg class="icicle" width="100%" height="{height:g}" role="img" aria-label="{e(told)}">{bars}</svg>'


def _hanging(steps: Sequence[Step], whole: float, colour: Mapping[str, str]) -> Iterator[str]:
    for step in steps:
        share = step.whole / whole
        start = 100 * step.start / whole
        title = f"{step.name}: {words.seconds(step.whole / 1e6)}, of which its own {words.seconds(step.own / 1e6)}"
        kind = colour.get(step.name.partition(".")[0], "other")
        short = step.name.rpartition(".")[2]
        label = _fitting(step.name, share * NARROW) or _fitting(short, share * NARROW)
        wide = _fitting(step.name, share * WIDE) or _fitting(short, share * WIDE)
        texts = f'<text class="any" x="6" y="13">{e(label)}</text>' if label and label == wide else ""
        if label != wide:
            texts = f'<text class="narrow" x="6" y="13">{e(label)}</text>' if label else ""
            texts += f'<text class="wide" x="6" y="13">{e(wide)}</text>'
        yield (
            f'<svg x="{start:.3f}%" y="{step.depth * _ROW:g}" width="{100 * share:.3f}%" height="{_ROW - 1:g}">'
            f'<title>{e(title)}</title><rect class="i {kind}" width="100%" height="100%"/>{texts}</svg>'
        )
