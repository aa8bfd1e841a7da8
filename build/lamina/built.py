"""What building a local project leaves, as a value: its wheel, and what of its metadata a resolution depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from lamina.lock import LockedLocal, LockedWheel, canonical, canonical_requirement


class Built(msgspec.Struct, frozen=True, array_like=True):
    """One local project. ``requires`` are its ``Requires-Dist``; ``metadata`` is :func:`metadata_digest` of it.

    ``siblings`` are those of its dependencies that it takes from its workspace rather than from an index, by name.
    """

    wheel: LockedWheel
    metadata: str
    requires: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()

    def locked(self, path: str) -> LockedLocal:
        """What a lock states of the project in this folder."""
        return LockedLocal(path, self.wheel.name, self.metadata)


def metadata_digest(name: str, requires: Sequence[str], python: str, extras: Sequence[str]) -> str:
    """SHA-256 of all that a resolution takes from a project: when it changes, the lock is stale.

    The version is left out: it changes with every release, or every commit, and is compared where another local
    project limits it.
    """
    stated = {
        "name": canonical(name),
        "requires": sorted({canonical_requirement(text) for text in requires}),
        "python": "".join(python.split()),
        "extras": sorted({canonical(extra) for extra in extras}),
    }
    return hashlib.sha256(msgspec.json.encode(stated, order="sorted")).hexdigest()
