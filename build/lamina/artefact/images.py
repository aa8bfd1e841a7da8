"""Image archives: an OCI layout (image-spec, "Image Layout") as a tar or a folder, and what ``docker save`` writes.

Every blob is held against its digest before it is believed; :mod:`lamina.oci.blobs` finds them.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import msgspec

from lamina.artefact.gathered import Gathered
from lamina.artefact.rootfs import Tree, apply
from lamina.errors import IntegrityError, UsageError
from lamina.oci.blobs import Blobs, FolderBlobs, TarBlobs, checked, decoded
from lamina.oci.decode import MOST_LAYERS, MOST_NESTED
from lamina.oci.saved import found, listed
from lamina.runtimes import image_architecture

_CHOOSE = "Save the image for one platform: docker save --platform linux/amd64, or skopeo copy --override-arch amd64."


class _Platform(msgspec.Struct):
    architecture: str = ""
    os: str = ""


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    size: int = -1
    media_type: str = ""
    platform: _Platform | None = None


class _Index(msgspec.Struct):
    manifests: list[_Descriptor]


class _Manifest(msgspec.Struct):
    layers: list[_Descriptor]
    config: _Descriptor | None = None


def read_image(path: Path, name: str, *, architecture: str | None, sources: bool) -> Gathered:
    """Read the image archive or layout at ``path``, which the user calls ``name``.

    ``architecture`` is that of wheels (``x86_64``, ``aarch64``) and picks one image of several.

    Raises:
        UsageError: there are several, and not one for that architecture.
    """
    gathered = Gathered(name)
    files: list[IO[bytes]] = []
    try:
        if path.is_dir():
            blobs: Blobs = FolderBlobs(path, files)
        else:
            files.append(path.open("rb"))
            blobs = TarBlobs(files[0])
        _read(blobs, gathered, architecture, sources=sources)
    except IntegrityError as error:
        gathered.damaged(name, error.message, error.hint or "Save the image again, or fetch it again.")
    except OSError as error:
        gathered.damaged(name, f"cannot be read: {error.strerror}")
    finally:
        for file in files:
            file.close()
    return gathered


def is_layout(path: Path) -> bool:
    """Whether a folder is an OCI layout."""
    return (path / "oci-layout").is_file() and (path / "index.json").is_file()


def _read(blobs: Blobs, gathered: Gathered, architecture: str | None, *, sources: bool) -> None:
    tree = Tree()
    try:
        if blobs.find("index.json") is not None:
            layers = _oci_layers(blobs, gathered.name, architecture)
            _apply_oci(blobs, layers, tree, gathered, sources=sources)
        elif blobs.find("manifest.json") is not None:
            _apply_saved(blobs, tree, gathered, sources=sources)
        else:
            raise IntegrityError(
                "is a tar without index.json or manifest.json: no image archive",
                hint="Make one with docker save, or skopeo copy … oci-archive:image.tar. Of other tars, name the "
                "folder that they unpack to.",
            )
    finally:
        tree.pour(gathered)


def _apply_oci(blobs: Blobs, layers: list[_Descriptor], tree: Tree, gathered: Gathered, *, sources: bool) -> None:
    for number, layer in enumerate(layers, 1):
        blob = checked(blobs, layer.digest, layer.size)
        apply(blob.pieces(), tree, gathered, f"layer {number} ({layer.digest[:19]})", sources=sources)


def _oci_layers(blobs: Blobs, name: str, architecture: str | None) -> list[_Descriptor]:
    index = decoded(blobs.find("index.json"), _Index, "index.json")
    for _ in range(MOST_NESTED):
        descriptor = _choose(index.manifests, name, architecture)
        blob = checked(blobs, descriptor.digest, descriptor.size)
        if "index" not in descriptor.media_type and "manifest.list" not in descriptor.media_type:
            manifest = decoded(blob, _Manifest, descriptor.digest)
            if len(manifest.layers) > MOST_LAYERS:
                raise IntegrityError(f"has {len(manifest.layers):,} layers; lamina reads at most {MOST_LAYERS}")
            return manifest.layers
        index = decoded(blob, _Index, descriptor.digest)
    raise IntegrityError("has an index that leads to indexes only")


def _choose(manifests: list[_Descriptor], name: str, architecture: str | None) -> _Descriptor:
    """The one image for Linux on the architecture; of a single one, whatever it says: its bytes are judged.

    Attestations, which have the platform unknown/unknown, are none.
    """
    images = [entry for entry in manifests if entry.platform is None or entry.platform.os in {"", "linux"}]
    if len(images) == 1:
        return images[0]
    wanted = image_architecture(architecture or "")
    fits = [entry for entry in images if entry.platform is not None and entry.platform.architecture == wanted]
    if len(fits) == 1:
        return fits[0]
    if not images:
        raise IntegrityError("has no image for Linux")
    held = ", ".join(sorted({entry.platform.architecture for entry in images if entry.platform})) or "unnamed"
    which = f"not one of them is for {wanted}" if wanted and not fits else "which one is meant is not clear"
    raise UsageError(f"{name}: has {len(images)} images for Linux ({held}), and {which}", hint=_CHOOSE)


def _apply_saved(blobs: Blobs, tree: Tree, gathered: Gathered, *, sources: bool) -> None:
    """What ``docker save`` and skopeo's docker-archive write: layers by name, held against the configuration."""
    saved = listed(blobs)
    if len(saved) != 1:
        raise IntegrityError(
            f"has {len(saved)} images; lamina judges one", hint="Save one image: docker save NAME:TAG."
        )
    for number, layer in enumerate(found(blobs, saved[0]).layers, 1):
        where = f"layer {number} ({layer.name[:19]})"
        digest = apply(layer.blob.pieces(), tree, gathered, where, sources=sources)
        if digest != layer.diff_id:
            gathered.damaged(
                gathered.name, f"layer {number} is not the one of the configuration: {digest}, not {layer.diff_id[:80]}"
            )
