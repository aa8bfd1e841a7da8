"""The locks that are part of lamina: of what it brings along, one for each CPython and architecture of a runtime.

``scripts/tool_locks.py`` makes them. A target that is capped below its runtime, or on a base of its own, has what its
runtime has.
"""

from __future__ import annotations

from pathlib import Path

from lamina.lock.model import Lock
from lamina.lock.text import read
from lamina.target import Target, target_for


def own_path(package: Path, target: Target) -> Path:
    """Where the package in this folder has its lock for a target."""
    return package / "locks" / f"{target_for(target.python, architecture=target.architecture).name}.txt"


def own_lock(package: Path, target: Target) -> Lock:
    """That lock.

    Raises:
        MissingLockError: lamina has none for this runtime.
    """
    return read(own_path(package, target))
