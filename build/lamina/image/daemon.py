"""A base that a running engine has, as an image: exported once, its layers compressed once, both remembered.

What an engine exports has lost the registry's compression: the diff IDs are the same, the blobs are our own.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from lamina.engine.connect import connect
from lamina.errors import IntegrityError
from lamina.oci.blobs import Blob, TarBlobs
from lamina.oci.model import OCI_CONFIG, OCI_MANIFEST, Descriptor, Layer, Manifest
from lamina.oci.recompress import recompressed
from lamina.progress import Progress
from lamina.store import Store

if TYPE_CHECKING:
    from lamina.engine.engine import Engine
    from lamina.target import Target

_CHUNK = 1024 * 1024
#: Manifests and configurations; registries refuse larger ones.
_MOST_JSON_BYTES = 4 * 1024**2
_AGAIN = (
    "Export it by hand to see what is wrong with it: docker save NAME:TAG -o base.tar, then docker-archive:base.tar."
)
_ID = re.compile(r"sha256:[0-9a-f]{64}")


class _Saved(msgspec.Struct, rename="pascal"):
    """One image of ``manifest.json``."""

    config: str
    layers: tuple[str, ...]


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
        layer = self._layers[descriptor.digest]
        digest = hashlib.sha256()
        with layer.path.open("rb", buffering=0) as file:
            while piece := file.read(_CHUNK):
                digest.update(piece)
                yield piece
        if f"sha256:{digest.hexdigest()}" != descriptor.digest:
            layer.path.unlink(missing_ok=True)
            raise IntegrityError(
                f"{self.name}: the store's copy of its layer {descriptor.digest} was damaged",
                hint="It is removed; run the build again.",
            )


def engine_image(name: str, target: Target, *, store: Store, env: Mapping[str, str], progress: Progress) -> EngineImage:
    """The image that the running engine knows as ``name``.

    Raises:
        IntegrityError: what the engine exports contradicts itself.
        MissingToolError: no engine answers, or it does not have the image.
        UsageError: the image is for another architecture.
    """
    engine = connect(env)
    with contextlib.closing(engine), contextlib.ExitStack() as until:
        found = engine.image(name, target, offline=True)
        archive = _Archive(engine, found.id, name, store, progress, until)
        config = _config(archive, found.id, store)
        diff_ids = _diff_ids(config, name)
        layers = [
            recompressed(diff_id, partial(archive.layer, number, len(diff_ids)), store, progress=progress)
            for number, diff_id in enumerate(diff_ids)
        ]
    return EngineImage(f"docker-daemon:{name}", config, layers)


class _Archive:
    """What the engine exports; it is asked for once, and only where something of it is not remembered."""

    def __init__(
        self, engine: Engine, image: str, name: str, store: Store, progress: Progress, until: contextlib.ExitStack
    ) -> None:
        self._engine, self._image, self.name = engine, image, name
        self._store, self._progress, self._until = store, progress, until
        self._blobs: TarBlobs | None = None

    def config(self) -> bytes:
        """The image's configuration."""
        return self._content(self._saved().config)

    def layer(self, number: int, layers: int) -> Iterator[bytes]:
        """The tar of one of its layers, in pieces."""
        saved = self._saved()
        if len(saved.layers) != layers:
            raise self._wrong(f"has {len(saved.layers)} layers, of which its configuration knows {layers}")
        return _inflated(self._find(saved.layers[number]).pieces(), self._wrong)

    def _saved(self) -> _Saved:
        try:
            [saved] = msgspec.json.decode(self._content("manifest.json"), type=list[_Saved])
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"its manifest.json cannot be read: {error}") from error
        return saved

    def _content(self, name: str) -> bytes:
        blob = self._find(name)
        if blob.size > _MOST_JSON_BYTES:
            raise self._wrong(f"{name} has more than {_MOST_JSON_BYTES:,} bytes")
        return b"".join(blob.pieces())

    def _find(self, name: str) -> Blob:
        if self._blobs is None:
            self._blobs = TarBlobs(self._export())
        blob = self._blobs.find(name)
        if blob is None:
            raise self._wrong(f"lacks {name[:100]!r}")
        return blob

    def _export(self) -> IO[bytes]:
        self._progress.stage(f"exporting {self.name} from the engine")
        path = self._until.enter_context(self._store.workplace()) / "image.tar"
        with path.open("wb") as out:
            for piece in self._engine.save(self._image):
                out.write(piece)
        return self._until.enter_context(Path(path).open("rb"))

    def _wrong(self, what: str) -> IntegrityError:
        return IntegrityError(f"{self.name}: what the engine exports {what}", hint=_AGAIN)


def _inflated(pieces: Iterator[bytes], wrong: Callable[[str], IntegrityError]) -> Iterator[bytes]:
    """A layer's tar: engines that store images as registries do (containerd) export what is compressed as it is."""
    first = next(pieces, b"")
    if not first.startswith(b"\x1f\x8b"):
        yield first
        yield from pieces
        return
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for piece in itertools.chain((first,), pieces):
            pending = piece
            while pending and not inflater.eof:
                yield inflater.decompress(pending, _CHUNK)
                pending = inflater.unconsumed_tail
        yield inflater.flush()
    except zlib.error as error:
        raise wrong(f"has a layer that does not inflate: {error}") from error


def _config(archive: _Archive, image: str, store: Store) -> bytes:
    """The configuration, whose digest is the image's id in most engines; remembered under it."""
    path = store.path("plans", hashlib.sha256(f"engine {image}".encode()).hexdigest(), ".config")
    known = store.load(path)
    if known is not None:
        store.touch([path])
        return known
    config = archive.config()
    if _ID.fullmatch(image):
        store.save(path, config)
    return config


def _diff_ids(config: bytes, name: str) -> list[str]:
    try:
        stated: dict[str, Any] = msgspec.json.decode(config, type=dict[str, Any])
        return msgspec.convert(stated["rootfs"]["diff_ids"], list[str])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{name}: its configuration names no layers: {error}", hint=_AGAIN) from error
