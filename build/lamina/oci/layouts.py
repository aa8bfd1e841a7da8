"""Images that lie on disk: an OCI layout, as a folder or as an archive, and what ``docker save`` writes.

Source: OCI image-spec 1.1, "Image Layout"; :mod:`lamina.oci.saved` knows the other.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import msgspec

from lamina.errors import IntegrityError, UsageError
from lamina.oci.blobs import Blob, Blobs, FolderBlobs, TarBlobs, checked, content
from lamina.oci.decode import MOST_NESTED, check_architecture, choose, document
from lamina.oci.model import DOCKER_LAYER, DOCKER_MANIFEST, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, Manifest
from lamina.oci.recompress import recompressed
from lamina.oci.saved import found, listed
from lamina.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lamina.progress import Progress
    from lamina.store import Store

#: Layers that are tars without compression: Lambda wants them as gzip.
_PLAIN = {"application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"}
_AGAIN = "Save the image again, or fetch it again."


class _Stretch(NamedTuple):
    """Where a blob lies."""

    path: Path
    offset: int
    size: int


class LayoutImage:
    """An image on disk, for one architecture; no file stays open between two blobs."""

    def __init__(self, name: str, digest: str, manifest: Manifest, places: dict[str, _Stretch]) -> None:
        #: The path, as the user names it.
        self.name: Final = name
        #: The digest of its manifest as the layout states it; of a docker-archive, which has none, the image's id.
        self.digest: Final = digest
        #: Layers that lie there without compression stand in it as the gzip blobs that they became.
        self.manifest: Final = manifest
        self._places = places

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob in pieces, held against its digest by the time the last one came.

        Raises:
            IntegrityError: it is not there, or not what the descriptor says.
        """
        place = self._places.get(descriptor.digest)
        if place is None:
            raise IntegrityError(f"{self.name}: lacks the blob {descriptor.digest}", hint=_AGAIN)
        found, size = hashlib.sha256(), 0
        try:
            with place.path.open("rb") as file:
                for piece in Blob(file, place.offset, place.size).pieces():
                    found.update(piece)
                    size += len(piece)
                    yield piece
        except OSError as error:
            raise IntegrityError(f"{self.name}: cannot be read: {error.strerror}", hint=_AGAIN) from error
        if f"sha256:{found.hexdigest()}" != descriptor.digest or size != descriptor.size:
            raise IntegrityError(f"{self.name}: the blob {descriptor.digest} is not what it should be", hint=_AGAIN)


def open_layout(
    path: Path, architecture: str, store: Store, *, name: str = "", progress: Progress = SILENT
) -> LayoutImage:
    """The image at ``path`` (layout, OCI archive or docker-archive, whichever it is), which the user calls ``name``.

    ``architecture`` is that of wheels (``x86_64``, ``aarch64``). Layers without compression are made gzip, once, and
    kept in the store.

    Raises:
        UsageError: there is nothing at the path, or it holds no image for the architecture, or several.
        IntegrityError: what is there is damaged, or no image.
    """
    shown = name or str(path)
    files: list[IO[bytes]] = []
    try:
        if path.is_dir():
            blobs: Blobs = FolderBlobs(path, files)
        else:
            files.append(path.open("rb"))
            blobs = TarBlobs(files[0])
        image = _Reader(blobs, shown, architecture, store, progress).read()
        check_architecture(image, architecture)
    except IntegrityError as error:
        message = error.message if error.message.startswith(shown) else f"{shown}: {error.message}"
        raise IntegrityError(message, hint=error.hint or _AGAIN) from error
    except FileNotFoundError as error:
        whole = path.name.rpartition(":")[0]
        tagged = bool(whole) and path.with_name(whole).exists()
        hint = f"Leave the tag away: {shown.rpartition(':')[0]}" if tagged else "Check the path of the image."
        raise UsageError(f"{shown}: there is no such file or folder", hint=hint) from error
    except OSError as error:
        raise IntegrityError(f"{shown}: cannot be read: {error.strerror}", hint=_AGAIN) from error
    finally:
        for file in files:
            file.close()
    return image


class _Reader:
    """The way from the files of a layout to an image."""

    def __init__(self, blobs: Blobs, name: str, architecture: str, store: Store, progress: Progress) -> None:
        self._blobs = blobs
        self._name = name
        self._architecture = architecture
        self._store = store
        self._progress = progress
        self._places: dict[str, _Stretch] = {}

    def read(self) -> LayoutImage:
        """The image, in whichever form it is there."""
        index = self._blobs.find("index.json")
        if index is not None:
            return self._layout(content(index, "index.json"))
        if isinstance(self._blobs, TarBlobs) and self._blobs.find("manifest.json") is not None:
            return self._saved()
        hint = "Make one with docker save, or skopeo copy … oci-archive:image.tar."
        raise IntegrityError("has no index.json or manifest.json: no image", hint=hint)

    def _layout(self, stated: bytes) -> LayoutImage:
        digest, kind = "", ""
        for _ in range(MOST_NESTED):
            named = document(stated, kind)
            if isinstance(named, Manifest):
                if not digest:
                    break
                return self._image(digest, named)
            entry = choose(named, self._architecture, self._name, several=bool(digest))
            digest, kind = entry.digest, entry.media_type
            stated = content(checked(self._blobs, digest, entry.size), digest)
        raise IntegrityError("has an index that leads to no image")

    def _image(self, digest: str, manifest: Manifest) -> LayoutImage:
        """The image of a manifest; what lies there without compression is compressed."""
        self._add(manifest.config)
        gzipped = DOCKER_LAYER if manifest.media_type == DOCKER_MANIFEST else OCI_LAYER
        layers = []
        for layer in manifest.layers:
            if layer.media_type in _PLAIN:
                blob = self._found(layer)
                layers.append(self._compressed(layer.digest, blob.pieces, gzipped))
            else:
                self._add(layer)
                layers.append(layer)
        changed = msgspec.structs.replace(manifest, layers=tuple(layers))
        return LayoutImage(self._name, digest, changed, self._places)

    def _saved(self) -> LayoutImage:
        """What ``docker save`` and skopeo's docker-archive write."""
        saved = listed(self._blobs)
        if len(saved) != 1:
            hint = "Save one image: docker save NAME:TAG."
            raise UsageError(f"{self._name}: has {len(saved)} images, and which one is meant is not clear", hint=hint)
        image = found(self._blobs, saved[0])
        raw = content(image.config, "its configuration")
        config = Descriptor(OCI_CONFIG, f"sha256:{hashlib.sha256(raw).hexdigest()}", len(raw))
        self._places[config.digest] = _Stretch(Path(image.config.file.name), image.config.offset, image.config.size)
        layers = tuple(self._compressed(layer.diff_id, layer.tar, OCI_LAYER) for layer in image.layers)
        return LayoutImage(self._name, config.digest, Manifest(config, layers, media_type=OCI_MANIFEST), self._places)

    def _compressed(self, diff_id: str, pieces: Callable[[], Iterator[bytes]], media_type: str) -> Descriptor:
        layer = recompressed(diff_id, pieces, self._store, media_type=media_type, progress=self._progress)
        self._places[layer.descriptor.digest] = _Stretch(layer.path, 0, layer.descriptor.size)
        return layer.descriptor

    def _found(self, descriptor: Descriptor) -> Blob:
        """The blob of a descriptor, by its size; its digest is held against it when it is read."""
        blob = self._blobs.find(f"blobs/sha256/{descriptor.digest.removeprefix('sha256:')}")
        if blob is None:
            raise IntegrityError(f"lacks the blob {descriptor.digest}")
        if blob.size != descriptor.size:
            raise IntegrityError(f"the blob {descriptor.digest} has {blob.size:,} bytes, not {descriptor.size:,}")
        return blob

    def _add(self, descriptor: Descriptor) -> None:
        blob = self._found(descriptor)
        self._places[descriptor.digest] = _Stretch(Path(blob.file.name), blob.offset, blob.size)
