"""What an image is put together of: blobs with their bytes, wherever these lie, to be written or pushed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lamina.oci import store as kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lamina.oci.model import Descriptor, Image, Layer
    from lamina.oci.references import Reference


class Blob(NamedTuple):
    """A blob: what it is, its bytes anew at each call, held against it, and the image of a registry it is from."""

    descriptor: Descriptor
    pieces: Callable[[], Iterable[bytes]]
    origin: Reference | None = None


def of_layer(layer: Layer) -> Blob:
    """A layer that was made here."""
    digest = layer.descriptor.digest
    return Blob(layer.descriptor, partial(kept.pieces, layer.path, digest, f"layer {digest[:19]}"))


def of_image(image: Image, descriptor: Descriptor) -> Blob:
    """A blob of another image, to be passed through as it is; mounted where that lies in the same registry."""
    return Blob(descriptor, partial(image.blob, descriptor), getattr(image, "reference", None))


def of_bytes(descriptor: Descriptor, content: bytes) -> Blob:
    """A blob in memory, as a configuration is."""
    return Blob(descriptor, lambda: (content,))
