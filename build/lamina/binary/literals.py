"""Names of libraries that stand as literals in a file: what it may load by name with ``dlopen``."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from lamina.binary.segments import PF_W, PT_LOAD, Image

#: A whole string of C: ``libcuda.so``, ``libcudnn.so.9``, ``libgomp-a34b3233.so.1.0.0``.
_SONAME: Final = re.compile(rb"\0(lib[\w+.-]{1,120}?\.so(?:\.\d{1,8}){0,4})(?=\0)", re.ASCII)

#: No file loads more libraries by name; the first by name are kept.
_MOST: Final = 64


def read_literals(image: Image, strings: tuple[int, int], known: Collection[str]) -> tuple[str, ...]:
    """Strings in read-only data that look like sonames and are not among the ``known``, at most 64 of them, sorted.

    ``strings`` is where the string table begins and ends in the file, in bytes: what stands there are names for the
    loader, old ones among them that patchelf replaced and left behind.
    """
    found: set[bytes] = set()
    without = {name.encode() for name in known}
    for begin, end in _spans(image):
        for match in _SONAME.finditer(image.view, begin, end):
            if not strings[0] <= match.start() < strings[1] and match[1] not in without:
                found.add(match[1])
                if len(found) > 16 * _MOST:
                    found = set(sorted(found)[:_MOST])
    return tuple(name.decode("ascii") for name in sorted(found)[:_MOST])


def _spans(image: Image) -> list[tuple[int, int]]:
    """Where the file holds bytes of segments that are not written to, each byte once."""
    spans: list[tuple[int, int]] = []
    for segment in sorted(image.segments, key=lambda segment: segment.offset):
        if segment.type != PT_LOAD or segment.flags & PF_W:
            continue
        begin = max(segment.offset, spans[-1][1] if spans else 0)
        end = min(segment.offset + segment.stored, len(image.view))
        if begin < end:
            spans.append((begin, end))
    return spans
