"""Parts in the store: found, made where they are missing, made again where they are damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import deflate
import msgspec

from lamina.errors import IntegrityError
from lamina.lock import LockedWheel
from lamina.part.compress import STRONGEST
from lamina.part.model import Facts, Index
from lamina.progress import SILENT, Progress
from lamina.store import Store


class Derived(Protocol):
    """The index of what was made of a part, which tells its own name and the digest of its data."""

    @property
    def key(self) -> str:
        """Its name in the store."""

    @property
    def data_sha256(self) -> str:
        """SHA-256 of the data, in hexadecimal."""


D = TypeVar("D", bound=Derived)

#: Counted up with every change of what a part holds; it is part of every part's name.
FORMAT = 9

#: Counted up with every change of how entries are compressed again; see :mod:`lamina.part.small`.
SMALL_FORMAT = 2

#: The files of a part; the index is written last and completes it.
SUFFIXES = (".data", ".facts", ".index")
#: Those of what is made of a part: its bytecode, its entries compressed again.
DERIVED_SUFFIXES = (".data", ".index")


def part_key(wheel_sha256: str) -> str:
    """The name of the part made from this wheel by this version of the maker and of libdeflate."""
    made_from = f"part {FORMAT}\ndeflate {deflate.__version__}\nwheel {wheel_sha256}\n"
    return hashlib.sha256(made_from.encode()).hexdigest()


def small_key(part: str, *, trim: bool) -> str:
    """The name of the entries of the part named ``part``, or of compiled ones, compressed as small as can be.

    With ``trim``, native files are the trimmed ones where the part has them so, and the whole ones are not there.
    """
    form = "trimmed" if trim else "whole"
    made_from = f"small {SMALL_FORMAT} level {STRONGEST} {form}\ndeflate {deflate.__version__}\npart {part}\n"
    return hashlib.sha256(made_from.encode()).hexdigest()


def data_path(store: Store, key: str) -> Path:
    """Where the part's data stands in the store."""
    return store.path("parts", key, ".data")


def load_index(store: Store, key: str) -> Index | None:
    """The part's index, or ``None`` where the part is missing or damaged (and so will be made)."""
    content = store.load(store.path("parts", key, ".index"))
    try:
        index = None if content is None else msgspec.msgpack.decode(content, type=Index)
        return index if index is not None and data_path(store, key).stat().st_size == index.data_bytes else None
    except (OSError, msgspec.MsgspecError):
        return None


def load_facts(store: Store, key: str) -> Facts | None:
    """The part's facts, or ``None`` as in :func:`load_index`."""
    content = store.load(store.path("parts", key, ".facts"))
    try:
        return None if content is None else msgspec.msgpack.decode(content, type=Facts)
    except msgspec.MsgspecError:
        return None


def load_derived(store: Store, key: str, kind: type[D]) -> D | None:
    """The index of what was made of a part, or ``None`` where it is missing, of another name, or its data is damaged.

    Reads all of the data.
    """
    content = store.load(store.path("parts", key, ".index"))
    try:
        found = None if content is None else msgspec.msgpack.decode(content, type=kind)
    except msgspec.MsgspecError:
        return None
    if found is None or found.key != key:
        return None
    return found if _sha256(data_path(store, key)) == found.data_sha256 else None


def is_sound(store: Store, key: str) -> bool:
    """Whether the part is there and its data still has the digest that its index remembers. Reads all of it."""
    index = load_index(store, key)
    return (
        index is not None and load_facts(store, key) is not None and _sha256(data_path(store, key)) == index.data_sha256
    )


def load_parts(store: Store, wheels: Sequence[LockedWheel]) -> list[tuple[Index, Facts]]:
    """Index and facts of these wheels' parts, which must be in the store.

    Raises:
        IntegrityError: one is not, although it was made a moment ago.
    """
    parts = []
    for wheel in wheels:
        key = part_key(wheel.sha256)
        index, facts = load_index(store, key), load_facts(store, key)
        if index is None or facts is None:
            raise IntegrityError(f"{store.root}: the part of {wheel.filename} is gone", hint="Run the build again.")
        # The hash names the bytes, and a lock can say more of them than is so.
        if (index.name, index.wheel, index.wheel_bytes) != (wheel.name, wheel.filename, wheel.size):
            raise IntegrityError(
                f"{wheel.name}: {wheel.filename} of {wheel.size:,} bytes in the lock; the wheel of that hash is "
                f"{index.wheel} of {index.wheel_bytes:,} bytes",
                hint="Locks are written by lamina lock, never by hand: run it again for this recipe.",
            )
        parts.append((index, facts))
    return parts


#: Gives wheels as files: SHA-256 → path. Asked for all that are missing at once, so that they can come side by side.
Fetch = Callable[[Sequence[LockedWheel]], Mapping[str, Path]]


def ensure(
    store: Store, wheels: Sequence[LockedWheel], fetch: Fetch, *, verify: bool, progress: Progress = SILENT
) -> int:
    """Make the parts that are missing, and with ``verify`` those that are damaged; return how many were made.

    Raises:
        IntegrityError: a wheel is not the one that the lock names, or contradicts itself.
        UnsafeWheelError: a wheel holds what must never be unpacked.
    """
    sound = is_sound if verify else lambda store, key: load_index(store, key) is not None
    missing = [wheel for wheel in wheels if not sound(store, part_key(wheel.sha256))]
    if not missing:
        return 0
    store.sweep()
    paths = fetch(missing)
    progress.stage(f"making the parts of {len(missing)} wheel{'s' if len(missing) > 1 else ''}")
    with progress.task("preparing wheels", sum(wheel.size for wheel in missing)) as task:
        for wheel in missing:
            _make(store, wheel, paths[wheel.sha256], fetch)
            task.advance(wheel.size)
    return len(missing)


def _make(store: Store, locked: LockedWheel, path: Path, fetch: Fetch) -> None:
    """Make one part and put it into the store: data and facts first, the index that completes it last."""
    from lamina.part.compress import libdeflate
    from lamina.part.make import make
    from lamina.wheel import open_wheel

    key = part_key(locked.sha256)
    with store.exclusive(key):
        if is_sound(store, key):  # another build was here first
            return
        path = _verified(locked, path, fetch)
        with (
            store.create(data_path(store, key)) as data,
            open_wheel(path, locked.filename) as wheel,
            data.open("wb") as out,
        ):
            index, facts = make(wheel, locked.sha256, out, libdeflate)
        for suffix, value in ((".facts", facts), (".index", index)):
            store.save(store.path("parts", key, suffix), msgspec.msgpack.encode(value))


def _verified(locked: LockedWheel, path: Path, fetch: Fetch) -> Path:
    """The path of a wheel that has the lock's digest; one in the store that has not is fetched again."""
    found = _sha256(path)
    if found != locked.sha256:
        path.unlink(missing_ok=True)
        path = fetch([locked])[locked.sha256]
        found = _sha256(path)
    if found != locked.sha256:
        raise IntegrityError(
            f"{locked.filename}: has SHA-256 {found}; the lock says {locked.sha256}",
            hint="It was fetched twice and differs both times. Check the index, then run lamina lock.",
        )
    return path


def _sha256(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
