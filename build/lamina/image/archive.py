"""An image as an archive: an OCI layout in a tar, or what ``docker load`` takes. The same bytes from every host.

Sources: OCI image-spec 1.1, "Image Layout"; the layout of ``docker save`` (Docker image specification 1.2, "Combined
Image JSON + Filesystem Changeset Format").
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from lamina import tarformat as tars
from lamina.errors import IntegrityError
from lamina.oci.model import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Image,
    Layer,
    Manifest,
)
from lamina.oci.parts import Blob, of_bytes, of_image, of_layer

#: The types of a gzip layer, which is the only kind that both forms have and that Lambda is known to take.
_GZIP = frozenset({OCI_LAYER, DOCKER_LAYER})


class Composed(NamedTuple):
    """An image that is ready to be written: its manifest as it stands, and the blobs of configuration and layers."""

    manifest: bytes
    media_type: str
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def digest(self) -> str:
        """The digest of the manifest: what the image is called by, wherever it goes."""
        return f"sha256:{hashlib.sha256(self.manifest).hexdigest()}"


def compose(
    base: Image, added: Sequence[Layer], config: bytes, annotations: dict[str, str], *, docker: bool
) -> Composed:
    """Put layers on a base. Its blobs stay as they are; only how the manifest calls their type is the form's.

    Docker's form has no annotations: there, the labels of the configuration say the same.

    Raises:
        IntegrityError: the base has a layer that is not gzip.
    """
    types = (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER) if docker else (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    manifest_type, config_type, layer_type = types
    below = []
    for given in base.manifest.layers:
        if given.media_type not in _GZIP:
            raise IntegrityError(
                f"{base.name}: its layer {given.digest} is {given.media_type or 'of no stated type'}, no gzip layer",
                hint="Copy it with gzip layers first: skopeo copy --dest-compress-format gzip FROM oci:FOLDER.",
            )
        below.append(_typed(of_image(base, given), layer_type))
    ours = [_typed(of_layer(layer), layer_type) for layer in added]
    described = Descriptor(config_type, f"sha256:{hashlib.sha256(config).hexdigest()}", len(config))
    layers = (*below, *ours)
    manifest = Manifest(
        config=described,
        layers=tuple(blob.descriptor for blob in layers),
        media_type=manifest_type,
        annotations={} if docker else annotations,
    )
    return Composed(_json(_stated(manifest)), manifest_type, of_bytes(described, config), layers)


def oci_files(image: Composed) -> list[tars.File]:
    """An OCI layout with one image, and no index beyond the one that names it."""
    described = Descriptor(image.media_type, image.digest, len(image.manifest))
    blobs = [of_bytes(described, image.manifest), image.config, *image.layers]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [described]}
    return [
        *_files(blobs),
        tars.held("index.json", _json(index)),
        tars.held("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
    ]


def docker_files(image: Composed, tag: str) -> list[tars.File]:
    """What ``docker load`` takes, under this tag, with any of its ways to store images."""
    saved = [
        {
            "Config": _path(image.config.descriptor),
            "RepoTags": [tag],
            "Layers": [_path(blob.descriptor) for blob in image.layers],
        }
    ]
    return [*_files([image.config, *image.layers]), tars.held("manifest.json", _json(saved))]


def _files(blobs: Sequence[Blob]) -> list[tars.File]:
    """One file a digest: two layers may be the same."""
    distinct = {_path(blob.descriptor): blob for blob in blobs}
    return [tars.File(path, 0o644, blob.descriptor.size, blob.pieces) for path, blob in distinct.items()]


def _path(descriptor: Descriptor) -> str:
    algorithm, _, encoded = descriptor.digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"


def _typed(blob: Blob, media_type: str) -> Blob:
    """The same blob, called as the form calls it; what annotations it had stay with its own manifest."""
    return blob._replace(descriptor=Descriptor(media_type, blob.descriptor.digest, blob.descriptor.size))


def _stated(manifest: Manifest) -> dict[str, object]:
    """The manifest with its version and type, which readers want stated, defaults or not."""
    plain: dict[str, object] = msgspec.to_builtins(manifest)
    return {"schemaVersion": manifest.schema_version, **plain}


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")
