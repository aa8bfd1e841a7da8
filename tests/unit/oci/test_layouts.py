"""Images that lie on disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import IntegrityError, LaminaError, UsageError
from lamina.oci.layouts import LayoutImage, open_layout
from lamina.oci.model import DOCKER_LAYER, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from lamina.store import Store

AGAIN = "Save the image again, or fetch it again."


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def packed(files: dict[str, bytes | str]) -> bytes:
    """A tar; a text is where a link leads to."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


TARS = [packed({"a": b"a" * 9000}), packed({"b": b"b"})]
CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha(tar) for tar in TARS]}}
).encode()


def layout(kind: str = OCI_LAYER, manifest_kind: str = OCI_MANIFEST) -> dict[str, bytes]:
    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def put(content: bytes, media_type: str) -> dict[str, Any]:
        files[f"blobs/sha256/{sha(content)[7:]}"] = content
        return {"mediaType": media_type, "digest": sha(content), "size": len(content)}

    layers = [put(gzip.compress(tar, mtime=0) if "gzip" in kind else tar, kind) for tar in TARS]
    config = put(CONFIG, OCI_CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": manifest_kind, "config": config, "layers": layers}
    entry = put(json.dumps(manifest).encode(), manifest_kind)
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    return files


def saved(**more: bytes | str) -> dict[str, bytes | str]:
    names = ["1/layer.tar", "2/layer.tar"]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": names}]).encode()
    return {"c.json": CONFIG, "manifest.json": manifest, **dict(zip(names, TARS, strict=True)), **more}


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., LayoutImage]:
    def call(files: dict[str, bytes | str] | dict[str, bytes], architecture: str = "x86_64") -> LayoutImage:
        path = tmp_path / "image.tar"
        path.write_bytes(packed(dict(files)))
        return open_layout(path, architecture, Store(tmp_path / "store"), name="the image")

    return call


Opened = Callable[..., LayoutImage]


def read(image: LayoutImage, descriptor: Descriptor) -> bytes:
    return b"".join(image.blob(descriptor))


def test_an_oci_archive_and_the_same_as_a_folder(opened: Opened, tmp_path: Path) -> None:
    files = layout()
    image = opened(files)
    for name, content in files.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder = open_layout(tmp_path / "folder", "x86_64", Store(tmp_path / "store"))
    assert folder.manifest == image.manifest
    assert folder.digest == image.digest == json.loads(files["index.json"])["manifests"][0]["digest"]
    assert [gzip.decompress(read(folder, layer)) for layer in folder.manifest.layers] == TARS
    # Two blobs read in turns do not disturb each other.
    assert [b"".join(pair) for pair in zip(*map(image.blob, image.manifest.layers), strict=True)] == [
        b"".join(read(image, layer) for layer in image.manifest.layers)
    ]
    assert not (tmp_path / "store" / "blobs").exists()


@pytest.mark.parametrize(
    ("plain", "kind", "gzipped"),
    [
        ("application/vnd.oci.image.layer.v1.tar", OCI_MANIFEST, OCI_LAYER),
        ("application/vnd.docker.image.rootfs.diff.tar", DOCKER_MANIFEST, DOCKER_LAYER),
    ],
)
def test_layers_without_compression_become_gzip(opened: Opened, plain: str, kind: str, gzipped: str) -> None:
    image = opened(layout(plain, kind))
    assert [layer.media_type for layer in image.manifest.layers] == [gzipped] * 2
    contents = [read(image, layer) for layer in image.manifest.layers]
    assert [gzip.decompress(content) for content in contents] == TARS
    assert [(layer.digest, layer.size) for layer in image.manifest.layers] == [
        (sha(content), len(content)) for content in contents
    ]


def test_what_docker_save_writes(opened: Opened) -> None:
    image = opened(saved())
    assert image.digest == sha(CONFIG) == image.manifest.config.digest
    assert read(image, image.manifest.config) == CONFIG
    assert [gzip.decompress(read(image, layer)) for layer in image.manifest.layers] == TARS
    again = opened(saved(**{"1/layer.tar": "../x/layer.tar", "x/layer.tar": gzip.compress(TARS[0])}))
    assert again.manifest == image.manifest


def replaced(files: dict[str, bytes], digest: str, content: bytes | None) -> dict[str, bytes]:
    name = f"blobs/sha256/{digest[7:]}"
    kept = {key: value for key, value in files.items() if key != name}
    return kept if content is None else {**kept, name: content}


def test_damage_is_told(opened: Opened) -> None:
    blob = gzip.compress(TARS[1], mtime=0)
    cases: list[tuple[dict[str, Any], str]] = [
        (replaced(layout(), sha(blob), None), f"lacks the blob {sha(blob)}"),
        (replaced(layout(), sha(blob), b"x"), f"the blob {sha(blob)} has 1 bytes, not {len(blob)}"),
        ({"x": b""}, "has no index.json or manifest.json: no image"),
        ({"index.json": b"{"}, "its manifest cannot be read: Input data was truncated"),
        (saved(**{"c.json": b"{}"}), "has 2 layers, of which its configuration knows 0"),
        (saved(**{"manifest.json": b"{}"}), "manifest.json cannot be read: Expected `array`, got `object`"),
        (saved(**{"2/layer.tar": "gone"}), "lacks its layer '2/layer.tar'"),
        (
            saved(**{"2/layer.tar": TARS[0]}),
            f"the layer {sha(TARS[1])} is not what it should be: {len(TARS[0]):,} bytes with {sha(TARS[0])}",
        ),
        (
            saved(**{"2/layer.tar": b"\x1f\x8b" + bytes(50)}),
            "has a layer whose gzip is damaged: Error -3 while decompressing data: unknown compression method",
        ),
    ]
    for files, message in cases:
        with pytest.raises(IntegrityError) as caught:
            opened(files)
        assert caught.value.message == f"the image: {message}"
        assert caught.value.hint


def test_a_blob_of_right_size_and_wrong_bytes_is_told_when_it_is_read(opened: Opened) -> None:
    blob = gzip.compress(TARS[1], mtime=0)
    image = opened(replaced(layout(), sha(blob), bytes(len(blob))))
    with pytest.raises(IntegrityError) as caught:
        read(image, image.manifest.layers[1])
    assert caught.value.message == f"the image: the blob {sha(blob)} is not what it should be"
    assert caught.value.hint == AGAIN


def test_which_image_must_be_clear(opened: Opened, tmp_path: Path) -> None:
    files = layout()
    entry = json.loads(files["index.json"])["manifests"][0]
    two = {"schemaVersion": 2, "manifests": [entry, {**entry, "digest": sha(b"")}]}
    cases: list[tuple[dict[str, Any], str, str]] = [
        (
            {**files, "index.json": json.dumps(two).encode()},
            "x86_64",
            "has 2 images, and which one is meant is not clear",
        ),
        (saved(**{"manifest.json": b"[]"}), "x86_64", "has 0 images, and which one is meant is not clear"),
        (files, "aarch64", "is an image for linux/amd64; linux/arm64 is needed"),
    ]
    for forged, architecture, message in cases:
        with pytest.raises(UsageError) as caught:
            opened(forged, architecture)
        assert caught.value.message == f"the image: {message}"
    with pytest.raises(UsageError) as caught:
        open_layout(tmp_path / "gone", "x86_64", Store(tmp_path / "store"))
    assert caught.value.message == f"{tmp_path}/gone: there is no such file or folder"
    assert caught.value.hint == "Check the path of the image."
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError) as caught:
        open_layout(tmp_path / "there:3.11", "x86_64", Store(tmp_path / "store"), name="oci:there:3.11")
    assert (caught.value.message, caught.value.hint) == (
        "oci:there:3.11: there is no such file or folder",
        "Leave the tag away: oci:there",
    )


def nested(files: dict[str, bytes], depth: int) -> dict[str, bytes]:
    """The layout with its index in an index, so many times."""
    for _ in range(depth):
        index = files["index.json"]
        entry = {"mediaType": OCI_INDEX, "digest": sha(index), "size": len(index)}
        outer = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
        files = {**files, f"blobs/sha256/{sha(index)[7:]}": index, "index.json": outer}
    return files


def test_an_index_may_lead_to_an_index_but_not_for_ever(opened: Opened) -> None:
    assert len(opened(nested(layout(), 1)).manifest.layers) == 2
    with pytest.raises(IntegrityError) as caught:
        opened(nested(layout(), 2))
    assert caught.value.message == "the image: has an index that leads to no image"


def test_an_archive_that_is_cut_anywhere_is_refused_or_told(opened: Opened, tmp_path: Path) -> None:
    opened(layout())
    whole = (tmp_path / "image.tar").read_bytes()
    path = tmp_path / "cut.tar"

    def read_all() -> None:
        image = open_layout(path, "x86_64", Store(tmp_path / "store"))
        for descriptor in (image.manifest.config, *image.manifest.layers):
            read(image, descriptor)

    for cut in range(0, len(whole.rstrip(b"\0")), 397):
        path.write_bytes(whole[:cut])
        with pytest.raises(LaminaError) as caught:
            read_all()
        assert caught.value.message.startswith(str(path))
