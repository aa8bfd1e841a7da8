"""An event → a page: its words, and where on the page each stands, as LayoutLM reads places."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

MOST_WORDS = 10_000
LONGEST_WORD = 1_000  # characters
SCALE = 1_000  # LayoutLM's places are whole numbers from 0 to this

Box = tuple[int, int, int, int]
_CORNERS = 4


class BadRequestError(Exception):
    """The event does not hold what a page needs."""


class Page(NamedTuple):
    """Words, and for each its box (left, top, right, bottom) in thousandths of the page."""

    words: list[str]
    boxes: list[Box]


def read_page(event: Any) -> Page:  # noqa: ANN401 - whatever JSON the caller sent
    """The page in an event.

    ``{"words": [...], "boxes": [[x0, y0, x1, y1], ...], "width": w, "height": h}``, boxes and page in any one unit.
    Without width and height the boxes are in thousandths of the page already.

    Raises:
        BadRequestError: the event is no such page; the message says what to correct.
    """
    if not isinstance(event, dict):
        raise BadRequestError("the event must be an object with words and boxes")
    words = _words(event.get("words"))
    boxes = event.get("boxes")
    if not isinstance(boxes, list) or len(boxes) != len(words):
        raise BadRequestError(f"boxes must be a list of one box for each of the {len(words)} words")
    width, height = _size(event)
    return Page(words, [_box(box, number, width, height) for number, box in enumerate(boxes)])


def _words(words: object) -> list[str]:
    if not isinstance(words, list) or not words:
        raise BadRequestError("words must be a list of strings, and not empty")
    if len(words) > MOST_WORDS:
        raise BadRequestError(f"words: {len(words)} are more than {MOST_WORDS}")
    for number, word in enumerate(words):
        if not isinstance(word, str) or not word.strip():
            raise BadRequestError(f"words[{number}] must be a string that is not blank")
        if len(word) > LONGEST_WORD:
            raise BadRequestError(f"words[{number}]: {len(word)} characters, more than {LONGEST_WORD}")
    return words


def _size(event: dict[str, Any]) -> tuple[float, float]:
    """The page's width and height, in the unit of the boxes."""
    given = [event.get(name) for name in ("width", "height")]
    if given == [None, None]:
        return SCALE, SCALE
    width, height = (_number(value) for value in given)
    if width is None or height is None or width <= 0 or height <= 0:
        raise BadRequestError("width and height must both be numbers above 0, or both be left out")
    return width, height


def _box(box: object, number: int, width: float, height: float) -> Box:
    corners = [_number(value) for value in box] if isinstance(box, list) else []
    if len(corners) != _CORNERS or None in corners:
        raise BadRequestError(f"boxes[{number}] must be four numbers: x0, y0, x1, y1")
    x0, y0, x1, y1 = (corner or 0.0 for corner in corners)
    if not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
        message = f"boxes[{number}] must lie on the page of {width:g} x {height:g}, x0 up to x1 and y0 up to y1"
        raise BadRequestError(message)
    return _scaled(x0, width), _scaled(y0, height), _scaled(x1, width), _scaled(y1, height)


def _scaled(value: float, size: float) -> int:
    return min(SCALE, int(SCALE * (value / size)))


def _number(value: object) -> float | None:
    """A finite number, no boolean; else nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
