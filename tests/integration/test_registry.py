"""lamina against a real registry, with skopeo as the judge of what it pushed."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from lamina.errors import IndexAccessError, IntegrityError, LaminaError, UsageError
from lamina.oci import push as pushing
from lamina.oci.layouts import open_layout
from lamina.oci.model import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor, Image
from lamina.oci.parts import Blob, of_bytes, of_image
from lamina.oci.push import PushResult
from lamina.oci.registry import open_image
from lamina.progress import Progress, Task
from lamina.store import Store

#: bcrypt of PASSWORD, as the registry wants it in its file.
HTPASSWD = "tester:$2y$05$abcdefghijklmnopqrstuuU7IZPJ2ZGDBazVvhUStvgi257KE3hdm\n"
PASSWORD = "a password of tests"  # noqa: S105 - of no other place


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


def test_blobs_of_the_base_are_mounted_from_its_repository(
    counted: Registry, env: dict[str, str], store: Store
) -> None:
    base = made(b"base" * 1000)
    base.pushed(f"{counted.host}/bases/python:3", env)
    image = open_image(f"{counted.host}/bases/python:3", "x86_64", env, store)
    blobs = [of_image(image, image.manifest.config), *(of_image(image, layer) for layer in image.manifest.layers)]
    before = len(counted.requests())
    result = pushing.push(f"{counted.host}/apps/one:1", base.manifest, OCI_MANIFEST, blobs, env)
    assert result == PushResult(base.digest, (), tuple(base.descriptors), ())
    posted = [line for line in counted.requests()[before:] if line.startswith("POST")]
    assert len(posted) == 2
    assert all("mount=sha256" in line and "from=bases%2Fpython" in line and line.endswith(" 201") for line in posted)
    assert not [line for line in counted.requests()[before:] if line.startswith("PUT") and "/blobs/" in line]


def test_blobs_of_a_base_elsewhere_pass_through_unchanged(
    registry: str, counted: Registry, env: dict[str, str], store: Store
) -> None:
    base = made(b"elsewhere" * 1000)
    base.pushed(f"{registry}/elsewhere/base:3", env)
    image = open_image(f"{registry}/elsewhere/base:3", "x86_64", env, store)
    blobs = [of_image(image, descriptor) for descriptor in (image.manifest.config, *image.manifest.layers)]
    result = pushing.push(f"{counted.host}/passed/through:1", base.manifest, OCI_MANIFEST, blobs, env)
    assert result.sent == tuple(base.descriptors)
    found = open_image(f"{counted.host}/passed/through:1", "x86_64", env, Store(store.root / "other"))
    assert found.digest == base.digest


def test_an_index_gives_the_image_of_the_architecture(registry: str, env: dict[str, str], store: Store) -> None:
    one, two = made(b"one"), made(b"two", architecture="arm64")
    one.pushed(f"{registry}/many/app:one", env)
    two.pushed(f"{registry}/many/app:two", env)
    platforms = {"amd64": one, "arm64": two}
    entries: list[dict[str, Any]] = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": image.digest,
            "size": len(image.manifest),
            "platform": {"os": "linux", "architecture": name},
        }
        for name, image in platforms.items()
    ]
    entries.append({**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}})
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    pushing.push(f"{registry}/many/app:all", index, OCI_INDEX, [], env)
    assert open_image(f"{registry}/many/app:all", "x86_64", env, store).digest == one.digest
    assert open_image(f"{registry}/many/app@{sha(index)}", "aarch64", env, store).digest == two.digest
    error = refused(UsageError, lambda: open_image(f"{registry}/many/app:two", "x86_64", env, store))
    assert error.message == f"{registry}/many/app:two: is an image for linux/arm64; linux/amd64 is needed"
    error = refused(UsageError, lambda: open_image(f"{registry}/many/app:all", "ppc64le", env, store))
    assert error.message == f"{registry}/many/app:all: has images for linux/amd64, linux/arm64; linux/ppc64le is needed"


def test_what_was_read_once_is_there_offline(counted: Registry, env: dict[str, str], store: Store) -> None:
    image = made(b"kept")
    name = f"{counted.host}/kept/app:1"
    image.pushed(name, env)
    error = refused(IndexAccessError, lambda: open_image(name, "x86_64", env, store, offline=True))
    assert error.message == f"{name}: not in the store, and --offline forbids to ask the registry"
    online = open_image(name, "x86_64", env, store)
    before = len(counted.requests())
    offline = open_image(name, "x86_64", env, store, offline=True)
    assert offline.digest == online.digest
    (layer,) = offline.manifest.layers
    error = refused(IndexAccessError, lambda: read(offline, layer))
    assert error.message == f"{name}: {layer.digest}: not in the store, and --offline forbids to ask the registry"
    assert len(counted.requests()) == before
    read(online, layer)
    assert read(offline, layer) == image.blobs[layer.digest]
    assert open_image(f"{counted.host}/kept/app@{image.digest}", "x86_64", env, store).digest == image.digest
    assert len(counted.requests()) == before + 1  # the layer


def test_a_damaged_blob_is_refused(counted: Registry, env: dict[str, str], store: Store) -> None:
    image = made(b"to be damaged")
    name = f"{counted.host}/damaged/app:1"
    image.pushed(name, env)
    layer = image.descriptors[1]
    path = counted.data / "docker/registry/v2/blobs/sha256" / layer.digest[7:9] / layer.digest[7:] / "data"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = open_image(name, "x86_64", env, store)
    error = refused(IntegrityError, lambda: read(found, layer))
    assert error.message == (
        f"{name}: blob {layer.digest[7:19]}: not what the manifest states: expected sha256 {layer.digest[7:]}, "
        f"got sha256 {sha(path.read_bytes())[7:]}"
    )
    path.write_bytes(content[:-5])
    error = refused(IntegrityError, lambda: read(found, layer))
    assert error.message == (
        f"{name}: blob {layer.digest[7:19]}: not what the manifest states: expected {layer.size} bytes, "
        f"got {layer.size - 5} bytes"
    )
    path.write_bytes(content)
    assert read(found, layer) == content


def test_a_download_goes_on_where_it_was_cut(counted: Registry, env: dict[str, str], store: Store) -> None:
    image = made(os.urandom(500_000))
    name = f"{counted.host}/resumed/app:1"
    image.pushed(name, env)
    layer = image.descriptors[1]
    partial = store.path("partial", layer.digest[7:])
    partial.parent.mkdir(parents=True)
    partial.write_bytes(image.blobs[layer.digest][:400_000])
    assert read(open_image(name, "x86_64", env, store), layer) == image.blobs[layer.digest]
    assert [line for line in counted.requests() if layer.digest in line][-1].endswith(" 206")
    assert not partial.exists()


def test_a_blob_damaged_in_the_store_is_fetched_again(registry: str, env: dict[str, str], store: Store) -> None:
    image = made(b"healed")
    image.pushed(f"{registry}/healed/app:1", env)
    found = open_image(f"{registry}/healed/app:1", "x86_64", env, store)
    (layer,) = found.manifest.layers
    path = found.path(layer)
    path.write_bytes(bytes(layer.size))
    error = refused(IntegrityError, lambda: read(found, layer))
    assert error.message == f"{found.name}: {layer.digest[:19]}: was damaged in the store, at {path}"
    assert read(found, layer) == image.blobs[layer.digest]


def test_nothing_is_pushed_of_an_image_that_lies(registry: str, env: dict[str, str]) -> None:
    image = made(b"honest")
    layer = image.descriptors[1]
    name = f"{registry}/lies/app:1"
    other = image.blobs[layer.digest][:-1] + b"\xff"
    error = refused(
        IndexAccessError,
        lambda: pushing.push(name, image.manifest, OCI_MANIFEST, [of_bytes(layer, other)], env),
    )
    assert error.message == f"{name}: the registry answers 400, DIGEST_INVALID Bad Request"
    blobs = [Blob(layer, lambda: [b"short"])]
    error = refused(IntegrityError, lambda: pushing.push(name, image.manifest, OCI_MANIFEST, blobs, env))
    assert error.message == f"the blob {layer.digest} has not the {layer.size} bytes that its manifest states"
    error = refused(
        UsageError,
        lambda: pushing.push(f"{registry}/lies/app@{layer.digest}", image.manifest, OCI_MANIFEST, [], env),
    )
    assert error.message == f"{registry}/lies/app@{layer.digest}: the image has the digest {image.digest}"


def test_what_is_not_there(registry: str, env: dict[str, str], store: Store) -> None:
    error = refused(IndexAccessError, lambda: open_image(f"{registry}/no/such:thing", "x86_64", env, store))
    assert error.message == (f"{registry}/no/such:thing: the registry has nothing of that name (404, MANIFEST_UNKNOWN)")
    assert error.hint == (
        f"Check name and tag, and that {registry} has the repository; some registries want it created first."
    )
    assert error.exit_code == 4


def test_a_password_is_asked_for_and_given(locked: str, env: dict[str, str], store: Store, tmp_path: Path) -> None:
    image = made(b"secret")
    name = f"{locked}/private/app:1"
    error = refused(IndexAccessError, lambda: image.pushed(name, env))
    assert error.message == f"{name}: the registry asks for a login (401)"
    assert (
        error.hint == f"Log in: docker login {locked}. Many registries answer the same for an image that is not there."
    )
    known = logged_in(env, tmp_path, locked)
    assert image.pushed(name, known).sent == tuple(image.descriptors)
    assert open_image(name, "x86_64", known, store).digest == image.digest
    wrong = logged_in(env, tmp_path, locked, PASSWORD + "?")
    error = refused(IndexAccessError, lambda: open_image(name, "x86_64", wrong, Store(tmp_path / "new")))
    config = tmp_path / "docker" / "config.json"
    assert error.message == f"{name}: the registry does not accept the login that {config} holds (401)"
    assert error.hint == f"Log in again, as who may do this: docker login {locked}"
    assert not any(PASSWORD.encode() in path.read_bytes() for path in store.root.rglob("*") if path.is_file())


def test_a_credential_helper_is_asked(locked: str, env: dict[str, str], store: Store, tmp_path: Path) -> None:
    image = made(b"helped")
    folder = tmp_path / "bin"
    folder.mkdir()
    helper = folder / "docker-credential-tests"
    answer = json.dumps({"ServerURL": locked, "Username": "tester", "Secret": PASSWORD})
    helper.write_text(f'#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = "{locked}" ] && echo \'{answer}\'\n')
    helper.chmod(0o755)
    docker = tmp_path / "docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"credHelpers": {locked: "tests"}}))
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    known = {**env, "DOCKER_CONFIG": str(docker), "PATH": path}
    name = f"{locked}/helped/app:1"
    assert image.pushed(name, known).digest == image.digest
    helper.write_text("#!/bin/sh\necho no vault >&2\nexit 3\n")
    error = refused(IndexAccessError, lambda: open_image(name, "x86_64", known, store))
    assert error.message == f"{name}: the registry asks for a login (401)"
    assert error.hint == (
        f"Log in: docker login {locked}. Many registries answer the same for an image that is not there. "
        f"(docker-credential-tests, which {docker}/config.json names, ended with exit code 3.)"
    )


class Tokens(NamedTuple):
    """A server of tokens that stands before a registry."""

    host: str
    asked: list[tuple[str, str, dict[str, list[str]]]]


@pytest.fixture
def tokens(registry: str) -> Iterator[Tokens]:
    """A registry that wants tokens: a door of a few lines before the real one, with the token server in it."""
    found = Tokens("", [])

    class Door(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            content = self.rfile.read(length)
            given = self.headers.get("Authorization", "")
            parts = urlsplit(self.path)
            if parts.path == "/token":
                query = parse_qs(parts.query or content.decode())
                found.asked.append((self.command, given, query))
                scopes = " ".join(query.get("scope", []))
                known = given.startswith("Basic ") or query.get("refresh_token") == [PASSWORD]
                if "push" in scopes and not known:
                    return self.answer(401)
                return self.answer(200, json.dumps({"token": f"T.{'push' if known else 'pull'}"}).encode())
            needed = "T.pull" if self.command in {"GET", "HEAD"} else "T.push"
            if given not in {f"Bearer {needed}", "Bearer T.push"}:
                host = self.headers["Host"]
                asks = f'Bearer realm="http://{host}/token",service="tests",scope="repository:x:pull"'
                return self.answer(401, WWW_Authenticate=asks)
            return self.pass_on(content)

        def pass_on(self, content: bytes) -> None:
            connection = http.client.HTTPConnection(registry)
            with contextlib.closing(connection):
                kept = {key: value for key, value in self.headers.items() if key != "Authorization"}
                connection.request(self.command, self.path, content, kept)
                answer = connection.getresponse()
                headers = {key: value for key, value in answer.getheaders() if key != "Content-Length"}
                self.answer(answer.status, answer.read(), **headers)

        do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found._replace(host=f"127.0.0.1:{server.server_address[1]}")
        finally:
            server.shutdown()
            thread.join()


def test_a_token_is_got_for_what_is_wanted(tokens: Tokens, env: dict[str, str], store: Store, tmp_path: Path) -> None:
    image = made(b"by token")
    name = f"{tokens.host}/by/token:1"
    error = refused(IndexAccessError, lambda: image.pushed(name, env))
    assert error.message == f"{name}: the registry asks for a login (401)"
    known = logged_in(env, tmp_path, tokens.host)
    image.pushed(name, known)
    assert tokens.asked[-1][0] == "GET"
    assert tokens.asked[-1][1].startswith("Basic ")
    assert tokens.asked[-1][2] == {"service": ["tests"], "scope": ["repository:by/token:pull,push"]}
    count = len(tokens.asked)
    assert open_image(name, "x86_64", env, store).digest == image.digest
    assert tokens.asked[count:] == [("GET", "", {"service": ["tests"], "scope": ["repository:by/token:pull"]})]


def test_an_identity_token_is_exchanged(tokens: Tokens, env: dict[str, str], tmp_path: Path) -> None:
    image = made(b"by identity")
    docker = tmp_path / "docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"auths": {tokens.host: {"identitytoken": PASSWORD}}}))
    image.pushed(f"{tokens.host}/by/identity:1", {**env, "DOCKER_CONFIG": str(docker)})
    [(method, given, query)] = tokens.asked
    assert (method, given, query["grant_type"]) == ("POST", "", ["refresh_token"])


class Odd(http.server.BaseHTTPRequestHandler):
    """A registry that answers a path in one fixed way, and notes what it was sent."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[Mapping[str, tuple[int, dict[str, str], bytes]]] = {}
    given: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.given.append((self.path, self.headers.get("Authorization", "")))
        status, headers, body = self.answers.get(self.path, (404, {}, b""))
        if "WWW-Authenticate" in headers and not self.headers.get("Authorization"):
            status, body = 401, b""
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body if self.command != "HEAD" else b"")

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def odd(answers: Mapping[str, tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    given: list[tuple[str, str]] = []
    handler = type("Handler", (Odd,), {"answers": answers, "given": given})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", given
        finally:
            server.shutdown()
            thread.join()


def test_no_credential_follows_a_redirect_to_another_host(env: dict[str, str], store: Store, tmp_path: Path) -> None:
    image = made(b"moved")
    layer = image.descriptors[1]
    blobs = {f"/there/{digest}": (200, {}, content) for digest, content in image.blobs.items()}
    with odd(blobs) as (storage, sent):
        there = storage.replace("127.0.0.1", "localhost")
        moved = {f"/v2/a/b/blobs/{d}": (307, {"Location": f"http://{there}/there/{d}"}, b"") for d in image.blobs}
        asks = {"WWW-Authenticate": "Basic realm=x", "Content-Type": OCI_MANIFEST}
        with odd({**moved, "/v2/a/b/manifests/1": (200, asks, image.manifest)}) as (host, given):
            known = logged_in(env, tmp_path, host)
            found = open_image(f"{host}/a/b:1", "x86_64", known, store)
            assert read(found, layer) == image.blobs[layer.digest]
            assert [header[:6] for _, header in given] == ["", *["Basic "] * 3]
    assert [path for path, _ in sent] == [f"/there/{one.digest}" for one in image.descriptors]
    assert {header for _, header in sent} == {""}


def test_answers_that_lie(env: dict[str, str], store: Store) -> None:
    big = json.dumps({"x": "y" * 5_000_000}).encode()
    realm = 'Bearer realm="ftp://tokens.example.invalid/?a=b"'
    answers = {
        "/v2/a/b/manifests/big": (200, {}, big),
        "/v2/a/b/manifests/html": (200, {"Content-Type": "text/html"}, b"<html>"),
        "/v2/a/b/manifests/realm": (401, {"WWW-Authenticate": realm}, b""),
        "/v2/a/b/manifests/far": (429, {"Retry-After": "3600"}, b""),
        "/v2/a/b/manifests/sha256:" + "0" * 64: (200, {}, b"{}"),
        "/v2/a/b/manifests/forbidden": (403, {}, b'{"errors":[{"code":"DENIED","message":"<b>x</b>"}]}'),
    }
    with odd(answers) as (host, _):
        name = f"{host}/a/b"

        def told(tag: str) -> str:
            return refused(LaminaError, lambda: open_image(f"{name}{tag}", "x86_64", env, store)).message

        assert told(":big") == f"{name}:big: an answer of more than 4,194,304 bytes"
        assert told(":html") == (
            f"{name}:html: its manifest cannot be read: JSON is malformed: invalid character (byte 0)"
        )
        assert told(":realm") == (f"{name}:realm: the registry wants tokens of 'ftp://tokens.example.invalid/?a=b'")
        assert told(":far") == (
            f"{name}:far: http://{host}/v2/a/b/manifests/far: the server asks to come back in 3600 s "
            "(429 Too Many Requests)"
        )
        assert told("@sha256:" + "0" * 64) == (
            f"{name}@sha256:{'0' * 64}: the manifest is not sha256:{'0' * 64}: it has {sha(b'{}')}"
        )
        assert told(":forbidden") == f"{name}:forbidden: the registry refuses (403, DENIED)"


def test_a_docker_archive_is_compressed_for_its_image(
    registry: str, env: dict[str, str], store: Store, tmp_path: Path
) -> None:
    image = made(b"exported" * 1000)
    image.pushed(f"{registry}/exported/app:1", env)
    archive = tmp_path / "saved.tar"
    skopeo("copy", "--src-tls-verify=false", f"docker://{registry}/exported/app:1", f"docker-archive:{archive}:app:1")
    found = open_layout(archive, "x86_64", store, name="docker-archive:saved.tar")
    config = json.loads(read(found, found.manifest.config))
    layers = [gzip.decompress(read(found, layer)) for layer in found.manifest.layers]
    assert [sha(layer) for layer in layers] == config["rootfs"]["diff_ids"]
    assert layers == [gzip.decompress(image.blobs[image.descriptors[1].digest])]


def test_what_a_registry_can_say_of_a_push(env: dict[str, str]) -> None:
    image = made(b"pushed")
    config = image.descriptors[0]
    again = {"Retry-After": "0"}
    posts = {
        "large": (202, {"Location": "/put"}, b""),
        "odd": (202, {"Location": "http://[/"}, b""),
        "none": (202, {}, b""),
        "busy": (503, again, b""),
        "often": (429, again, b""),
        "denied": (403, {}, b'{"errors": [{"code": "DENIED", "message": "<script>"}]}'),
    }
    answers = {f"/v2/{name}/blobs/uploads/": answer for name, answer in posts.items()}
    answers[f"/put?digest=sha256%3A{config.digest[7:]}"] = (413, {}, b"")
    with odd(answers) as (host, _):

        def told(name: str) -> tuple[str, str]:
            blobs = [of_bytes(config, image.blobs[config.digest])]
            error = refused(
                IndexAccessError,
                lambda: pushing.push(f"{host}/{name}:1", image.manifest, OCI_MANIFEST, blobs, env),
            )
            assert error.message.startswith(f"{host}/{name}:1: ")
            return error.message.removeprefix(f"{host}/{name}:1: "), error.hint

        assert told("large") == (
            "too large for the registry (413)",
            f"Raise the limit on a request's body at {host}, or at the proxy before it.",
        )
        for name in ("odd", "none"):
            assert told(name) == (
                "the registry begins no upload (202)",
                f"Check that {host} is a registry, and that nothing stands between.",
            )
        assert told("busy") == (
            f"http://{host}/v2/busy/blobs/uploads/: the server answers 503 Service Unavailable, 5 times",
            f"That is for {host} to mend; run the command again in a while. What was transferred is kept.",
        )
        assert told("often") == (
            f"http://{host}/v2/often/blobs/uploads/: the server answers 429 Too Many Requests, 5 times",
            f"{host} allows no more requests for now: run the command again later, or log in, which allows more.",
        )
        assert told("denied") == (
            "the registry refuses (403, DENIED)",
            f"Check that this login of {host} may do that: read, or for a push write.",
        )


def test_no_credential_goes_to_another_host_that_takes_the_upload(env: dict[str, str], tmp_path: Path) -> None:
    image = made(b"elsewhere")
    config = image.descriptors[0]
    with odd({f"/put?k=v&digest=sha256%3A{config.digest[7:]}": (201, {}, b"")}) as (storage, sent):
        there = f"http://{storage.replace('127.0.0.1', 'localhost')}/put?k=v"
        asks = {"WWW-Authenticate": "Basic realm=x"}
        answers = {
            f"/v2/a/b/blobs/{config.digest}": (404, asks, b""),
            "/v2/a/b/blobs/uploads/": (202, {**asks, "Location": there}, b""),
            "/v2/a/b/manifests/1": (201, asks, b""),
        }
        with odd(answers) as (host, given):
            known = logged_in(env, tmp_path, host)
            blobs = [of_bytes(config, image.blobs[config.digest])]
            pushing.push(f"{host}/a/b:1", image.manifest, OCI_MANIFEST, blobs, known)
            assert [header[:6] for _, header in given] == ["", *["Basic "] * 4]
    assert [header for _, header in sent] == [""]


WAITING = """
import os, sys
from pathlib import Path
from lamina.oci.registry import open_image
from lamina.store import Store
open_image(sys.argv[1], "x86_64", os.environ, Store(Path(sys.argv[2])))
"""


def test_an_interrupt_ends_it_at_once(env: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        command = [sys.executable, "-c", WAITING, f"127.0.0.1:{server.getsockname()[1]}/a/b", str(tmp_path / "store")]
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100).startswith(b"GET /v2/a/b/manifests/latest ")
                started = time.monotonic()
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=30)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert time.monotonic() - started < 5
    assert not [path for path in tmp_path.joinpath("store").rglob("*") if path.is_file()]


def test_an_upload_that_breaks_begins_again(counted: Registry, env: dict[str, str]) -> None:
    """A proxy that cuts the first upload: the second try opens an upload of its own, and the progress is right."""
    image = made(os.urandom(3_000_000))
    layer = image.descriptors[1]
    moved: list[int] = []

    class Watching(Progress):
        def task(self, label: str, total: int | None = None, *, unit: str = "bytes") -> Task:
            del label, total, unit
            task = Task()
            task.advance = moved.append  # type: ignore[method-assign]
            return task

    calls = 0

    def pieces() -> Iterator[bytes]:
        nonlocal calls
        calls += 1
        content = image.blobs[layer.digest]
        yield content[:1_000_000]
        if calls == 1:
            raise requests.exceptions.ConnectionError("cut")
        yield content[1_000_000:]

    blobs = [of_bytes(image.descriptors[0], image.blobs[image.descriptors[0].digest]), Blob(layer, pieces)]
    before = len(counted.requests())
    name = f"{counted.host}/broken/upload:1"
    result = pushing.push(name, image.manifest, OCI_MANIFEST, blobs, env, progress=Watching())
    assert result.sent == tuple(image.descriptors)
    assert sum(moved) == sum(one.size for one in image.descriptors)
    posted = [line for line in counted.requests()[before:] if line.startswith("POST /v2/broken/upload/blobs/uploads/")]
    assert len(posted) == 3
