"""Parts in the store: found, made where they are missing, made again where they are damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import deflate
import msgspec

from lamina.errors import IntegrityError
from lamina.part.model import Facts, Index
from lamina.progress import SILENT, Progress
from lamina.store import Store

#: Counted up with every change of what a part holds; it is part of every part's name.
FORMAT = 1

_CHUNK = 1024 * 1024


def part_key(wheel_sha256: str) -> str:
    """The name of the part made from this wheel by this version of the maker and of libdeflate."""
    made_from = f"part {FORMAT}\ndeflate {deflate.__version__}\nwheel {wheel_sha256}\n"
    return hashlib.sha256(made_from.encode()).hexdigest()


def data_path(store: Store, key: str) -> Path:
    """Where the part's data stands in the store."""
    return store.path("parts", key, ".data")


def load_index(store: Store, key: str) -> Index | None:
    """The part's index, or ``None`` where the part is missing or cannot be read (and so will be made)."""
    try:
        index = msgspec.msgpack.decode(store.path("parts", key, ".index").read_bytes(), type=Index)
        complete = data_path(store, key).stat().st_size == index.data_bytes
    except (OSError, msgspec.MsgspecError):
        return None
    return index if complete else None


def load_facts(store: Store, key: str) -> Facts | None:
    """The part's facts, or ``None`` as in :func:`load_index`."""
    try:
        return msgspec.msgpack.decode(store.path("parts", key, ".facts").read_bytes(), type=Facts)
    except (OSError, msgspec.MsgspecError):
        return None


def is_sound(store: Store, key: str) -> bool:
    """Whether the part is there and its data still has the digest that its index remembers. Reads all of it."""
    index = load_index(store, key)
    return (
        index is not None
        and load_facts(store, key) is not None
        and _sha256(data_path(store, key)) == index.data_sha256
    )


def make_part(store: Store, wheel_sha256: str, filename: str, fetch: Callable[[], Path]) -> None:
    """Make the part of one wheel and put it into the store: data and facts first, the index that completes it last.

    ``fetch`` gives the wheel's path, from the store or the index; it is asked a second time when what lies in the store
    is not the wheel that its name promises, after that file has been removed.

    Raises:
        IntegrityError: the wheel is not the one that the lock names, or contradicts itself.
        UnsafeWheelError: the wheel holds what must never be unpacked.
    """
    from lamina.part.make import libdeflate, make
    from lamina.wheel import open_wheel

    key = part_key(wheel_sha256)
    with store.exclusive(key):
        if is_sound(store, key):  # another build was here first
            return
        path = _verified(wheel_sha256, filename, fetch)
        with (
            open_wheel(path, filename) as wheel,
            store.create(data_path(store, key)) as data,
        ):
            with data.open("wb") as out:
                index, facts = make(wheel, wheel_sha256, out, libdeflate)
        for suffix, value in ((".facts", facts), (".index", index)):
            with store.create(store.path("parts", key, suffix)) as beside:
                beside.write_bytes(msgspec.msgpack.encode(value))


def ensure(
    store: Store,
    wheels: Sequence[tuple[str, str]],
    fetch: Callable[[str], Path],
    *,
    verify: bool,
    progress: Progress = SILENT,
) -> list[str]:
    """Make the parts that are missing, and with ``verify`` those that are damaged; return their keys in order.

    ``wheels`` are ``(sha256, file name)``; ``fetch`` gives a wheel's path by its SHA-256.
    """
    keys = [part_key(sha256) for sha256, _ in wheels]
    sound = is_sound if verify else lambda store, key: load_index(store, key) is not None
    missing = [wheel for wheel, key in zip(wheels, keys, strict=True) if not sound(store, key)]
    with progress.task("preparing wheels", len(missing), unit="wheels") as task:
        for sha256, filename in missing:
            make_part(store, sha256, filename, lambda sha256=sha256: fetch(sha256))  # type: ignore[misc]
            task.advance(1)
    return keys


def _verified(sha256: str, filename: str, fetch: Callable[[], Path]) -> Path:
    for _ in range(2):
        path = fetch()
        found = _sha256(path)
        if found == sha256:
            return path
        path.unlink()
    raise IntegrityError(
        f"{filename}: has SHA-256 {found}; the lock says {sha256}",
        hint="The file was fetched twice and differs both times. Check the index, then run lamina lock.",
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
