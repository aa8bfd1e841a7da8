"""What ``docker save``, engines and skopeo's docker-archive write: a configuration, and layers by name.

Layers are known by their diff IDs, the digests of their tars before compression. Source:
https://github.com/moby/docker-image-spec, "Combined Image JSON".
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lamina.errors import IntegrityError
from lamina.oci.blobs import Blob, content, decoded
from lamina.oci.decode import MOST_LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina.oci.blobs import Blobs

_CHUNK = 1024 * 1024
_GZIP = b"\x1f\x8b"


class Saved(msgspec.Struct, rename="pascal"):
    """One image of ``manifest.json``: the names of its configuration and of its layers, from the lowest up."""

    layers: tuple[str, ...]
    config: str = ""


class SavedLayer(NamedTuple):
    """A layer: its name in the archive, its diff ID as the configuration has it, and its content."""

    name: str
    diff_id: str
    blob: Blob

    def tar(self) -> Iterator[bytes]:
        """Its tar in pieces; some tools put it there as gzip, such as engines that store images as registries do.

        Raises:
            IntegrityError: it does not inflate.
        """
        first = next(self.blob._replace(size=min(2, self.blob.size)).pieces(), b"")
        if first != _GZIP:
            yield from self.blob.pieces()
            return
        inflater = zlib.decompressobj(wbits=31)
        try:
            for piece in self.blob.pieces():
                rest = piece
                while rest and not inflater.eof:
                    yield inflater.decompress(rest, _CHUNK)
                    rest = inflater.unconsumed_tail
            yield inflater.flush()
        except zlib.error as error:
            raise IntegrityError(f"has a layer whose gzip is damaged: {error}") from error


class SavedImage(NamedTuple):
    """An image of an archive: its configuration, and its layers from the lowest up."""

    config: Blob
    layers: tuple[SavedLayer, ...]


class _RootFs(msgspec.Struct):
    diff_ids: list[str] = []


class _Config(msgspec.Struct):
    rootfs: _RootFs | None = None


def listed(blobs: Blobs) -> list[Saved]:
    """The images that an archive holds.

    Raises:
        IntegrityError: it does not say.
    """
    return decoded(blobs.find("manifest.json"), list[Saved], "manifest.json")


def found(blobs: Blobs, saved: Saved) -> SavedImage:
    """An image of the archive, its layers as its configuration knows them.

    Raises:
        IntegrityError: something of it is not there, or configuration and layers contradict each other.
    """
    config = blobs.find(saved.config)
    if config is None:
        raise IntegrityError(f"lacks its configuration {saved.config[:100]!r}")
    known, names = diff_ids(content(config, "its configuration")), saved.layers
    if len(names) > MOST_LAYERS:
        raise IntegrityError(f"has {len(names):,} layers; lamina reads at most {MOST_LAYERS}")
    if len(known) != len(names):
        raise IntegrityError(f"has {len(names)} layers, of which its configuration knows {len(known)}")
    layers = []
    for name, diff_id in zip(names, known, strict=True):
        blob = blobs.find(name)
        if blob is None:
            raise IntegrityError(f"lacks its layer {name[:100]!r}")
        layers.append(SavedLayer(name, diff_id, blob))
    return SavedImage(config, tuple(layers))


def diff_ids(config: bytes) -> list[str]:
    """The diff IDs that a configuration states.

    Raises:
        IntegrityError: it is none.
    """
    try:
        rootfs = msgspec.json.decode(config, type=_Config).rootfs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"its configuration cannot be read: {error}") from error
    return rootfs.diff_ids if rootfs else []
