"""Layers of exports, compressed once."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.errors import IntegrityError
from lamina.oci.model import DOCKER_LAYER, Descriptor
from lamina.oci.recompress import recompressed
from lamina.store import Store

TAR = b"a tar\n" * 5000
DIFF_ID = f"sha256:{hashlib.sha256(TAR).hexdigest()}"


def pieces() -> Iterator[bytes]:
    yield TAR[:7]
    yield TAR[7:]


def never() -> Iterator[bytes]:
    raise AssertionError("made twice")


def test_a_layer_is_compressed_once_and_always_to_the_same_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    layer = recompressed(DIFF_ID, pieces, store, media_type=DOCKER_LAYER)
    content = layer.path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert layer.descriptor == Descriptor(DOCKER_LAYER, f"sha256:{digest}", len(content))
    assert layer.diff_id == DIFF_ID
    assert gzip.decompress(content) == TAR
    assert content[4:8] == bytes(4)  # no time in the header
    assert recompressed(DIFF_ID, never, store, media_type=DOCKER_LAYER) == layer
    assert list((tmp_path / "tmp").iterdir()) == []
    again = recompressed(DIFF_ID, pieces, Store(tmp_path / "other"))
    assert again.path.read_bytes() == content


def test_a_layer_cut_in_the_store_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    layer = recompressed(DIFF_ID, pieces, store)
    content = layer.path.read_bytes()
    layer.path.write_bytes(content[:-1])
    assert recompressed(DIFF_ID, pieces, store) == layer
    assert layer.path.read_bytes() == content


def test_a_layer_that_is_another_one_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(IntegrityError) as caught:
        recompressed(DIFF_ID, lambda: [TAR, b"x"], store)
    found = hashlib.sha256(TAR + b"x").hexdigest()
    assert caught.value.message == (f"the layer {DIFF_ID} is not what it should be: 30,001 bytes with sha256:{found}")
    with pytest.raises(IntegrityError, match=r"names a layer by '\.\./x', which is no SHA-256 digest"):
        recompressed("../x", never, store)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "blobs" in path.parts] == []
