"""Images as values: descriptors, manifests and configurations, in the form of OCI and of Docker.

Sources: OCI image-spec 1.1 (descriptor, manifest, config); Docker's "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What names a blob: its media type, its digest (``sha256:…``), its size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = {}
    platform: Mapping[str, Any] | None = None


class Manifest(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One image: its configuration, and its layers from the lowest up."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = ""
    schema_version: int = 2
    annotations: Mapping[str, str] = {}


class Image(Protocol):
    """An image that lies somewhere, for one architecture."""

    @property
    def name(self) -> str:
        """Where it is from, as messages show it."""

    @property
    def digest(self) -> str:
        """The digest of its manifest (``sha256:…``), as its place states it."""

    @property
    def manifest(self) -> Manifest:
        """Its manifest, held against the digest."""

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob in pieces, whose size and digest were held against the descriptor by the time the last one came.

        Raises:
            IndexAccessError: a registry does not give it.
            IntegrityError: it is not there, or not what the descriptor says.
        """


class Layer(NamedTuple):
    """A layer that was made here: the digest of its tar before compression, and the file that holds it as gzip."""

    descriptor: Descriptor
    diff_id: str
    path: Path
