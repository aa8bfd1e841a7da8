"""Which modules of a function are its own, and which code in an artefact no function runs.

Own modules are those of a function that belong to no distribution. Where the metadata of the distributions in it is
gone, a top-level folder with native modules, a ``py.typed``, or the name of a well-known distribution is taken for
someone else's.
"""

from __future__ import annotations

import re

from lamina.audit.model import ROOTS, Artefact, Item
from lamina.audit.names import is_differing

#: Run by test runners, installers or command lines, never by a function.
_ASIDE = re.compile(
    r"(?:^|/)(?:tests?|testing|_testing|conftest\.py|setup\.py|test_[^/]*\.py|[^/]*_tests?\.py|__main__\.py)(?:/|$)"
)
_LAYER_FOLDERS = re.compile(r"(?:python/)?(?:lib/python3\.\d+/site-packages/)?")


def is_aside(artefact: Artefact, item: Item) -> bool:
    """Whether a file is for test runners, installers or command lines."""
    return _ASIDE.search(item.place.removeprefix(ROOTS[artefact.kind])) is not None


def own_modules(artefact: Artefact) -> frozenset[str]:
    """The paths of a function's own modules, tests left out."""
    if artefact.kind != "function":
        return frozenset()
    owners = frozenset[str]().union(*(package.files for package in artefact.packages))
    foreign = {
        top_level(artefact, item)
        for item in artefact.items
        if "/" in item.path
        and item.path not in owners
        and (item.path.endswith((".so", "/py.typed")) or is_differing(top_level(artefact, item)))
    }
    return frozenset(
        item.path
        for item in artefact.items
        if item.path not in owners and top_level(artefact, item) not in foreign and not is_aside(artefact, item)
    )


def top_level(artefact: Artefact, item: Item) -> str:
    """The top-level name that a file belongs to."""
    inside = item.place.removeprefix(ROOTS[artefact.kind])
    if artefact.kind != "function" and (folders := _LAYER_FOLDERS.match(inside)):
        inside = inside[folders.end() :]
    return inside.partition("/")[0].partition(".")[0]
