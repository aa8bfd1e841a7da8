"""A base that a running engine has, as an image: exported once, its layers compressed once, both remembered.

What an engine exports has lost the registry's compression: the diff IDs are the same, the blobs are our own.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from lamina.engine.connect import connect
from lamina.errors import IntegrityError
from lamina.oci import store as kept
from lamina.oci.blobs import TarBlobs, content
from lamina.oci.model import DIGEST, OCI_CONFIG, OCI_MANIFEST, Descriptor, Layer, Manifest
from lamina.oci.recompress import recompressed
from lamina.oci.saved import SavedImage, diff_ids, found, listed
from lamina.progress import Progress
from lamina.store import Store

if TYPE_CHECKING:
    from lamina.engine.engine import Engine
    from lamina.target import Target

_AGAIN = (
    "Export it by hand to see what is wrong with it: docker save NAME:TAG -o base.tar, then docker-archive:base.tar."
)


class EngineImage:
    """An image whose configuration and layers are in the store."""

    def __init__(self, name: str, config: bytes, layers: list[Layer]) -> None:
        self.name, self._config = name, config
        self._layers = {layer.descriptor.digest: layer for layer in layers}
        described = Descriptor(OCI_CONFIG, f"sha256:{hashlib.sha256(config).hexdigest()}", len(config))
        self.manifest = Manifest(described, tuple(layer.descriptor for layer in layers), OCI_MANIFEST)
        content = msgspec.json.encode(self.manifest, order="sorted")
        self.digest = f"sha256:{hashlib.sha256(content).hexdigest()}"

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob in pieces, held against its digest."""
        if descriptor == self.manifest.config:
            yield self._config
            return
        path = self._layers[descriptor.digest].path
        yield from kept.pieces(path, descriptor.digest, f"{self.name}: {descriptor.digest[:19]}")


def engine_image(name: str, target: Target, *, store: Store, env: Mapping[str, str], progress: Progress) -> EngineImage:
    """The image that the running engine knows as ``name``.

    Raises:
        IntegrityError: what the engine exports contradicts itself.
        MissingToolError: no engine answers, or it does not have the image.
        UsageError: the image is for another architecture.
    """
    with contextlib.closing(connect(env)) as engine, contextlib.ExitStack() as until:
        image = engine.image(name, target, offline=True)
        archive = _Archive(engine, image.id, name, store, progress, until)
        try:
            config = _config(archive, image.id, store)
            layers = [
                recompressed(diff_id, partial(archive.layer, diff_id), store, progress=progress)
                for diff_id in diff_ids(config)
            ]
        except IntegrityError as error:
            raise IntegrityError(f"{name}, as the engine exports it: {error.message}", hint=_AGAIN) from error
    return EngineImage(f"docker-daemon:{name}", config, layers)


class _Archive:
    """What the engine exports; it is asked for once, and only where something of it is not remembered."""

    def __init__(
        self, engine: Engine, image: str, name: str, store: Store, progress: Progress, until: contextlib.ExitStack
    ) -> None:
        self._engine, self._id, self.name = engine, image, name
        self._store, self._progress, self._until = store, progress, until
        self._saved: SavedImage | None = None

    def config(self) -> bytes:
        """The image's configuration."""
        return content(self._image().config, "its configuration")

    def layer(self, diff_id: str) -> Iterator[bytes]:
        """The tar of one of its layers, in pieces."""
        layer = next((layer for layer in self._image().layers if layer.diff_id == diff_id), None)
        if layer is None:
            raise IntegrityError(f"lacks its layer {diff_id}")
        return layer.tar()

    def _image(self) -> SavedImage:
        if self._saved is None:
            blobs = TarBlobs(self._export())
            saved = listed(blobs)
            if len(saved) != 1:
                raise IntegrityError(f"has {len(saved)} images, and one was asked for")
            self._saved = found(blobs, saved[0])
        return self._saved

    def _export(self) -> IO[bytes]:
        self._progress.stage(f"exporting {self.name} from the engine")
        path = self._until.enter_context(self._store.workplace()) / "image.tar"
        with path.open("wb") as out:
            for piece in self._engine.save(self._id):
                out.write(piece)
        return self._until.enter_context(Path(path).open("rb"))


def _config(archive: _Archive, image: str, store: Store) -> bytes:
    """The configuration, whose digest is the image's id in most engines; remembered under it."""
    path = store.path("plans", hashlib.sha256(f"engine {image}".encode()).hexdigest(), ".config")
    known = store.load(path)
    if known is not None:
        store.touch([path])
        return known
    config = archive.config()
    if DIGEST.fullmatch(image):
        store.save(path, config)
    return config
