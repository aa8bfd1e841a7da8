"""Fetch: every wheel of a lock into the store, from folders and indexes, verified; source distributions as well.

A wheel that stands in the store is taken at its name and size; its content is verified when a part is made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.errors import IndexAccessError, IntegrityError
from lamina.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lamina.index import IndexClient, Indexes, Named
    from lamina.index.model import IndexFile
    from lamina.lock import LockedSource, LockedWheel
    from lamina.progress import Progress, Task
    from lamina.store import Store

    Locked = LockedWheel | LockedSource

#: Downloads at once. Indexes serve a connection at some ten megabytes a second, and do not mind a few.
JOBS = 8

_LISTED = 10


def fetch(
    lock: Lock | Sequence[Locked],
    *,
    store: Store,
    indexes: Indexes,
    offline: bool,
    progress: Progress,
    jobs: int = JOBS,
) -> dict[str, Path]:
    """Have every wheel of a lock, or these of its files, in the store; return where each stands, by SHA-256.

    When nothing is missing, nothing is imported and no socket opened. Folders of wheels are asked before indexes.

    Raises:
        IndexAccessError: an index fails, refuses, or does not have a wheel; or, offline, a wheel is missing.
        IntegrityError: a wheel is not what the lock says, by hash or size.
        MissingToolError: the store cannot be written.
    """
    wheels: Sequence[Locked]
    wheels, renewal = (lock.wheels, lock.command) if isinstance(lock, Lock) else (lock, "lamina lock")
    places = {wheel.sha256: place(store, wheel.filename, wheel.sha256) for wheel in wheels}
    missing = [wheel for wheel in wheels if not _stands(places[wheel.sha256], wheel.size)]
    if missing:
        _fetch(missing, renewal, store=store, indexes=indexes, offline=offline, progress=progress, jobs=jobs)
    return places


def place(store: Store, filename: str, sha256: str) -> Path:
    """Where a file of that name and hash stands in the store."""
    kind, suffix = _entry(filename)
    return store.path(kind, sha256, suffix)


def _entry(filename: str) -> tuple[str, str]:
    """Kind and suffix of a file of that name in the store."""
    return ("wheels", ".whl") if filename.endswith(".whl") else ("sources", "")


def _stands(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _fetch(
    missing: Sequence[Locked],
    renewal: str,
    *,
    store: Store,
    indexes: Indexes,
    offline: bool,
    progress: Progress,
    jobs: int,
) -> None:
    from lamina.index import IndexClient
    from lamina.index.workers import each

    total = sum(wheel.size for wheel in missing)
    some = _counted(missing)
    progress.stage(f"fetching {some} ({total / 1e6:.1f} MB)")
    with IndexClient(indexes, offline=offline, store=store) as client:
        if offline:
            missing = _from_folders(missing, client, store, progress)
            if missing:
                raise _offline(missing)
            return

        def one(wheel: Locked) -> None:
            _one(wheel, renewal, client=client, store=store, progress=progress)

        # The largest first, so that none is left to run alone at the end.
        ordered = sorted(missing, key=lambda wheel: -wheel.size)
        each(one, ordered, jobs=jobs, interrupt=client.transport.interrupt)


def _one(wheel: Locked, renewal: str, *, client: IndexClient, store: Store, progress: Progress) -> None:
    """One wheel from the first place that has it."""
    from lamina.fetch.download import Wanted, download
    from lamina.index.answers import NotThereError

    own = client.indexes.serving(wheel.name)
    others: list[str] = []
    with progress.task(wheel.filename, wheel.size) as task:
        for page in client.everywhere(wheel.name):
            for file in _candidates(wheel, (*page.wheels, *page.archives)):
                if file.sha256 not in {None, wheel.sha256}:
                    others.append(f"sha256 {file.sha256} at {client.indexes.redact(file.url)}")
                elif file.path is not None:
                    if _adopted(wheel, file, store, task):
                        return
                    others.append(f"other bytes at {file.path}")
                else:
                    wanted = Wanted(wheel.filename, file.url, wheel.sha256, wheel.size, *_entry(wheel.filename))
                    try:
                        download(wanted, store=store, transport=client.transport, task=task)
                    except NotThereError as error:
                        raise IndexAccessError(error.message, hint=_gone(wheel, renewal, own)) from error
                    return
    if others:
        message = f"{wheel.filename}: locked with sha256 {wheel.sha256}, but there is only: {'; '.join(others)}"
        hint = (
            f"Find out who changed it. If the change is meant, renew the lock: {renewal} --upgrade-package {wheel.name}"
        )
        raise IntegrityError(message, hint=hint)
    where = "on no index" if own is None else f"not on the index {own.name}, which alone serves {wheel.name},"
    raise IndexAccessError(f"{wheel.filename}: {where} and in no folder of wheels", hint=_gone(wheel, renewal, own))


def _candidates(wheel: Locked, files: Sequence[IndexFile]) -> list[IndexFile]:
    """The files of a page that are the wheel, or bear its name. A mirror may have renamed it; the hash decides."""
    same = [file for file in files if file.sha256 == wheel.sha256]
    return same or [file for file in files if file.filename == wheel.filename]


def _adopted(wheel: Locked, file: IndexFile, store: Store, task: Task) -> bool:
    """Copy a wheel out of a folder, if it is the one that was locked."""
    from lamina.fetch.download import Wanted, adopt

    if file.path is None or (file.size is not None and file.size != wheel.size):
        return False
    wanted = Wanted(wheel.filename, file.url, wheel.sha256, wheel.size, *_entry(wheel.filename))
    return adopt(file.path, wanted, store=store, task=task)


def _from_folders(missing: Sequence[Locked], client: IndexClient, store: Store, progress: Progress) -> list[Locked]:
    """Take what folders have; return what is still missing."""
    left = []
    for wheel in missing:
        files = _candidates(wheel, client.local(wheel.name))
        with progress.task(wheel.filename, wheel.size) as task:
            if not any(_adopted(wheel, file, store, task) for file in files):
                left.append(wheel)
    return left


def _offline(missing: Sequence[Locked]) -> IndexAccessError:
    names = [f"  {wheel.filename}" for wheel in missing[:_LISTED]]
    if len(missing) > _LISTED:
        names.append(f"  and {len(missing) - _LISTED} more")
    verb = "is" if len(missing) == 1 else "are"
    message = "\n".join([f"offline, and {_counted(missing)} {verb} not in the store:", *names])
    return IndexAccessError(message, hint="Run the command once without --offline.")


def _counted(files: Sequence[Locked]) -> str:
    what = "wheel" if all(file.filename.endswith(".whl") for file in files) else "source distribution"
    return f"1 {what}" if len(files) == 1 else f"{len(files)} {what}s"


def _gone(wheel: Locked, renewal: str, own: Named | None) -> str:
    variables = "UV_INDEX, PIP_EXTRA_INDEX_URL" if own is None else own.variable
    return (
        f"It was removed, or the lock was made with another index. Name that index in the environment "
        f"({variables}), or renew the lock: {renewal} --upgrade-package {wheel.name}"
    )
