"""lamina against a real registry, with skopeo as the judge of what it pushed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from lamina.errors import LaminaError
from lamina.oci import push as pushing
from lamina.oci.layouts import open_layout
from lamina.oci.model import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, Image
from lamina.oci.push import PushResult, of_bytes
from lamina.oci.registry import open_image
from lamina.store import Store

#: bcrypt of PASSWORD, as the registry wants it in its file.
HTPASSWD = "tester:$2y$05$abcdefghijklmnopqrstuuU7IZPJ2ZGDBazVvhUStvgi257KE3hdm\n"
PASSWORD = "a password of tests"


class Registry(Protocol):
    """What conftest starts."""

    host: str
    data: Path

    def requests(self) -> list[str]: ...


Start = Callable[[str], Registry]


class Made(NamedTuple):
    """An image made by hand: its manifest, and its blobs by digest."""

    manifest: bytes
    blobs: dict[str, bytes]
    descriptors: list[Descriptor]

    def pushed(self, reference: str, env: Mapping[str, str], media_type: str = OCI_MANIFEST) -> PushResult:
        blobs = [of_bytes(found, self.blobs[found.digest]) for found in self.descriptors]
        return pushing.push(reference, self.manifest, media_type, blobs, env)

    @property
    def digest(self) -> str:
        return sha(self.manifest)


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def made(*contents: bytes, architecture: str = "amd64") -> Made:
    """An image with one layer for each content."""
    layers, diff_ids = [], []
    for at, content in enumerate(contents):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo(f"file{at}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        diff_ids.append(sha(out.getvalue()))
        layers.append(gzip.compress(out.getvalue(), 1, mtime=0))
    config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    blobs = [json.dumps({**config, "config": {}}).encode(), *layers]
    kinds = [OCI_CONFIG, *[OCI_LAYER] * len(layers)]
    descriptors = [Descriptor(kind, sha(blob), len(blob)) for kind, blob in zip(kinds, blobs, strict=True)]
    stated = [{"mediaType": one.media_type, "digest": one.digest, "size": one.size} for one in descriptors]
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": stated[0], "layers": stated[1:]}
    return Made(json.dumps(manifest).encode(), {sha(blob): blob for blob in blobs}, descriptors)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which nobody is logged in anywhere."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "REGISTRY_", "XDG_"))}
    return {**kept, "HOME": str(tmp_path / "home")}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def counted(start_registry: Start) -> Registry:
    """A registry whose requests and files these tests look at."""
    return start_registry("")


@pytest.fixture(scope="session")
def locked(start_registry: Start, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry that asks for a password."""
    path = tmp_path_factory.mktemp("users") / "htpasswd"
    path.write_text(HTPASSWD)
    return start_registry(f"auth: {{htpasswd: {{realm: tests, path: {path}}}}}\n").host


def skopeo(*arguments: str) -> str:
    if shutil.which("skopeo") is None:
        pytest.skip("LEFT OUT: what skopeo says of pushed images: skopeo is not installed (Debian: skopeo)")
    command = ["skopeo", "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(image: Image, descriptor: Descriptor) -> bytes:
    return b"".join(image.blob(descriptor))


def logged_in(env: dict[str, str], tmp_path: Path, host: str, password: str = PASSWORD) -> dict[str, str]:
    import base64

    folder = tmp_path / "docker"
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(f"tester:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {**env, "DOCKER_CONFIG": str(folder)}


def refused(error: type[LaminaError], call: Callable[[], object]) -> LaminaError:
    """What it is refused with; nothing of it holds the password, nor do its causes."""
    with pytest.raises(error) as caught:
        call()
    seen: BaseException | None = caught.value
    while seen is not None:
        assert PASSWORD not in f"{seen!r} {getattr(seen, 'hint', '')}"
        seen = seen.__cause__ or seen.__context__
    return caught.value


def test_what_skopeo_put_in_is_what_is_read(registry: str, env: dict[str, str], store: Store, tmp_path: Path) -> None:
    image = made(b"a" * 100_000, b"b")
    image.pushed(f"{registry}/made/first:1", env)
    archive = tmp_path / "image.tar"
    skopeo("copy", "--src-tls-verify=false", f"docker://{registry}/made/first:1", f"oci-archive:{archive}")
    layout = open_layout(archive, "x86_64", store)
    assert layout.digest == image.digest
    skopeo("copy", "--dest-tls-verify=false", f"oci-archive:{archive}", f"docker://{registry}/skopeo/put:2")
    found = open_image(f"{registry}/skopeo/put:2", "x86_64", env, store)
    assert found.digest == image.digest
    assert found.manifest == layout.manifest
    for descriptor in image.descriptors:
        assert read(found, descriptor) == read(layout, descriptor) == image.blobs[descriptor.digest]


def test_what_is_pushed_skopeo_reads_and_a_second_push_sends_nothing(
    counted: Registry, env: dict[str, str], tmp_path: Path
) -> None:
    image = made(b"x", os.urandom(9_000_000))
    name = f"{counted.host}/team/app:1.0"
    assert image.pushed(name, env) == PushResult(image.digest, tuple(image.descriptors), (), ())
    assert (
        skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{name}").strip() == image.digest
    )
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/dir")
    assert sha((tmp_path / "dir" / "manifest.json").read_bytes()) == image.digest
    before = len(counted.requests())
    assert image.pushed(name, env) == PushResult(image.digest, (), (), tuple(image.descriptors))
    asked = [line.split()[0] for line in counted.requests()[before:]]
    assert asked == ["HEAD"] * 4
