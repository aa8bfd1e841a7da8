"""What stands in the archives, and what their manifests say."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina import tarformat as tars
from lamina.errors import IntegrityError
from lamina.image.archive import compose, docker_files, oci_files
from lamina.oci.model import DOCKER_LAYER, OCI_LAYER, Descriptor, Layer, Manifest

BASE_LAYER, OUR_LAYER, CONFIG = b"base layer", b"our layer", b'{"os":"linux"}'
TEXTS = {"org.opencontainers.image.title": "x"}


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Base:
    name = "base:1"
    digest = "sha256:" + "0" * 64

    def __init__(self, media_type: str = DOCKER_LAYER) -> None:
        layer = Descriptor(media_type, digest(BASE_LAYER), len(BASE_LAYER))
        self.manifest = Manifest(Descriptor("", digest(b"{}"), 2), (layer,))

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        assert descriptor == self.manifest.layers[0]
        yield BASE_LAYER[:4]
        yield BASE_LAYER[4:]


@pytest.fixture
def ours(tmp_path: Path) -> Layer:
    path = tmp_path / "layer.tar.gz"
    path.write_bytes(OUR_LAYER)
    return Layer(Descriptor(OCI_LAYER, digest(OUR_LAYER), len(OUR_LAYER)), "sha256:2", path)


def unpacked(files: list[tars.File]) -> dict[str, bytes]:
    out = io.BytesIO()
    tars.write(files, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}  # type: ignore[union-attr]


def test_an_oci_layout_holds_one_image_whose_blobs_have_their_digests(ours: Layer) -> None:
    image = compose(Base(), [ours], CONFIG, TEXTS, docker=False)
    files = unpacked(oci_files(image))
    blobs = {name: content for name, content in files.items() if name.startswith("blobs/")}
    assert all(name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}" for name, content in blobs.items())
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads(files["index.json"]) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": image.digest,
                "size": len(image.manifest),
            }
        ],
    }
    assert set(files) - set(blobs) == {"oci-layout", "index.json"}
    assert json.loads(blobs[f"blobs/sha256/{image.digest[7:]}"]) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(CONFIG),
            "size": len(CONFIG),
        },
        "layers": [
            {"mediaType": OCI_LAYER, "digest": digest(BASE_LAYER), "size": len(BASE_LAYER)},
            {"mediaType": OCI_LAYER, "digest": digest(OUR_LAYER), "size": len(OUR_LAYER)},
        ],
        "annotations": TEXTS,
    }


def test_dockers_archive_names_configuration_layers_and_tag(ours: Layer) -> None:
    image = compose(Base(), [ours], CONFIG, TEXTS, docker=True)
    files = unpacked(docker_files(image, "x:cp311"))
    names = [f"blobs/sha256/{digest(content)[7:]}" for content in (CONFIG, BASE_LAYER, OUR_LAYER)]
    assert json.loads(files["manifest.json"]) == [{"Config": names[0], "RepoTags": ["x:cp311"], "Layers": names[1:]}]
    assert set(files) == {*names, "manifest.json"}
    manifest = json.loads(image.manifest)
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert [layer["mediaType"] for layer in manifest["layers"]] == [DOCKER_LAYER, DOCKER_LAYER]
    assert "annotations" not in manifest


@pytest.mark.parametrize(
    ("media_type", "told"),
    [
        ("application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", None),
        ("", "of no stated type"),
    ],
)
def test_a_base_with_layers_that_are_not_gzip_is_refused(media_type: str, told: str | None) -> None:
    with pytest.raises(IntegrityError) as caught:
        compose(Base(media_type), [], CONFIG, {}, docker=False)
    assert caught.value.message == f"base:1: its layer {digest(BASE_LAYER)} is {told or media_type}, no gzip layer"
    assert caught.value.hint == (
        "Copy it with gzip layers first: skopeo copy --dest-compress-format gzip FROM oci:FOLDER."
    )


def test_a_damaged_layer_of_the_store_is_noticed(ours: Layer) -> None:
    ours.path.write_bytes(b"our laver")
    image = compose(Base(), [ours], CONFIG, {}, docker=False)
    with pytest.raises(IntegrityError) as caught:
        unpacked(oci_files(image))
    assert caught.value.message == f"layer {digest(OUR_LAYER)[:19]}: was damaged in the store, at {ours.path}"
    assert not ours.path.exists()
