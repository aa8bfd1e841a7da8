"""The files of an image archive, or of a layout that is a folder: found by name, and held against their digests.

Every blob is found by its digest or by the name of an entry in the tar, never opened by a path that the archive states.
Source: OCI image-spec, "Image Layout".
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import msgspec

from lamina.errors import IntegrityError
from lamina.oci.model import DIGEST
from lamina.oci.tars import FILE, LINK, Member, Tar

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1024 * 1024
#: Entries of the archive itself; Docker builds images of at most 127 layers.
_MOST_BLOBS = 10_000
#: Manifests and configurations; registries refuse larger ones (distribution-spec, "Pushing Manifests").
MOST_JSON_BYTES = 4 * 1024**2
_T = TypeVar("_T")


class Blobs(Protocol):
    """Where blobs are found."""

    def find(self, name: str) -> Blob | None:
        """The file of that name in the layout."""


class Blob(NamedTuple):
    """A stretch of a file."""

    file: IO[bytes]
    offset: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes, 1 MiB at a time; fewer than :attr:`size` where the file ends before."""
        at, end = self.offset, self.offset + self.size
        while at < end:
            self.file.seek(at)  # each time: another blob of the file may be read in between
            piece = self.file.read(min(end - at, _CHUNK))
            if not piece:
                return
            at += len(piece)
            yield piece


class TarBlobs:
    """The files of an archive; a second one of a name replaces the first, as for who unpacks it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._members: dict[str, Member] = {}
        file.seek(0, 2)
        length = file.tell()
        file.seek(0)
        for member in Tar(_Skipping(file, length)):
            if len(self._members) >= _MOST_BLOBS:
                raise IntegrityError(f"has more than {_MOST_BLOBS:,} entries")
            self._members[member.name.removeprefix("./")] = member

    def find(self, name: str) -> Blob | None:
        """The entry of that name; where it is a link in the archive, what it leads to."""
        member = self._members.get(name)
        if member is not None and member.type == LINK:  # docker save and skopeo link equal layers: ../<id>/layer.tar
            parts = [part for part in member.link.split("/") if part not in {"", ".", ".."}]
            folder = name.rpartition("/")[0]
            joined = "/".join(parts if member.link.startswith("../") or not folder else [folder, *parts])
            member = self._members.get(joined)
        if member is None or member.type not in FILE:
            return None
        return Blob(self._file, member.offset, member.size)


class _Skipping:
    """The archive as a stream in which data is passed over: blobs are read when they are needed."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file = file
        self._length = length

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)

    def skip(self, size: int, /) -> bool:
        return self._file.seek(size, 1) <= self._length


class FolderBlobs:
    """The files of a layout that is a folder; those it opens are added to ``files``, which the caller closes."""

    def __init__(self, path: Path, files: list[IO[bytes]]) -> None:
        self._path = path
        self._files = files

    def find(self, name: str) -> Blob | None:
        """The file of that name, opened; links are not followed."""
        path = self._path / name
        if path.is_symlink() or not path.is_file():
            return None
        file = path.open("rb")
        self._files.append(file)
        return Blob(file, 0, path.stat().st_size)


def checked(blobs: Blobs, digest: str, size: int = -1) -> Blob:
    """The blob of a digest, held against it, and against its size in bytes where that is stated.

    Raises:
        IntegrityError: it is not there, or not what the digest says.
    """
    match = DIGEST.fullmatch(digest)
    if match is None:
        raise IntegrityError(f"names a blob by {digest[:80]!r}, which is no SHA-256 digest")
    blob = blobs.find(f"blobs/sha256/{match[1]}")
    if blob is None:
        raise IntegrityError(f"lacks the blob {digest}")
    found = hashlib.sha256()
    for piece in blob.pieces():
        found.update(piece)
    if found.hexdigest() != match[1] or size not in {-1, blob.size}:
        raise IntegrityError(
            f"the blob {digest} is not what it should be: {blob.size:,} bytes with SHA-256 {found.hexdigest()}"
        )
    return blob


def content(blob: Blob | None, where: str) -> bytes:
    """All of a small blob, which messages call ``where``.

    Raises:
        IntegrityError: it is not there, or larger than such a document can be.
    """
    if blob is None or blob.size > MOST_JSON_BYTES:
        raise IntegrityError(f"{where} has more than {MOST_JSON_BYTES:,} bytes" if blob else f"lacks {where}")
    return b"".join(blob.pieces())


def decoded(blob: Blob | None, kind: type[_T], where: str) -> _T:
    """A blob of JSON as a value.

    Raises:
        IntegrityError: it is not there, or not such a document.
    """
    try:
        return msgspec.json.decode(content(blob, where), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"{where} cannot be read: {error}") from error
