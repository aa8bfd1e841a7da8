"""Names of modules and of what brings them: the standard library by version, and distributions named otherwise.

The facts are ``stdlib.txt``, written by ``scripts/stdlib.py``, and ``modules.toml``.
"""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import tomli

from lamina.lock import canonical

_PARTS = 4  # as many as a name in the list has at most


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    distributions: dict[str, str]
    elsewhere: dict[str, tuple[str, ...]]


@functools.cache
def _facts() -> _Facts:
    text = Path(__file__).with_name("modules.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomli.loads(text), _Facts)


@functools.cache
def _library() -> tuple[tuple[str, tuple[int, int], tuple[int, int], bool], ...]:
    rows = []
    for line in Path(__file__).with_name("stdlib.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, first, last, *elsewhere = line.split()
            rows.append((name, _version(first), _version(last), bool(elsewhere)))
    return tuple(rows)


def _version(text: str) -> tuple[int, int]:
    major, minor = map(int, text.split("."))
    return major, minor


@functools.cache
def standard_library(python: tuple[int, int]) -> frozenset[str]:
    """The top-level modules of CPython's standard library on Linux; of a version unknown here, the nearest's."""
    versions = [version for row in _library() for version in row[1:3]]
    python = min(max(python, min(versions)), max(versions))
    return frozenset(name for name, first, last, elsewhere in _library() if not elsewhere and first <= python <= last)


@functools.cache
def removed(top: str, python: tuple[int, int]) -> str:
    """The last version of CPython (``3.11``) that had this module, where ``python`` has it no more; else empty."""
    last = next((last for name, _, last, elsewhere in _library() if name == top and not elsewhere), None)
    return "{}.{}".format(*last) if last and last < python else ""


@functools.cache
def system_of(top: str) -> str:
    """``Windows`` or ``macOS`` for a module that exists there only, else empty."""
    if top == "_scproxy":
        return "macOS"
    if any(name == top and elsewhere for name, _, _, elsewhere in _library()):
        return "Windows"
    return next((system for system, names in _facts().elsewhere.items() if top in names), "")


def distribution_of(module: str) -> str:
    """The distribution that brings a module, by the list of differing names, else the module's own top-level name."""
    known = _facts().distributions
    name = ".".join(module.split(".", _PARTS)[:_PARTS])
    while name:
        if name in known:
            return known[name]
        name = name.rpartition(".")[0]
    return module.partition(".")[0].replace("_", "-")


def is_differing(module: str) -> bool:
    """Whether the list of differing names has this module: code of a distribution, whoever copied it."""
    return module in _facts().distributions


def differing() -> dict[str, str]:
    """Modules and the distributions that bring them, where the names differ."""
    return _facts().distributions


def modules_of(distribution: str) -> frozenset[str]:
    """The top-level modules that a distribution brings by its name alone: the differing ones, else its own name."""
    name = canonical(distribution)
    named = {
        module.partition(".")[0] for module, brought in _facts().distributions.items() if canonical(brought) == name
    }
    return frozenset(named or {name.replace("-", "_")})
