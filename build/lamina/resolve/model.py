"""What resolvers are asked, and what they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina.lock import Lock, LockedSource, LockedWheel


class Question(msgspec.Struct, frozen=True):
    """What to resolve. ``python`` is a full version, ``pins`` are versions to prefer, by name.

    ``platform`` is one of uv's names, see :func:`lamina.resolve.uv.platform_for`.
    """

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    python: str
    platform: str
    pins: Mapping[str, str] = {}


class Answer(msgspec.Struct, frozen=True):
    """A resolution: versions by name, who needs whom, which packages were asked for with extras, warnings.

    ``hashes``: the SHA-256 of every file that a version may be installed from, where the resolver states them.
    """

    versions: Mapping[str, str]
    parents: Mapping[str, frozenset[str]]
    with_extras: frozenset[str]
    warnings: tuple[str, ...]
    hashes: Mapping[str, frozenset[str]] = {}


class Refusal(msgspec.Struct, frozen=True):
    """There is no resolution; the resolver's own explanation."""

    text: str


def files(lock: Lock | None) -> list[LockedWheel | LockedSource]:
    """What a lock names of indexes: wheels, and source distributions."""
    return [] if lock is None else [*lock.wheels, *lock.sources]


class Resolver(Protocol):
    """uv on this machine, or pip-tools inside the base image."""

    @property
    def sources(self) -> bool:
        """Whether source distributions are taken where there is no wheel."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth telling once it has answered."""

    def version(self) -> str:
        """What stands as builder in a lock."""

    def ask(self, question: Question, *, refresh: bool = False) -> Answer | Refusal:
        """Resolve.

        Raises:
            IndexAccessError: an index fails or refuses.
            ResolutionError: the resolver fails in another way.
        """
