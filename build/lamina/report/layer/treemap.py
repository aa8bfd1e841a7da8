"""Where the rectangles of a treemap stand: squarified, with areas that are proportional to weights.

Source: M. Bruls, K. Huizing, J. van Wijk, "Squarified Treemaps", Proceedings of the Joint Eurographics and IEEE TCVG
Symposium on Visualization, 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle in pixels; ``x`` and ``y`` are its upper left corner."""

    x: float
    y: float
    width: float
    height: float


def squarify(weights: Sequence[float], box: Box) -> list[Box]:
    """One rectangle for each weight, in their order, which fill the box; weights are positive, the largest first."""
    total = sum(weights)
    if not weights or total <= 0 or box.width <= 0 or box.height <= 0:
        return [Box(box.x, box.y, 0.0, 0.0) for _ in weights]
    scale = box.width * box.height / total
    areas = [weight * scale for weight in weights]
    placed: list[Box] = []
    at = 0
    while at < len(areas):
        side = min(box.width, box.height)
        end = at + 1
        while end < len(areas) and _worst(areas[at : end + 1], side) <= _worst(areas[at:end], side):
            end += 1
        if end == len(areas):
            row, box = _row(areas[at:end], box, whole=True)
        else:
            row, box = _row(areas[at:end], box, whole=False)
        placed += row
        at = end
    return placed


def _worst(areas: Sequence[float], side: float) -> float:
    """The largest ratio of sides among these areas, as a row along ``side``."""
    total = sum(areas)
    if not total or not side or not min(areas):
        return float("inf")
    return max(side * side * max(areas) / (total * total), total * total / (side * side * min(areas)))


def _row(areas: Sequence[float], box: Box, *, whole: bool) -> tuple[list[Box], Box]:
    """The rectangles of one row along the shorter side, and the box that is left; ``whole`` for the last row."""
    total = sum(areas)
    upright = box.width >= box.height  # then the row is a column at the left
    side = box.height if upright else box.width
    depth = (box.width if upright else box.height) if whole else min(total / side, max(box.width, box.height))
    placed = []
    along = 0.0
    for area in areas:
        length = side * area / total if total else 0.0
        if upright:
            placed.append(Box(box.x, box.y + along, depth, length))
        else:
            placed.append(Box(box.x + along, box.y, length, depth))
        along += length
    if upright:
        return placed, Box(box.x + depth, box.y, max(0.0, box.width - depth), box.height)
    return placed, Box(box.x, box.y + depth, box.width, max(0.0, box.height - depth))
