"""What is kept of registries: blobs and manifests by digest, and what each tag last was, for ``--offline``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lamina.errors import IntegrityError
from lamina.oci.blobs import MOST_JSON_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lamina.oci.references import Reference
    from lamina.store import Store

_CHUNK = 1024 * 1024
_DIGEST_CHARACTERS = 71


def blob_path(store: Store, digest: str) -> Path:
    """Where a blob stands; ``digest`` was checked to be ``sha256:…``."""
    return store.path("blobs", digest.removeprefix("sha256:"))


def manifest(store: Store, digest: str) -> bytes | None:
    """A manifest or index that is kept; one that is damaged is none."""
    try:
        with blob_path(store, digest).open("rb") as file:
            content = file.read(MOST_JSON_BYTES + 1)  # an index can name any blob that is there: a layer of gigabytes
    except OSError:
        return None
    return content if digest_of(content) == digest else None


def keep(store: Store, digest: str, content: bytes) -> None:
    """Keep a manifest or index."""
    with store.create(blob_path(store, digest)) as beside:
        beside.write_bytes(content)


def remember(store: Store, reference: Reference, digest: str) -> None:
    """Note what a tag is now."""
    store.save(_tag(store, reference), digest.encode())


def remembered(store: Store, reference: Reference) -> str | None:
    """What a tag was when it was last asked for."""
    content = store.load(_tag(store, reference))
    return content.decode() if content is not None and len(content) == _DIGEST_CHARACTERS else None


def pieces(path: Path, digest: str, what: str) -> Iterator[bytes]:
    """A file of the store in pieces, held against its digest; one that is damaged is removed.

    Raises:
        IntegrityError: it is not what its name says.
    """
    found = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_CHUNK):
                found.update(piece)
                yield piece
    except OSError as error:
        message = f"{what}: cannot be read in the store, at {path}: {error.strerror}"
        raise IntegrityError(message, hint="Run the command again.") from error
    if found.hexdigest() != digest.removeprefix("sha256:"):
        path.unlink(missing_ok=True)
        raise IntegrityError(f"{what}: was damaged in the store, at {path}", hint="Run the command again.")


def digest_of(content: bytes) -> str:
    """``sha256:…`` of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tag(store: Store, reference: Reference) -> Path:
    name = f"{reference.registry}/{reference.repository}:{reference.version}"
    return store.path("pages", hashlib.sha256(f"tag of an image\n{name}".encode()).hexdigest(), ".tag")
