"""Sizes as recipes write them, in bytes."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024**2

#: Memory of a function: whole MiB between these. Source: AWS Lambda developer guide, page "Configure memory".
MEMORY = (128 * MIB, 10_240 * MIB)

#: Units by the IEC and SI names. ``MB`` is a million bytes, ``MiB`` 1,048,576.
UNITS: Mapping[str, int] = MappingProxyType(
    {
        "B": 1,
        "kB": 1000,
        "KB": 1000,
        "MB": 1000**2,
        "GB": 1000**3,
        "KiB": 1024,
        "MiB": MIB,
        "GiB": 1024**3,
    },
)

#: A number and a unit. The number of digits is bounded so that no text makes a number too large to print.
PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,9})? ?(B|kB|KB|MB|GB|KiB|MiB|GiB)$"

_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))? ?(B|kB|KB|MB|GB|KiB|MiB|GiB)")


def is_size(text: str) -> bool:
    """Whether ``text`` is a number with a unit, such as ``250 MiB``."""
    return _SIZE.fullmatch(text) is not None


def to_bytes(value: str | int) -> int:
    """Turn ``"250 MiB"``, ``"220 MB"`` or a number of bytes into a number of bytes.

    Raises:
        ValueError: ``value`` is no size, or not a whole number of bytes; the message says which.
    """
    if isinstance(value, int):
        return value
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError('expected a size such as "250 MiB", "220 MB" or a number of bytes')
    whole, decimals, unit = found.groups(default="")
    scale: int = 10 ** len(decimals)
    size, rest = divmod(int(whole + decimals) * UNITS[unit], scale)
    if rest:
        raise ValueError("expected a whole number of bytes")
    return size


def text(size: int) -> str:
    """Write a number of bytes the way recipes do, exactly: in MiB where that is whole, else in bytes."""
    return f"{size // MIB} MiB" if size % MIB == 0 and size else f"{size} B"
