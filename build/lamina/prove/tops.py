"""The top-level packages of a layer, by the names of its files alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ROOT = re.compile(r"python/(?:lib/python3\.\d+/site-packages/)?")
_MODULE = re.compile(r"(?P<name>[^\W\d]\w*)(?:\.py|\.pyc|(?:\.[\w-]+)*\.so)")


def top_levels(paths: Iterable[str]) -> tuple[str, ...]:
    """The modules that a layer with these files ships, sorted: what a function can name after ``import``.

    A namespace package (PEP 420) has nothing to import itself: in its place stand the packages and modules in it.
    Names with a leading underscore are left out: they are another package's own, which imports them as it needs them.
    """
    tree: dict[str, object] = {}
    for path in paths:
        root = _ROOT.match(path)
        if root is not None:
            parts = path[root.end() :].split("/")
            if all(map(_is_name, parts[:-1])) and _MODULE.fullmatch(parts[-1]):
                _plant(tree, parts)
    return tuple(sorted({*_names(tree, "")}))


def _is_name(part: str) -> bool:
    return part.isidentifier()


def _plant(tree: dict[str, object], parts: list[str]) -> None:
    at = tree
    for part in parts[:-1]:
        below = at.setdefault(part, {})
        if not isinstance(below, dict):
            return
        at = below
    at[parts[-1]] = None


def _names(tree: dict[str, object], prefix: str) -> Iterable[str]:
    for part, below in tree.items():
        if not isinstance(below, dict):
            match = _MODULE.fullmatch(part)
            name = match["name"] if match else ""
        else:
            name = part
        if not name or name.startswith("_"):
            continue
        if isinstance(below, dict) and not _is_package(below):
            yield from _names(below, f"{prefix}{name}.")
        else:
            yield prefix + name


def _is_package(files: dict[str, object]) -> bool:
    return any((match := _MODULE.fullmatch(name)) is not None and match["name"] == "__init__" for name in files)
