"""What the runtime has beside the standard library: the AWS SDK and awslambdaric, locked, and fetched as any wheel is.

The locks are part of lamina (:mod:`lamina.lock.own`). Nothing of it is among lamina's own requirements, and nothing
comes from packages of the host.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lamina.fetch import fetch
from lamina.lock.own import own_lock
from lamina.progress import SILENT
from lamina.prove.stage import key_of, unpacked, wheels

if TYPE_CHECKING:
    from lamina.index import Indexes
    from lamina.lock import Lock
    from lamina.progress import Progress
    from lamina.store import Store
    from lamina.target import Target


def standin_lock(target: Target) -> Lock:
    """The lock of what the target's runtime has.

    Raises:
        MissingLockError: lamina has none for this runtime.
    """
    return own_lock(Path(__file__).parent, target)


def standin(
    target: Target, *, store: Store, indexes: Indexes, offline: bool = False, progress: Progress = SILENT
) -> Path:
    """The folder of what the target's runtime has; fetched and unpacked where the store does not have it yet.

    Raises:
        IndexAccessError: an index fails or lacks a wheel; or, offline, a wheel is missing.
        IntegrityError: a wheel is not what the lock says.
    """
    lock = standin_lock(target)
    # A stage that stands needs no wheels, which `lamina cache prune` may have removed meanwhile.
    nowhere = {wheel.sha256: Path() for wheel in lock.wheels}
    if store.path("stages", key_of(wheels(lock.wheels, nowhere, "")), ".index").exists():
        places = {wheel.sha256: store.path("wheels", wheel.sha256, ".whl") for wheel in lock.wheels}
        try:
            return unpacked(store, wheels(lock.wheels, places, ""))
        except FileNotFoundError:  # damaged, and to be made of wheels that are gone
            pass
    places = fetch(lock.wheels, store=store, indexes=indexes, offline=offline, progress=progress)
    return unpacked(store, wheels(lock.wheels, places, ""))
