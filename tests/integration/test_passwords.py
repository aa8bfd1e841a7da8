"""Where an index and a registry ask for passwords, these stay out of whatever lamina writes, prints or starts."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from lamina import lock as locks
from lamina.engine.connect import connect
from lamina.engine.engine import LABEL
from lamina.fetch import fetch
from lamina.index import from_environment
from lamina.local import native
from lamina.lock.own import own_lock
from lamina.progress import SILENT
from lamina.resolve import docker
from lamina.store import Store
from lamina.target import target_for

TARGET = target_for("cp311", architecture="x86_64")
#: Of the index, and of the registry, with what the registry wants in its file (bcrypt).
READER, PUSHER = "reader-9a31:Kj4-silent-meadow", "tester:a password of tests"
HTPASSWD = "tester:$2y$05$abcdefghijklmnopqrstuuU7IZPJ2ZGDBazVvhUStvgi257KE3hdm\n"
SECRETS = [
    found
    for stated in (READER, PUSHER)
    for found in (stated.partition(":")[2].encode(), base64.b64encode(stated.encode()))
]

RECIPE = """
name = "{name}"
description = "a wheel and a source distribution, of an index with a password"
artefacts = ["layer", "image"]
requirements = ["app", "fromsource"]
provided = []
[[target]]
python = "cp311"
architecture = "x86_64"
[builder]
kind = "docker"
[function]
handler = "app_handler.handler"
source = [{{ from = "layers/x" }}]
"""
BACKEND = """
import pathlib, zipfile
ABOUT = {
    "fromsource-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: fromsource\\nVersion: 1.0\\n",
    "fromsource-1.0.dist-info/WHEEL":
        "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    for path, text in ABOUT.items():
        place = pathlib.Path(folder, path)
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    return place.parent.name
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "fromsource-1.0-py3-none-any.whl"
    files = {"fromsource.py": "", **ABOUT}
    record = "".join(f"{path},,\\n" for path in (*files, "fromsource-1.0.dist-info/RECORD"))
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as archive:
        for path, text in {**files, "fromsource-1.0.dist-info/RECORD": record}.items():
            archive.writestr(path, text)
    return name
"""


class Registry(Protocol):
    """What conftest starts."""

    host: str
    data: Path


class Site(NamedTuple):
    """An index with a password, and how many of its answers went to whom knew it."""

    url: str
    answered: list[str]


def sdist() -> bytes:
    out = io.BytesIO()
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: fromsource\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n',
        "own.py": BACKEND,
    }
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"fromsource-1.0/{path}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


@contextlib.contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[Site]:
    """PEP 503 pages and files, for whom knows the password."""
    answered: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = "Basic " + base64.b64encode(READER.encode()).decode()
            right = self.headers.get("Authorization") == known
            where, _, name = self.path.strip("/").rpartition("/")
            mine = [path for path in files if path.partition("-")[0] == name]
            body = files.get(name, b"") if where == "files" else b""
            if where == "simple" and mine:
                links = (
                    f'<a href="/files/{one}#sha256={hashlib.sha256(files[one]).hexdigest()}">{one}</a>' for one in mine
                )
                body = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
            self.send_response(401 if not right else 200 if body else 404)
            self.send_header("Content-Type", "text/html" if where == "simple" else "application/octet-stream")
            self.send_header("Content-Length", str(len(body) if right else 0))
            self.end_headers()
            if right:
                answered.append(self.path)
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield Site(f"http://{READER}@127.0.0.1:{server.server_address[1]}/simple", answered)
        server.shutdown()


def contents(raw: bytes) -> Iterator[bytes]:
    """A file as it is, and what it holds where it is compressed or an archive."""
    yield raw
    if raw.startswith(b"\x1f\x8b"):
        yield gzip.decompress(raw)
    elif raw.startswith(b"PK\x03\x04") and zipfile.is_zipfile(io.BytesIO(raw)):  # a part of the store is none
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif raw[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            for member in tar:
                if member.isfile() and (file := tar.extractfile(member)) is not None:
                    yield from contents(file.read())


def files_below(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def watched(seen: list[str]) -> Iterator[None]:
    """Look at all containers of lamina's meanwhile, as ``docker inspect`` does."""
    engine, ended = connect(os.environ), threading.Event()

    def look() -> None:
        api = engine._client.api
        while not ended.wait(0.1):
            with contextlib.suppress(Exception):  # one of them may just have gone
                found = api.containers(all=True, filters={"label": LABEL})
                seen.extend(json.dumps(api.inspect_container(one["Id"])) for one in found)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()
        engine.close()


@pytest.fixture
def store(tmp_path: Path, index: None, shared_store: Path) -> Path:  # noqa: ARG001 - the tools come from there
    """A store with nothing but the tools that containers are given, which the index of these tests does not have."""
    shared, own = Store(shared_store), Store(tmp_path / "store")
    for lock in (
        locks.read(Path(docker.__file__).with_name("pip-tools.txt")),
        own_lock(Path(native.__file__).parent, TARGET),
    ):
        places = fetch(lock.wheels, store=shared, indexes=from_environment(os.environ), offline=False, progress=SILENT)
        for path in places.values():
            place = own.path("wheels", path.stem, ".whl")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    return tmp_path / "store"


def test_passwords_stay_out_of_locks_logs_artefacts_store_and_containers_of_the_stand_in(
    tmp_path: Path,
    store: Path,
    base_image: str,
    start_registry: Callable[[str], Registry],
    make_wheel: Callable[..., bytes],
) -> None:
    name = f"secret{os.urandom(4).hex()}"
    project = tmp_path / "project"
    for folder in ("recipes", "layers/x"):
        (project / folder).mkdir(parents=True)
    (project / "recipes" / f"{name}.toml").write_text(RECIPE.format(name=name))
    (project / "layers/x/app_handler.py").write_text(
        "import app, fromsource\n\ndef handler(event, context):\n    return 1\n"
    )
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    registry = start_registry(f"auth: {{htpasswd: {{realm: tests, path: {tmp_path / 'htpasswd'}}}}}\n")
    login = tmp_path / "docker" / "config.json"
    login.parent.mkdir()
    login.write_text(json.dumps({"auths": {registry.host: {"auth": base64.b64encode(PUSHER.encode()).decode()}}}))
    files = {"app-1.0-py3-none-any.whl": make_wheel("app", "1.0", {"app.py": ""}), "fromsource-1.0.tar.gz": sdist()}
    printed: list[str] = []

    def lamina(*arguments: str, **env: str) -> None:
        own = {"LAMINA_CACHE": str(store), "LAMINA_BASE_IMAGE": base_image, "DOCKER_CONFIG": str(login.parent), **env}
        done = subprocess.run(
            [sys.executable, "-m", "lamina", *arguments],
            cwd=project,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        printed.append(done.stdout + done.stderr)
        assert done.returncode == 0, printed[-1]

    seen: list[str] = []
    pushed = f"{registry.host}/secret/{name}:1"
    tag = f"{name}:{TARGET.name}"
    with serving(files) as site, watched(seen):
        run = partial(lamina, UV_DEFAULT_INDEX=site.url)
        run("lock", name)
        run("build", name)
        try:
            run("image", name, "--push", pushed, "--load")
            seen.append(_inspected(tag))
        finally:
            _removed(tag)
        assert {f"/files/{file}" for file in files} <= {*site.answered}
    assert "1 wheel, 1 source distribution to build" in printed[0]
    assert "pushed as" in printed[-1]
    assert len(seen) > 1
    outputs = {path.name for path in files_below(project / "dist")}
    assert {f"{name}-{TARGET.name}.zip", f"{name}-{TARGET.name}.oci.tar"} <= outputs
    assert any(secret in login.read_bytes() for secret in SECRETS)
    for said in (*printed, *seen):
        assert not [secret for secret in SECRETS if secret in said.encode()]
    for path in files_below(project, store, registry.data):
        for content in contents(path.read_bytes()):
            assert not [secret for secret in SECRETS if secret in content], path


def _inspected(tag: str) -> str:
    engine = connect(os.environ)
    try:
        found: Any = engine._client.api
        return json.dumps([found.inspect_image(tag), found.history(tag)])
    finally:
        engine.close()


def _removed(tag: str) -> None:
    engine = connect(os.environ)
    try:
        with contextlib.suppress(Exception):  # it was never loaded
            engine._client.images.remove(tag, force=True)
    finally:
        engine.close()
