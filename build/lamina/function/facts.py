"""Facts that a function's code and variables are held against, read once from the files beside this one."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import msgspec
import tomli


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Expressions over the words of a name."""

    effect: str
    result: str
    quiet: str
    pretend: str

    def has(self, kind: str, name: str) -> bool:
        """Whether one of a name's words is of this kind; words are what stands between underscores or capitals."""
        expression = str(getattr(self, kind))
        return any(re.fullmatch(expression, word) for word in words_of(name))


class Idle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls that do nothing for their arguments."""

    loggers: frozenset[str]
    calls: frozenset[str]
    waits: frozenset[str]
    chances: frozenset[str]


class Success(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer is taken for success by."""

    keys: frozenset[str]
    values: frozenset[str]


class Runtime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Lambda brings along."""

    variables: frozenset[str]


class Reader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who reads variables of a pattern beside the function's own code: modules, or ``*`` for whatever runs."""

    pattern: str
    modules: tuple[str, ...]
    source: str


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``facts.toml``; see there for sources."""

    mocks: dict[str, str]
    words: Words
    idle: Idle
    success: Success
    runtime: Runtime
    readers: tuple[Reader, ...]


class Placeholder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values that stand for one to be filled in; ``code`` tells that they are none as a default in code."""

    match: str
    why: str
    examples: tuple[str, ...]
    code: bool = True
    source: str = ""


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values that are secrets by their form."""

    match: str
    what: str
    source: str


class Values(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``placeholders.toml``."""

    placeholder: tuple[Placeholder, ...]
    secret: tuple[Secret, ...]
    keys: dict[str, str]


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case: ``saveToStore_2`` is save, to, store, 2."""
    parts = re.split(r"_+|(?<=[a-z0-9])(?=[A-Z])", name[:200])
    return [part.lower() for part in parts if part]


@functools.cache
def facts() -> Facts:
    """Everything in ``facts.toml``."""
    return msgspec.convert(_load("facts.toml"), Facts)


@functools.cache
def values() -> Values:
    """Everything in ``placeholders.toml``."""
    return msgspec.convert(_load("placeholders.toml"), Values)


def _load(name: str) -> object:
    return tomli.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
