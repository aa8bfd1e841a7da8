"""Wheels that were made here, in the store: each remembered by what it was made from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lamina.built import Built

if TYPE_CHECKING:
    from lamina.lock import LockedWheel
    from lamina.store import Store


def memo(store: Store, made_from: object) -> Path:
    """Where the store remembers what was made from these values."""
    return store.path("built", hashlib.sha256(msgspec.json.encode(made_from)).hexdigest())


def wheel_path(store: Store, wheel: LockedWheel) -> Path:
    """Where the store has a wheel, or would."""
    return store.path("wheels", wheel.sha256, ".whl")


def recall(store: Store, record: Path) -> Built | None:
    """What is remembered at ``record``, if the store has its wheel as well; both count as used now."""
    content = store.load(record)
    try:
        built = None if content is None else msgspec.msgpack.decode(content, type=Built)
    except msgspec.MsgspecError:
        return None
    if built is None:
        return None
    wheel = wheel_path(store, built.wheel)
    if not wheel.is_file() or wheel.stat().st_size != built.wheel.size:
        return None
    store.touch([record, wheel])
    return built


def keep(store: Store, record: Path, built: Built, wheel: Path) -> None:
    """Put a wheel into the store, and remember it at ``record``."""
    with store.create(wheel_path(store, built.wheel)) as beside:
        beside.write_bytes(wheel.read_bytes())
    store.save(record, msgspec.msgpack.encode(built))
