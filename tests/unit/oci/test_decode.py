"""Manifests and indexes, honest and hostile."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import IntegrityError, UsageError
from lamina.oci.decode import check_architecture, choose, document
from lamina.oci.model import (
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
)

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
CONFIG = {"mediaType": OCI_CONFIG, "digest": A, "size": 2}
LAYER = {"mediaType": OCI_LAYER, "digest": B, "size": 10}


def manifest(**change: Any) -> bytes:  # noqa: ANN401
    whole = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER], **change}
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def index(*entries: dict[str, Any], **change: Any) -> bytes:  # noqa: ANN401
    whole = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries), **change}
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def entry(digest: str, architecture: str = "", os: str = "linux", **more: Any) -> Descriptor:  # noqa: ANN401
    platform = {"os": os, "architecture": architecture, **more} if architecture else None
    return Descriptor(OCI_MANIFEST, digest, 1, platform=platform)


def test_manifests() -> None:
    config, layer = Descriptor(OCI_CONFIG, A, 2), Descriptor(OCI_LAYER, B, 10)
    assert document(manifest()) == Manifest(config, (layer,), OCI_MANIFEST)
    assert document(manifest(mediaType=None)) == Manifest(config, (layer,), OCI_MANIFEST)
    assert document(manifest(annotations={"a": "b"}), OCI_MANIFEST) == Manifest(
        config, (layer,), OCI_MANIFEST, annotations={"a": "b"}
    )
    docker = document(manifest(mediaType=None, layers=[{**LAYER, "mediaType": DOCKER_LAYER}]), DOCKER_MANIFEST)
    assert docker == Manifest(config, (Descriptor(DOCKER_LAYER, B, 10),), DOCKER_MANIFEST)
    assert document(index({**LAYER}), f"{OCI_INDEX}; charset=utf-8") == (Descriptor(OCI_LAYER, B, 10),)
    assert document(index(mediaType=DOCKER_INDEX)) == ()


@pytest.mark.parametrize(
    ("content", "stated", "message"),
    [
        (b"<html>", "", "its manifest cannot be read: JSON is malformed: invalid character (byte 0)"),
        (b"\xff", "", "its manifest cannot be read: JSON is malformed: invalid character (byte 0)"),
        (b" " * 4_194_305, "", "its manifest has more than 4,194,304 bytes"),
        (manifest(schemaVersion=1), "", "its manifest is of schema 1; lamina reads 2"),
        (manifest(config=None), "", "its manifest names no configuration or no layers"),
        (manifest(layers=None), "", "its manifest names no configuration or no layers"),
        (manifest(manifests=[]), "", f"its manifest is not what it says: {OCI_MANIFEST}"),
        (manifest(), OCI_INDEX, f"its manifest is not what it says: {OCI_INDEX}, {OCI_MANIFEST}"),
        (manifest(mediaType=None), OCI_INDEX, f"its manifest is not what it says: {OCI_INDEX}"),
        (manifest(mediaType=None), "text/html", "its manifest is not what it says: text/html"),
        (index(layers=[]), "", f"its manifest is not what it says: {OCI_INDEX}"),
        (index(mediaType=None, config=CONFIG), "", "its manifest is not what it says: manifest and index in one"),
        (manifest(layers=[LAYER] * 501), "", "has 501 layers; lamina reads at most 500"),
        (index(*[LAYER] * 501), "", "its index names more than 500 manifests"),
        (
            manifest(layers=[{**LAYER, "digest": "sha256:../../x"}]),
            "",
            "names a blob by 'sha256:../../x', which is no SHA-256 digest",
        ),
        (
            manifest(config={**CONFIG, "digest": "sha512:" + "a" * 128}),
            "",
            f"names a blob by {'sha512:' + 'a' * 73!r}, which is no SHA-256 digest",
        ),
        (
            manifest(layers=[{**LAYER, "size": -1}]),
            "",
            f"states -1 bytes for {B}; 10,737,418,240 are the most",
        ),
        (
            manifest(config={**CONFIG, "size": 10**9}),
            "",
            f"states 1,000,000,000 bytes for {A}; 4,194,304 are the most",
        ),
    ],
)
def test_what_is_refused(content: bytes, stated: str, message: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        document(content, stated)
    assert caught.value.message == message
    assert caught.value.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(A),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("schemaVersion mediaType config layers manifests digest size platform annotations".split()),
            inner,
            max_size=5,
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["config", "layers", "manifests", "mediaType", "annotations"]), JSON))
def test_nothing_else_than_a_refusal_comes_of_odd_documents(parts: dict[str, Any]) -> None:
    with contextlib.suppress(IntegrityError, UsageError):
        found = document(json.dumps({"schemaVersion": 2, **parts}).encode())
        if not isinstance(found, Manifest):
            choose(found, "x86_64", "name")


def test_choosing() -> None:
    amd, arm, attested = entry(A, "amd64"), entry(B, "arm64", variant="v8"), entry(A, "unknown", "unknown")
    assert choose([attested, amd, arm], "x86_64", "x") is amd
    assert choose([attested, amd, arm], "aarch64", "x") is arm
    assert choose([attested, entry(B)], "aarch64", "x") == entry(B)
    assert choose([amd, entry(B, "amd64")], "x86_64", "x") is amd
    for entries, told in (
        ([amd, attested], "x: has images for linux/amd64; linux/arm64 is needed"),
        ([attested], "x: has no image for Linux; linux/arm64 is needed"),
        ([entry(A, "arm64", "windows")], "x: has no image for Linux; linux/arm64 is needed"),
    ):
        with pytest.raises(UsageError) as caught:
            choose(entries, "aarch64", "x")
        assert caught.value.message == told
    with pytest.raises(UsageError) as caught:
        choose([entry(A), entry(B)], "x86_64", "x", several=False)
    assert caught.value.message == "x: has 2 images, and which one is meant is not clear"


class Forged:
    """An image of a configuration only."""

    name, digest = "x", A

    def __init__(self, config: bytes) -> None:
        self._config = config

    @property
    def manifest(self) -> Manifest:
        return Manifest(Descriptor(OCI_CONFIG, A, len(self._config)), ())

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        assert descriptor.digest == A
        yield self._config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b'{"architecture": "arm64", "os": "linux"}', "x: is an image for linux/arm64; linux/amd64 is needed"),
        (b'{"architecture": "amd64", "os": "windows"}', "x: is an image for windows/amd64; linux/amd64 is needed"),
        (b"[]", "x: its configuration cannot be read: Expected `object`, got `array`"),
    ],
)
def test_the_configuration_says_the_platform(config: bytes, message: str) -> None:
    with pytest.raises((UsageError, IntegrityError)) as caught:
        check_architecture(Forged(config), "x86_64")
    assert caught.value.message == message


def test_a_configuration_that_says_nothing_is_taken() -> None:
    check_architecture(Forged(b"{}"), "x86_64")


@pytest.mark.parametrize("odd", [[], {}, 1, None, True, ["linux"]])
def test_a_platform_of_odd_types_is_no_platform(odd: object) -> None:
    found = document(index({**LAYER, "platform": {"os": odd, "architecture": odd}}))
    assert isinstance(found, tuple)
    with pytest.raises(UsageError):
        choose(found, "x86_64", "a:b")
