"""The manifest: what an artefact is, what is in it, what was found and what was proven. A contract."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from lamina.findings import Finding


class Package(msgspec.Struct, frozen=True, omit_defaults=True):
    """One package of the artefact. Bytes are unpacked; what was pruned is told against the wheel.

    ``trimmed_bytes`` is what its native files ship smaller by, ``bytecode_bytes`` what of it is bytecode,
    ``linked_bytes`` what ships as links to identical files; each is left out where that is nothing.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    shipped_bytes: int
    pruned_bytes: int
    trimmed_bytes: int = 0
    bytecode_bytes: int = 0
    linked_bytes: int = 0


class Bytecode(msgspec.Struct, frozen=True):
    """The bytecode of the artefact: the version of the CPython that compiled it, how many modules, how many bytes.

    Another version, were it the next one, can write other bytes.
    """

    compiler: str
    modules: int
    bytes: int


class Proof(msgspec.Struct, frozen=True):
    """One run of the artefact: what kind, where, whether it passed, and what there is to say."""

    kind: str
    where: str
    passed: bool
    detail: str


class ImageLayer(msgspec.Struct, frozen=True):
    """One layer of an image: its blob's digest and size in bytes, the digest of its tar, and what it holds."""

    digest: str
    diff_id: str
    size: int
    what: str


class ImageFacts(msgspec.Struct, frozen=True):
    """What an image is: ``digest`` is its manifest's, ``base`` and ``base_digest`` name what it stands on.

    ``format`` is that of its manifest. ``base`` is empty where it is a file of this machine.
    """

    digest: str
    format: Literal["oci", "docker"]
    base: str
    base_digest: str
    layers: tuple[ImageLayer, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside the artefact. After a failed build ``sha256`` and ``code_sha256`` are null.

    Without bytecode in it there is no ``bytecode``. Only an image has ``image``: with it, ``sha256`` is the archive's,
    and ``code_sha256`` the hexadecimal digest of the image's manifest, since that is what Lambda states of images
    (hashicorp/terraform-provider-aws#36943); ``unzipped_bytes`` is the size of all its layers before compression,
    ``entries`` counts the files that lamina adds.
    """

    name: str
    target: str
    runtime: str
    architecture: str
    sha256: str | None
    code_sha256: str | None
    zipped_bytes: int
    unzipped_bytes: int
    entries: int
    packages: tuple[Package, ...]
    bytecode: Bytecode | msgspec.UnsetType = msgspec.UNSET
    findings: tuple[Finding, ...]
    proofs: tuple[Proof, ...] = ()
    recipe_sha256: str
    lock_sha256: str
    lamina_version: str
    image: ImageFacts | msgspec.UnsetType = msgspec.UNSET


def code_sha256(sha256: str) -> str:
    """A digest as Lambda states it (``CodeSha256``): base64 of the raw SHA-256."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def text_sha256(path: Path) -> str:
    """The digest of a text file with its line ends as LF: a checkout with CRLF is the same text."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def render(manifest: Manifest) -> bytes:
    """The manifest as indented JSON, keys in the order of the contract."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def read(path: Path) -> Manifest | None:
    """The manifest at ``path``, or ``None`` where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return None
