"""From versions to locked wheels: the file of each, with the hash and size that make it that very one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lamina.errors import IndexAccessError, IntegrityError
from lamina.index.workers import each
from lamina.lock import LockedSource, LockedWheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina.index import IndexClient
    from lamina.index.model import IndexFile
    from lamina.lock import Lock
    from lamina.progress import Progress
    from lamina.resolve.settle import Settled, Settler
    from lamina.store import Store

_JOBS = 8


def locked_files(
    settler: Settler,
    settled: Settled,
    previous: Lock | None,
    pins: Mapping[str, str],
    *,
    store: Store,
    progress: Progress,
) -> tuple[LockedWheel | LockedSource, ...]:
    """The wheel of every package that ships, by name, or its source distribution where the resolver takes those.

    A wheel that the previous lock pins stays while it is offered, even where a better one of its version has appeared.

    Raises:
        IndexAccessError: a file of which the index states no hash or size cannot be had.
        IntegrityError: a file is none of those of which the resolver states hashes.
    """
    before = {wheel.name: wheel for wheel in (previous.wheels if previous is not None else ()) if wheel.name in pins}

    def one(name: str) -> LockedWheel | LockedSource:
        found = chosen(name)
        known = settled.hashes.get(name)
        if known is not None and found.sha256 not in known:
            message = f"{found.filename}: has sha256 {found.sha256}, which is none of those that pip-compile states"
            raise IntegrityError(message, hint="The index changed meanwhile, or lies. Run the command again.")
        return found

    def chosen(name: str) -> LockedWheel | LockedSource:
        version = settled.versions[name]
        files = settler.wheels(name, version)
        kept = before.get(name)
        if kept is not None and kept.version == version:
            same = next((file for file in files if file.filename == kept.filename and settler.fit.accepts(file)), None)
            if same is not None and _unchanged(same, kept):
                return kept
        best = settler.fit.best(files) or settler.source(name, version)
        if best is None:
            raise IndexAccessError(f"{name} {version}: vanished from the index", hint="Run the command again.")
        return _complete(name, version, best, client=settler.client, store=store, progress=progress)

    return tuple(each(one, settled.shipped, jobs=_JOBS, interrupt=settler.client.transport.interrupt))


def _complete(
    name: str, version: str, file: IndexFile, *, client: IndexClient, store: Store, progress: Progress
) -> LockedWheel | LockedSource:
    """The file with hash and size: as the index states them, or learnt from the file."""
    from lamina.fetch.download import digest_of, survey

    kind = LockedWheel if file.filename.endswith(".whl") else LockedSource
    path = file.path
    if path is not None:
        return kind(name, version, file.filename, file.sha256 or digest_of(path), path.stat().st_size)
    size = file.size
    if size is None and file.sha256 is not None:
        size = _known_size(file.sha256, file.url, client, store)
    if file.sha256 is not None and size is not None:
        return kind(name, version, file.filename, file.sha256, size)
    if client.offline:
        message = f"{file.filename}: offline, and the index did not state its hash or size"
        raise IndexAccessError(message, hint="Run the command once without --offline.")
    with progress.task(file.filename) as task:
        digest, size = survey(file.filename, file.url, store=store, transport=client.transport, task=task)
    if file.sha256 not in {None, digest}:
        message = f"{file.filename}: the index states sha256 {file.sha256}, the file has {digest}"
        raise IntegrityError(message, hint=f"It came from {client.indexes.redact(file.url)}. Do not use it.")
    return kind(name, version, file.filename, digest, size)


def _unchanged(file: IndexFile, kept: LockedWheel) -> bool:
    """Whether what is offered under a locked wheel's name is that wheel, as far as that can be told cheaply."""
    from lamina.fetch.download import digest_of

    if file.sha256 is not None:
        return file.sha256 == kept.sha256
    return file.path is None or digest_of(file.path) == kept.sha256


def _known_size(sha256: str, url: str, client: IndexClient, store: Store) -> int | None:
    """A size that the index does not state: of the wheel in the store, as remembered, or as the server tells it."""
    wheel, remembered = store.path("wheels", sha256, ".whl"), store.path("pages", sha256, ".size")
    with contextlib.suppress(OSError):
        return wheel.stat().st_size
    with contextlib.suppress(OSError, ValueError):
        return int(remembered.read_text(encoding="ascii"))
    if client.offline:
        return None
    try:
        answer = client.transport.send("HEAD", url, headers={"Accept-Encoding": "identity"})
    except IndexAccessError:
        return None  # some servers refuse HEAD; the file itself will tell
    stated = answer.headers.get("Content-Length", "")
    if not (stated.isdecimal() and len(stated) < 16 and int(stated)) or answer.headers.get("Content-Encoding"):  # noqa: PLR2004
        return None
    with contextlib.suppress(OSError), store.create(remembered) as beside:
        beside.write_text(stated, encoding="ascii")
    return int(stated)
