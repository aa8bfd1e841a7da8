"""files → blueprint of a function zip: all of it generated, nothing copied from parts."""

from __future__ import annotations

from collections.abc import Sequence

from lamina.emit.layout import draw as draw_layer
from lamina.emit.zip import Blueprint
from lamina.layer import Layer
from lamina.overlay import Generated
from lamina.part.compress import libdeflate


def draw(files: Sequence[Generated]) -> Blueprint:
    """Lay out the zip that Lambda unpacks to ``/var/task``; ``files`` are sorted by the bytes of their paths.

    Raises:
        FindingsError: a zip of more than 4 GiB.
    """
    return draw_layer(Layer(picks=(), generated=tuple(files), findings=()), (), libdeflate)
