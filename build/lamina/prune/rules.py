"""The named rules, as data. A rule only proposes: kept code that refers to a file keeps it (:mod:`.references`).

What is *not* here matters as much: no rule takes ``*.txt``, ``*.md``, ``*.rst`` or dot-files by their ending, none
takes folders called ``test``, ``testing`` or ``_tests``, and none reaches into a ``.dist-info``. Packages that break
otherwise are listed in ``tests/integration``; the figures behind each choice come from 746 distributions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple


class Rule(NamedTuple):
    """What a rule proposes to drop: whole folders by exact name, files by exact name or by ending."""

    folders: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ()
    #: Only where the module that the file accompanies ships as well.
    beside_module: bool = False


RULES: Mapping[str, Rule] = {
    "tests": Rule(folders=frozenset({"tests"}), names=frozenset({"conftest.py"})),
    "docs": Rule(folders=frozenset({"docs", "doc"})),
    "examples": Rule(folders=frozenset({"examples"})),
    "benchmarks": Rule(folders=frozenset({"benchmarks"})),
    "caches": Rule(
        folders=frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}),
        endings=(".pyc", ".pyo"),
        beside_module=True,
    ),
    "static-libraries": Rule(endings=(".a", ".la", ".lib")),
    "headers": Rule(endings=(".h", ".hh", ".hpp", ".hxx", ".cuh", ".pxd")),
    "stubs": Rule(names=frozenset({"py.typed"}), endings=(".pyi",), beside_module=True),
    "native-sources": Rule(
        endings=(".c", ".cc", ".cpp", ".cxx", ".cu", ".f", ".f77", ".f90", ".f95", ".for", ".pyx", ".pxi", ".rs")
    ),
}

#: What makes ``name`` importable from the folder that holds it.
_MODULE_ENDINGS = (".py", ".so", ".pyd")


def propose(paths: Iterable[str], rules: Iterable[str], own: str = "") -> dict[str, str]:
    """Path → name of the first rule that would drop it. Paths are relative to ``python/``.

    ``own`` is the package's name: one that is called tests or docs itself was asked for under that name.
    """
    chosen = set(rules)
    active = [(name, rule) for name, rule in RULES.items() if name in chosen]
    everything = tuple(paths)
    modules = _modules(everything)
    proposed = {}
    for path in everything:
        if ".dist-info/" in path or ".libs/" in path:  # a package and its X.libs/ stay together
            continue
        *folders, name = path.split("/")
        below = folders[1:] if folders[:1] == [own] else folders
        for rule_name, rule in active:
            if not rule.folders.isdisjoint(below) or _takes(rule, folders, name, modules):
                proposed[path] = rule_name
                break
    return proposed


def _takes(rule: Rule, folders: list[str], name: str, modules: AbstractSet[str]) -> bool:
    if name in rule.names:
        return True
    if not name.endswith(rule.endings or "/"):
        return False
    if not rule.beside_module:
        return True
    return "/".join((*folders, name.partition(".")[0])) in modules


def _modules(paths: Iterable[str]) -> set[str]:
    """Paths of all modules without their endings: ``numpy/core/_multiarray_umath``, ``numpy/__init__``."""
    found = set()
    for path in paths:
        if path.endswith(_MODULE_ENDINGS):
            folder, slash, name = path.rpartition("/")
            found.add(folder + slash + name.partition(".")[0])
    return found
