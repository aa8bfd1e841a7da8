"""Entries of a part, or of its bytecode, compressed as small as can be: made once, beside it in the store.

libdeflate is deterministic at every level, so the digest of a layer is the same from every machine; and a second build
copies these bytes as it does those of the wheels. What the wheel has smaller already stays as it is.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from lamina.errors import IntegrityError
from lamina.part.compress import smallest
from lamina.part.entry import read_entry
from lamina.part.library import data_path, load_derived
from lamina.part.model import Entry, Index
from lamina.part.writer import Writer
from lamina.zipformat import DEFLATED, STORED

if TYPE_CHECKING:
    from pathlib import Path

    from lamina.progress import Progress, Task
    from lamina.store import Store

#: Larger files stay as they are, in bytes: libdeflate works on whole buffers.
_MOST_BYTES = 256 * 1024**2
#: So many bytes, unpacked, are in work or waiting to be written at one time; or one file.
_MOST_IN_WORK = 256 * 1024**2


class Small(msgspec.Struct, frozen=True, array_like=True):
    """Where each entry lies in the data that was compressed again, that data's digest, and its name in the store."""

    data_sha256: str
    entries: tuple[Entry, ...]
    key: str = ""


class Wanted(NamedTuple):
    """What is to be compressed again: its name in the store, the name that the result gets, and its entries."""

    source: str
    key: str
    entries: Sequence[Entry]


def shipping_entries(index: Index, *, trim: bool) -> list[Entry]:
    """All that a part can ship, in the order of the paths; native files whole, or with ``trim`` as trimmed."""
    smaller = {entry.path: entry for entry in index.trimmed} if trim else {}
    return [smaller.get(entry.path, entry) for entry in index.entries]


def ensure(store: Store, wanted: Sequence[Wanted], progress: Progress) -> list[Mapping[str, Entry]]:
    """Compress what is missing or damaged, on every core; tell of each by path where its entries lie.

    Raises:
        IntegrityError: a part is not what its index says.
    """
    known = {one.key: found for one in wanted if (found := load_derived(store, one.key, Small)) is not None}
    missing = [one for one in wanted if one.key not in known]
    if missing:
        total = sum(entry.size for one in missing for entry in one.entries)
        progress.stage(f"compressing {total:,} bytes as small as can be")
        with progress.task("compressing", total) as task:
            for one in missing:
                known[one.key] = _make(store, one, task)
    return [{entry.path: entry for entry in known[one.key].entries} for one in wanted]


def _make(store: Store, one: Wanted, task: Task) -> Small:
    with store.exclusive(one.key):
        made = load_derived(store, one.key, Small)
        if made is not None:  # another build was here first
            return made
        try:
            with store.create(data_path(store, one.key)) as beside, beside.open("wb") as out:
                made = _write(one, data_path(store, one.source), out, task)
        except (FileNotFoundError, ValueError) as error:
            raise IntegrityError(
                f"{store.root}: a part vanishes while it is read", hint="Run the build again."
            ) from error
        store.save(store.path("parts", one.key, ".index"), msgspec.msgpack.encode(made))
    return made


def _write(one: Wanted, path: Path, out: IO[bytes], task: Task) -> Small:
    data = Writer(out)
    moved = []
    for entry, method, packed in _compressed(path, one.entries):
        moved.append(data.add_as(entry, entry.path, method, packed))
        task.advance(entry.size)
    return Small(data.digest.hexdigest(), tuple(moved), one.key)


def _compressed(path: Path, entries: Sequence[Entry]) -> Iterator[tuple[Entry, int, bytes]]:
    """Each entry in its order with method and bytes; threads, since libdeflate lets the others run meanwhile."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    waiting: deque[tuple[Entry, Future[tuple[int, bytes]]]] = deque()
    held = 0
    try:
        for entry in entries:
            while waiting and held + entry.size > _MOST_IN_WORK:
                first, job = waiting.popleft()
                yield first, *job.result()
                held -= first.size
            waiting.append((entry, pool.submit(_smaller, path, entry)))
            held += entry.size
        for first, job in waiting:
            yield first, *job.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _smaller(path: Path, entry: Entry) -> tuple[int, bytes]:
    """Method and bytes of an entry: compressed again, or as they are where that is no gain."""
    if entry.size <= _MOST_BYTES:
        content = read_entry(path, entry)
        packed = smallest(content)
        if len(packed) < min(entry.compressed, entry.size):
            return DEFLATED, packed
        if entry.size < entry.compressed:  # deflated by the wheel, though that makes it larger
            return STORED, content
    with path.open("rb") as file:
        file.seek(entry.offset + entry.length - entry.compressed)
        raw = file.read(entry.compressed)
    if len(raw) != entry.compressed:
        raise IntegrityError(f"{path}: {entry.path} is damaged", hint="Run lamina cache clear, then build again.")
    return entry.method, raw
