"""Layers that come without compression, as engines and ``docker save`` export them, made what images hold: gzip.

An export loses the registry's compression, and with it the digests of the blobs; the digests of the tars, the diff
IDs, stay equal (OCI image-spec, "Layer DiffID"). Lambda refuses uncompressed layers under a Docker manifest.
"""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING

import msgspec

from lamina.errors import IntegrityError
from lamina.oci.model import DIGEST, OCI_LAYER, Descriptor, Layer
from lamina.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lamina.progress import Progress
    from lamina.store import Store

_LEVEL = 6
#: Lambda's limit on an image: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
_MOST_BYTES = 10 * 1024**3
_AGAIN = "Save the image again, or fetch it again."


class _Made(msgspec.Struct, frozen=True):
    """What is remembered of a compressed layer."""

    digest: str
    size: int


def recompressed(
    diff_id: str,
    pieces: Callable[[], Iterable[bytes]],
    store: Store,
    *,
    media_type: str = OCI_LAYER,
    progress: Progress = SILENT,
) -> Layer:
    """The layer whose tar has the digest ``diff_id``, as one gzip member of libdeflate, made once and stored.

    ``pieces`` gives the tar, and is called only where the layer was not made before. The same tar gives the same bytes
    for one version of libdeflate.

    Raises:
        IntegrityError: the tar is not the one of that digest, or is beyond every limit.
    """
    import deflate

    if DIGEST.fullmatch(diff_id) is None:
        raise IntegrityError(f"names a layer by {diff_id[:80]!r}, which is no SHA-256 digest", hint=_AGAIN)
    key = hashlib.sha256(f"{diff_id} {deflate.__version__} {_LEVEL}".encode()).hexdigest()
    path, memo = store.path("blobs", key, ".tar.gz"), store.path("blobs", key, ".made")
    made = _remembered(store, path, memo)
    if made is None:
        with store.exclusive(key):
            made = _remembered(store, path, memo) or _make(diff_id, pieces(), store, path, progress)
            store.save(memo, msgspec.json.encode(made))
    store.touch([path, memo])
    return Layer(Descriptor(media_type, made.digest, made.size), diff_id, path)


def _remembered(store: Store, path: Path, memo: Path) -> _Made | None:
    """What was made before, where it still stands."""
    content = store.load(memo)
    try:
        made = msgspec.json.decode(content, type=_Made) if content is not None else None
        return made if made is not None and path.stat().st_size == made.size else None
    except (OSError, msgspec.DecodeError):
        return None


def _make(diff_id: str, pieces: Iterable[bytes], store: Store, path: Path, progress: Progress) -> _Made:
    import mmap
    import tempfile

    import deflate

    with store.create(path) as beside:
        with tempfile.TemporaryFile(dir=beside.parent) as tar:
            size = _spooled(diff_id, pieces, tar, progress)
            # Mapped, since libdeflate takes a whole: so the pages are the file's, and not memory of this process.
            with mmap.mmap(tar.fileno(), size, access=mmap.ACCESS_READ) as content:
                compressed = deflate.gzip_compress(content, _LEVEL)
        beside.write_bytes(compressed)
    return _Made(f"sha256:{hashlib.sha256(compressed).hexdigest()}", len(compressed))


def _spooled(diff_id: str, pieces: Iterable[bytes], tar: IO[bytes], progress: Progress) -> int:
    """Write the tar to a file and hold it against its digest; its size in bytes."""
    digest, size = hashlib.sha256(), 0
    with progress.task(f"layer {diff_id[7:19]}") as task:
        for piece in pieces:
            size += len(piece)
            if size > _MOST_BYTES:
                raise IntegrityError(f"the layer {diff_id} has more than {_MOST_BYTES:,} bytes", hint=_AGAIN)
            digest.update(piece)
            tar.write(piece)
            task.advance(len(piece))
    tar.flush()
    found = f"sha256:{digest.hexdigest()}"
    if found != diff_id or not size:
        raise IntegrityError(f"the layer {diff_id} is not what it should be: {size:,} bytes with {found}", hint=_AGAIN)
    return size
