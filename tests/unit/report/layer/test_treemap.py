from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from lamina.report.layer.drawing import NARROW, WIDE, tiles
from lamina.report.layer.model import Report
from lamina.report.layer.treemap import Box, squarify

_WEIGHTS = st.lists(st.integers(1, 10**9), min_size=1, max_size=40).map(lambda found: sorted(found, reverse=True))


def _overlap(one: Box, other: Box) -> float:
    wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0.0, wide) * max(0.0, high)


def _within(inner: Box, outer: Box) -> bool:
    slack = 1e-6 * max(outer.width, outer.height)
    return (
        inner.x >= outer.x - slack
        and inner.y >= outer.y - slack
        and inner.x + inner.width <= outer.x + outer.width + slack
        and inner.y + inner.height <= outer.y + outer.height + slack
    )


@given(_WEIGHTS, st.floats(10, 3000), st.floats(10, 3000))
def test_areas_are_proportional_fill_the_box_and_never_overlap(weights: list[int], width: float, height: float) -> None:
    box = Box(3.0, 5.0, width, height)
    placed = squarify(weights, box)
    whole = width * height
    for weight, one in zip(weights, placed, strict=True):
        assert math.isclose(one.width * one.height, whole * weight / sum(weights), rel_tol=1e-6, abs_tol=1e-6 * whole)
        assert _within(one, box)
    assert math.isclose(sum(one.width * one.height for one in placed), whole, rel_tol=1e-6)
    assert all(_overlap(one, other) <= 1e-6 * whole for one, other in itertools.combinations(placed, 2))


def test_equal_weights_in_a_square_make_squares() -> None:
    assert squarify([1, 1, 1, 1], Box(0, 0, 10, 10)) == [
        Box(0, 0, 5, 5),
        Box(0, 5, 5, 5),
        Box(5, 0, 5, 5),
        Box(5, 5, 5, 5),
    ]


def test_nothing_to_place_and_no_room_are_no_error() -> None:
    assert squarify([], Box(0, 0, 10, 10)) == []
    assert squarify([2, 1], Box(1, 2, 0, 10)) == [Box(1, 2, 0, 0), Box(1, 2, 0, 0)]


def test_kinds_stand_within_their_package_in_proportion_and_beside_what_is_no_package(
    make_report: Callable[..., Report],
) -> None:
    report = make_report(many=5)
    for width in (WIDE, NARROW):
        placed = tiles(report.packages, report.rest, width)
        assert [tile.name for tile in placed] == [*(f"pkg{n} 1.{n}" for n in range(5)), "beside the packages"]
        per_byte = {round(tile.box.width * tile.box.height / tile.bytes, 9) for tile in placed}
        assert len(per_byte) == 1
        for tile in placed:
            assert sum(one.bytes for one, _ in tile.slices) == tile.bytes
            assert all(_within(box, tile.box) for _, box in tile.slices)
            inner = {f"{box.width * box.height / one.bytes:.6g}" for one, box in tile.slices}
            assert len(inner) == 1
