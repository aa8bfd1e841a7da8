"""``entry_points.txt``: its lines, and those that name an object (entry points specification, data model)."""

from __future__ import annotations

import re

from lamina.part.model import EntryPoint

#: ``module:object.attribute``, extras left out.
_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*(:\s*(?P<attribute>[\w.]+)\s*)?(\[.*\])?$")


def read_lines(content: bytes) -> list[tuple[str, str, str]]:
    """Group, name and value of each line, sorted by group and name.

    Raises:
        ValueError: it is not UTF-8, or no file of sections; the message says where.
    """
    import configparser

    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    try:
        parser.read_string(content.decode("utf-8"))
    except configparser.Error as error:
        raise ValueError(str(error)) from error
    return [(group, name, value) for group in sorted(parser.sections()) for name, value in sorted(parser.items(group))]


def to_point(group: str, name: str, value: str) -> EntryPoint | None:
    """The entry point that a line declares, or ``None`` where its value names no object: groups are open to any use."""
    match = _REFERENCE.match(value.strip())
    return None if match is None else EntryPoint(group, name, match["module"], match["attribute"] or "")
