"""Manifests and indexes as registries and layouts state them, decoded with distrust.

Source: OCI image-spec 1.1 (manifest, image index), Docker's "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lamina.errors import IntegrityError, UsageError
from lamina.oci.blobs import MOST_JSON_BYTES
from lamina.oci.model import (
    DIGEST,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
)
from lamina.runtimes import image_architecture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina.oci.model import Image

MOST_LAYERS = 500
#: An index may name an index: so deep.
MOST_NESTED = 3
#: Lambda's limit on an image.
_MOST_LAYER_BYTES = 10 * 1024**3
_AGAIN = "Check the name of the image; push or save it again."
_CHOOSE = "Name an image for that platform, or the one by its digest: NAME@sha256:…"


class _Any(msgspec.Struct, rename="camel"):
    """What tells a manifest from an index."""

    media_type: str = ""
    schema_version: int = 0
    manifests: list[Descriptor] | None = None
    layers: list[Descriptor] | None = None
    config: Descriptor | None = None
    annotations: dict[str, str] | None = None


def document(content: bytes, stated: str = "") -> Manifest | tuple[Descriptor, ...]:
    """A manifest, or what an index names; ``stated`` is the media type that came with it.

    A document that could be read as both is refused (GHSA-xmmx-7jpf-fx42).

    Raises:
        IntegrityError: it is neither, or states what cannot be.
    """
    if len(content) > MOST_JSON_BYTES:
        raise IntegrityError(f"its manifest has more than {MOST_JSON_BYTES:,} bytes", hint=_AGAIN)
    try:
        found = msgspec.json.decode(content, type=_Any)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"its manifest cannot be read: {error}", hint=_AGAIN) from error
    if found.schema_version != 2:  # noqa: PLR2004
        hint = "Push the image again with a tool of today: schema 1 was given up in 2019."
        raise IntegrityError(f"its manifest is of schema {found.schema_version}; lamina reads 2", hint=hint)
    kinds = {found.media_type, stated.partition(";")[0].strip()} - {"", "application/json"}
    index = found.manifests is not None
    own = {OCI_INDEX, DOCKER_INDEX} if index else {OCI_MANIFEST, DOCKER_MANIFEST}
    if len(kinds) > 1 or (index and (found.layers is not None or found.config is not None)) or kinds - own:
        told = ", ".join(sorted(kind[:100] for kind in kinds)) or "manifest and index in one"
        raise IntegrityError(f"its manifest is not what it says: {told}", hint=_AGAIN)
    if found.manifests is not None:
        if len(found.manifests) > MOST_LAYERS:
            raise IntegrityError(f"its index names more than {MOST_LAYERS} manifests", hint=_AGAIN)
        return tuple(_checked(entry, MOST_JSON_BYTES) for entry in found.manifests)
    if found.config is None or found.layers is None:
        raise IntegrityError("its manifest names no configuration or no layers", hint=_AGAIN)
    if len(found.layers) > MOST_LAYERS:
        raise IntegrityError(f"has {len(found.layers):,} layers; lamina reads at most {MOST_LAYERS}", hint=_AGAIN)
    return Manifest(
        config=_checked(found.config, MOST_JSON_BYTES),
        layers=tuple(_checked(layer, _MOST_LAYER_BYTES) for layer in found.layers),
        media_type=next(iter(kinds), OCI_MANIFEST),
        annotations=found.annotations or {},
    )


def choose(entries: Sequence[Descriptor], architecture: str, name: str, *, several: bool = True) -> Descriptor:
    """The entry of an index for Linux on an architecture, named as wheels do (``x86_64``).

    Attestations, whose platform is unknown/unknown, are no images. Of ``several`` that fit, an index of a registry
    means the first, the variants being in their order (image-spec, "Image Index"); that of a layout lists images.

    Raises:
        UsageError: there is none, or which one is meant is not clear.
    """
    wanted = image_architecture(architecture)
    images = [entry for entry in entries if (entry.platform or {}).get("os", "linux") in ("", "linux")]
    fits = [entry for entry in images if (entry.platform or {}).get("architecture") == wanted]
    unnamed = [entry for entry in images if not (entry.platform or {}).get("architecture")]
    if len({entry.digest for entry in (fits or images)}) > 1 and not several:
        hint = "Copy one of them to a layout of its own: skopeo copy."
        raise UsageError(f"{name}: has {len(fits or images)} images, and which one is meant is not clear", hint=hint)
    if fits:
        return fits[0]
    if len(images) == 1 and (unnamed or not wanted):
        return images[0]
    held = sorted({str((entry.platform or {}).get("architecture", "unnamed"))[:40] for entry in images})
    told = f"has images for linux/{', linux/'.join(held)}" if held else "has no image for Linux"
    raise UsageError(f"{name}: {told}; linux/{wanted} is needed", hint=_CHOOSE)


class _Config(msgspec.Struct):
    architecture: str = ""
    os: str = ""


def check_architecture(image: Image, architecture: str) -> None:
    """Hold an image's configuration against what was asked for: a manifest that no index leads to names no platform.

    Raises:
        UsageError: it is for another platform.
        IntegrityError: its configuration cannot be read.
    """
    try:
        config = msgspec.json.decode(b"".join(image.blob(image.manifest.config)), type=_Config)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"{image.name}: its configuration cannot be read: {error}", hint=_AGAIN) from error
    wanted = image_architecture(architecture)
    found = (config.os or "linux", config.architecture or wanted)
    if found != ("linux", wanted):
        raise UsageError(
            f"{image.name}: is an image for {'/'.join(found)[:80]}; linux/{wanted} is needed", hint=_CHOOSE
        )


def _checked(descriptor: Descriptor, most: int) -> Descriptor:
    if not DIGEST.fullmatch(descriptor.digest):
        raise IntegrityError(f"names a blob by {descriptor.digest[:80]!r}, which is no SHA-256 digest", hint=_AGAIN)
    if not 0 <= descriptor.size <= most:
        raise IntegrityError(
            f"states {descriptor.size:,} bytes for {descriptor.digest}; {most:,} are the most", hint=_AGAIN
        )
    return descriptor
