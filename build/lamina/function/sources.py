"""A function's own files → modules as syntax trees, as far as they can be read.

The trees are those of the Python that runs lamina. They carry findings, never bytes that ship, so a module written for
another Python is passed over with the reason and nothing depends on the host otherwise.
"""

from __future__ import annotations

import ast
import functools
import io
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

#: A tree takes some hundred times the memory of its source: no module beyond this is read, nor more than this in all.
LARGEST = 512 * 1024  # bytes
LARGEST_SUM = 4 * 1024 * 1024  # bytes


class Module(NamedTuple):
    """One source file. ``path`` is its place in the function's zip, ``name`` the dotted name it is imported by."""

    path: str
    name: str
    package: bool
    tree: ast.Module
    data: bytes


class Unread(NamedTuple):
    """A source file that could not be read, and why."""

    path: str
    reason: str


def read(files: Mapping[str, bytes]) -> tuple[dict[str, Module], tuple[Unread, ...]]:
    """Parse the ``.py`` files among ``files`` (place in the zip → bytes); the modules are keyed by dotted name."""
    modules: dict[str, Module] = {}
    unread: list[Unread] = []
    left = LARGEST_SUM
    for path, data in sorted(files.items()):
        if not path.endswith(".py"):
            continue
        if len(data) > min(LARGEST, left):
            limit = f"{LARGEST} bytes a file, {LARGEST_SUM} in all"
            unread.append(Unread(path, f"its {len(data)} bytes are more than this check reads ({limit})"))
            continue
        left -= len(data)
        tree = _parse(data)
        if isinstance(tree, str):
            unread.append(Unread(path, tree))
            continue
        name, package = name_of(path)
        modules.setdefault(name, Module(path, name, package, tree, data))
    return modules, tuple(unread)


def name_of(path: str) -> tuple[str, bool]:
    """The dotted name of a file by its place in the zip, and whether it is a package."""
    dotted = path.removesuffix(".py").replace("/", ".")
    if dotted == "__init__" or dotted.endswith(".__init__"):
        return dotted.removesuffix("__init__").rstrip("."), True
    return dotted, False


@functools.lru_cache(maxsize=32)
def marked_lines(data: bytes) -> frozenset[int]:
    """The numbers of the lines with a comment that says that something is still to be done."""
    return frozenset(_marked(data))


def _marked(data: bytes) -> Iterator[int]:
    try:
        for token in tokenize.tokenize(io.BytesIO(data).readline):
            text = token.string.lstrip("# ").upper()
            if token.type == tokenize.COMMENT and text.startswith(("TODO", "FIXME", "XXX", "TBD", "NOT IMPLEMENTED")):
                yield token.start[0]
    except (tokenize.TokenError, SyntaxError, ValueError):
        return


def _parse(data: bytes) -> ast.Module | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes and comparisons in code that is not ours
            return ast.parse(data)
    except SyntaxError as error:
        return f"the Python that runs lamina cannot read it ({error.msg}, line {error.lineno or 0})"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"the Python that runs lamina cannot read it ({type(error).__name__})"
