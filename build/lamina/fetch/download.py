"""One wheel from its address into the store: verified, resumable, and made only once by any number of processes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from secrets import token_hex
from typing import TYPE_CHECKING, NoReturn

import msgspec

from lamina.errors import IndexAccessError, IntegrityError, MissingToolError
from lamina.files import replace
from lamina.index.answers import redact
from lamina.index.transport import TRIES, Interrupted, delay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import requests

    from lamina.index.transport import Transport
    from lamina.progress import Task
    from lamina.store import Store

_CHUNK = 1 << 18

#: Bytes read from a connection at once. When it breaks, what was read of the last piece is lost: so, not too many.
_PIECE = 1 << 15

#: A try that brought this many bytes was worth it: the count of failures in a row begins again.
_WORTHWHILE = 1 << 20

_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416


class Wanted(msgspec.Struct, frozen=True):
    """A file to have: its name, its address, its SHA-256 in hexadecimal, its size in bytes, who states these.

    ``kind`` and ``suffix`` say where in the store it stands.
    """

    filename: str
    url: str
    sha256: str
    size: int
    kind: str = "wheels"
    suffix: str = ".whl"
    stated: str = "lock"


class _CutError(Exception):
    """The transfer ended early; what came is kept."""


class _WrongError(Exception):
    """The bytes are not the ones wanted; nothing of them is kept."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got


class _Meter:
    """Tells a task how far one file has come, also when it begins again."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.position = 0

    def at(self, position: int) -> None:
        """Say that ``position`` bytes are there."""
        self._task.advance(position - self.position)
        self.position = position


def download(wanted: Wanted, *, store: Store, transport: Transport, task: Task) -> Path:
    """Put a file into the store, unless it is there, and return its path.

    What an earlier try left is continued. A wrong result is thrown away and fetched once more from the beginning;
    ``task`` is then told of a negative advance.

    Raises:
        IntegrityError: the bytes are not what hash or size say, twice.
        IndexAccessError: the server refuses, or the transfer keeps failing.
        MissingToolError: the disk is full, or the store cannot be written.
        Interrupted: the transport was told to stop.
    """
    target = store.path(wanted.kind, wanted.sha256, wanted.suffix)
    with _disk(target), store.exclusive(wanted.sha256):
        meter = _Meter(task)
        if stands(target, wanted.size):
            meter.at(wanted.size)
        else:
            partial = store.path("partial", wanted.sha256)
            partial.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            _transfer(wanted, partial, transport, meter)
            replace(partial, target)
    return target


def adopt(path: Path, wanted: Wanted, *, store: Store, task: Task) -> bool:
    """Copy a file of this machine into the store; false if it is not the one wanted, by hash or size.

    Raises:
        IndexAccessError: the file cannot be read.
        MissingToolError: the disk is full, or the store cannot be written.
    """
    target = store.path(wanted.kind, wanted.sha256, wanted.suffix)
    try:
        file = path.open("rb")
    except OSError as error:
        hint = "Check the folder of wheels."
        raise IndexAccessError(f"{path}: cannot be read: {error.strerror}", hint=hint) from error
    meter = _Meter(task)
    with file, _disk(target), contextlib.suppress(_WrongError), store.create(target) as beside:
        digest = _copied(iter(lambda: file.read(_CHUNK), b""), beside, meter)
        if digest != wanted.sha256 or meter.position != wanted.size:
            raise _WrongError(wanted.sha256, digest)  # so that the copy goes
        return True
    return False


def survey(filename: str, url: str, *, store: Store, transport: Transport, task: Task) -> tuple[str, int]:
    """Fetch a file whose hash or size nobody states, and keep it; return its SHA-256 and its size in bytes.

    Raises:
        IndexAccessError: it cannot be had.
        MissingToolError: the disk is full, or the store cannot be written.
    """
    beside = store.root / "tmp" / f"{token_hex(8)}.{os.getpid()}"
    meter = _Meter(task)
    with _disk(beside):
        beside.parent.mkdir(parents=True, exist_ok=True)
        try:
            for attempt in range(1, TRIES + 1):
                try:
                    with transport.watch(_asked(transport, url, 0)) as answer:
                        digest = _copied(_chunks(answer, transport), beside, meter)
                    break
                except _CutError as cut:
                    if attempt == TRIES:
                        _give_up(filename, url, cut)
                    transport.pause(delay(attempt))
            target = store.path("wheels", digest, ".whl")
            target.parent.mkdir(parents=True, exist_ok=True)
            replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    return digest, meter.position


def stands(path: Path, size: int) -> bool:
    """Whether an entry of the store is there; one of another size is none."""
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _transfer(wanted: Wanted, partial: Path, transport: Transport, meter: _Meter) -> None:
    """Bring ``partial`` to its end, over as many tries as it takes while they bring something."""
    failures, wrong = 0, 0
    while True:
        before = meter.position
        try:
            _attempt(wanted, partial, transport, meter)
        except _WrongError as error:
            partial.unlink(missing_ok=True)
            meter.at(0)
            wrong += 1
            if wrong == 2:  # noqa: PLR2004 - once may be a proxy's leftover, twice is the file
                what = "the file that was locked" if wanted.stated == "lock" else f"what the {wanted.stated} states"
                message = f"{wanted.filename}: not {what}: expected {error.expected}, got {error.got}"
                hint = f"It came from {redact(wanted.url)}. Find out who changed it, there or in the {wanted.stated}."
                raise IntegrityError(message, hint=hint) from error
        except _CutError as cut:
            failures = 0 if meter.position - before >= _WORTHWHILE else failures + 1
            if failures >= TRIES:
                _give_up(wanted.filename, wanted.url, cut)
            transport.pause(delay(max(failures, 1)))
        else:
            return


def _attempt(wanted: Wanted, partial: Path, transport: Transport, meter: _Meter) -> None:
    """Continue ``partial`` with one request; return when it is the file wanted."""
    digest, have = _resumed(partial)
    if have < wanted.size:
        with transport.watch(_asked(transport, wanted.url, have)) as answer:
            if not _continues(answer, have, wanted):
                digest, have = hashlib.sha256(), 0
            with partial.open("ab" if have else "wb") as file:
                meter.at(have)
                for chunk in _chunks(answer, transport):
                    have += len(chunk)
                    if have > wanted.size:
                        break
                    file.write(chunk)
                    digest.update(chunk)
                    meter.at(have)
    if have < wanted.size:
        raise _CutError(f"the transfer ended after {have} of {wanted.size} bytes")
    if have > wanted.size:
        raise _WrongError(f"{wanted.size} bytes", "more")
    if digest.hexdigest() != wanted.sha256:
        raise _WrongError(f"sha256 {wanted.sha256}", f"sha256 {digest.hexdigest()}")


def _resumed(partial: Path) -> tuple[hashlib._Hash, int]:
    """What an earlier try left: the running digest of its bytes, and their number."""
    digest, have = hashlib.sha256(), 0
    with contextlib.suppress(FileNotFoundError), partial.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            have += len(chunk)
    return digest, have


def _copied(chunks: Iterable[bytes], beside: Path, meter: _Meter) -> str:
    """Write ``chunks`` to a new file; return their SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    meter.at(0)
    with beside.open("wb") as copy:
        for chunk in chunks:
            copy.write(chunk)
            digest.update(chunk)
            meter.at(meter.position + len(chunk))
    return digest.hexdigest()


def _asked(transport: Transport, url: str, have: int) -> requests.Response:
    """Request the file, or its rest. Compressed transfer would make the bytes and their ranges other ones."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    return transport.send("GET", url, headers=headers, stream=True)


def _continues(answer: requests.Response, have: int, wanted: Wanted) -> bool:
    """Whether the answer goes on after the first ``have`` bytes; a server may send everything again instead.

    Raises:
        _WrongError: the range is not the one asked for, or the file there has another size.
    """
    if answer.status_code not in {_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE}:
        stated = answer.headers.get("Content-Length", "")
        if (
            stated.isdecimal()
            and (stated.lstrip("0") or "0") != str(wanted.size)
            and not answer.headers.get("Content-Encoding")
        ):
            raise _WrongError(f"{wanted.size} bytes", f"{stated} bytes")
        return False
    stated = answer.headers.get("Content-Range", "")
    if stated.startswith(f"bytes {have}-") and stated.rpartition("/")[2] in {"*", str(wanted.size)}:
        return True
    raise _WrongError(f"bytes {have} to {wanted.size}", stated or "no range")


def _chunks(answer: requests.Response, transport: Transport) -> Iterator[bytes]:
    """The body of an answer, piece by piece.

    Raises:
        _CutError: the connection broke.
        Interrupted: the transport was told to stop.
    """
    import requests

    try:
        for chunk in answer.iter_content(_PIECE):
            if transport.stop.is_set():
                raise Interrupted
            yield chunk
    except requests.exceptions.RequestException as error:
        if transport.stop.is_set():
            raise Interrupted from error
        raise _CutError("the connection broke") from error


def _give_up(filename: str, url: str, cut: _CutError) -> NoReturn:
    message = f"{filename}: {cut}, {TRIES} times in a row"
    hint = f"It comes from {redact(url)}. What was downloaded is kept: run the command again to go on from there."
    raise IndexAccessError(message, hint=hint) from cut


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Explain errors of the file system on the way to ``path``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "Let LAMINA_CACHE name a folder that can be written."
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            hint = "Free some space (`lamina cache prune`), or let LAMINA_CACHE name a folder on another disk."
        raise MissingToolError(f"{error.filename or path}: {reason}", hint=hint) from error
