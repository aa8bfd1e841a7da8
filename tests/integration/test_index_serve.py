"""The index that lamina serves on loopback, asked by pip: what the client finds, without its credentials."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lamina.index import IndexClient, from_environment
from lamina.index.serve import IndexServer
from lamina.store import Store

USER, PASSWORD = "reader", "s3cret-word"
JSON = "application/vnd.pypi.simple.v1+json"


class Site:
    """A simple index with a password."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.seen: list[str] = []
        self.refusing = ""
        self.metadata: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.root = f"127.0.0.1:{self.http.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.seen.append(handler.path)
        known = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        name = handler.path.strip("/").rpartition("/")[2]
        body = {**self.files, **{f"{key}.metadata": value for key, value in self.metadata.items()}}.get(name)
        if handler.headers.get("Authorization") != known:
            status, body = 401, b""
        elif self.refusing and self.refusing in handler.path:
            status, body = 403, b""
        elif handler.path.startswith("/simple/"):
            found = [file for file in self.files if file.startswith(f"{name}-")]
            links = (
                f'<a href="/files/{file}#sha256={hashlib.sha256(self.files[file]).hexdigest()}" '
                f'data-core-metadata="{str(file in self.metadata).lower()}" data-requires-python="&gt;=3.5">{file}</a>'
                for file in found
            )
            status, body = (200 if found else 404), "<br>".join(links).encode()
        else:
            status, body = (404, b"") if body is None else (200, body)
        handler.send_response(status)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    yield one
    one.http.shutdown()
    one.http.server_close()


@pytest.fixture
def private(site: Site, forge: Callable[..., Path]) -> Site:
    """``app`` 1.0 needs ``dep``, which has metadata of its own beside it and a source distribution."""
    for path in (forge("app", "1.0", {"app/__init__.py": ""}, requires=("dep",)), forge("dep", "1.0")):
        site.files[path.name] = path.read_bytes()
        path.unlink()
    site.files["dep-2.0.tar.gz"] = sdist("dep", "2.0")
    site.metadata["dep-1.0-py3-none-any.whl"] = b"Metadata-Version: 2.1\nName: dep\nVersion: 1.0\n"
    return site


def sdist(name: str, version: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        content = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        info = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return held.getvalue()


def client(
    site: Site, store: Store | None = None, *, links: tuple[str, ...] = (), offline: bool = False
) -> IndexClient:
    env = {"UV_DEFAULT_INDEX": f"http://{USER}:{PASSWORD}@{site.root}/simple"}
    return IndexClient(from_environment(env, links), offline=offline, store=store)


def got(server: IndexServer, url: str, **headers: str) -> bytes:
    headers = {"Authorization": server.stated.decode(), **headers}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - of this machine
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return bytes(answer.read())


def pip(server: IndexServer, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-m", "pip", "--isolated", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--retries", "0", "--no-input", *arguments, "--index-url", server.url]
    netrc = folder / "netrc"
    netrc.write_bytes(server.netrc)
    env = {**os.environ, "NETRC": str(netrc)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_pip_downloads_from_an_index_with_a_password_without_knowing_it(private: Site, tmp_path: Path) -> None:
    with client(private) as asked, IndexServer(asked) as server:
        done = pip(server, tmp_path, "download", "app", "--only-binary", ":all:")
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in tmp_path.glob("*.whl")) == [
            "app-1.0-py3-none-any.whl",
            "dep-1.0-py3-none-any.whl",
        ]
        assert "/files/dep-1.0-py3-none-any.whl.metadata" in private.seen
        assert PASSWORD not in done.stdout + done.stderr + got(server, server.url + "dep/").decode()
        assert server.failure is None
        done = pip(server, tmp_path, "index", "versions", "dep")
        assert "Available versions: 2.0, 1.0" in done.stdout
        done = pip(server, tmp_path, "download", "nothing-of-the-kind")
        assert "No matching distribution found for nothing-of-the-kind" in done.stderr


def test_pages_lead_back_to_the_server_in_both_forms(private: Site) -> None:
    with client(private) as asked, IndexServer(asked) as server:
        html = got(server, server.url + "dep/").decode()
        told = json.loads(got(server, server.url + "dep/", Accept=JSON))
        wheel, source = told["files"]
        assert [file["filename"] for file in told["files"]] == ["dep-1.0-py3-none-any.whl", "dep-2.0.tar.gz"]
        assert wheel["hashes"] == {"sha256": hashlib.sha256(private.files[wheel["filename"]]).hexdigest()}
        assert (wheel["requires-python"], wheel["core-metadata"], "core-metadata" in source) == (">=3.5", True, False)
        for file in told["files"]:
            assert f'href="{file["url"]}#sha256={file["hashes"]["sha256"]}"' in html
            assert got(server, f"http://127.0.0.1:{server.port}{file['url']}") == private.files[file["filename"]]
        assert private.root not in html


def test_hashes_are_told_as_pip_tools_asks_for_them(private: Site) -> None:
    with client(private) as asked, IndexServer(asked) as server:
        told = json.loads(got(server, server.url.replace("/simple/", "/dep/json")))["releases"]
        assert [(one["packagetype"], one["digests"]["sha256"]) for one in (*told["1.0"], *told["2.0"])] == [
            (kind, hashlib.sha256(private.files[file]).hexdigest())
            for kind, file in (("bdist_wheel", "dep-1.0-py3-none-any.whl"), ("sdist", "dep-2.0.tar.gz"))
        ]
        assert got(server, told["2.0"][0]["url"]) == private.files["dep-2.0.tar.gz"]


def test_what_no_page_lists_cannot_be_had(private: Site, forge: Callable[..., Path]) -> None:
    path = forge("near", "1.0")
    secret = path.parent / "secret.txt"
    secret.write_text("secret")
    with client(private, links=(str(path.parent),)) as asked, IndexServer(asked) as server:
        files = server.url.removesuffix("simple/") + "files/"
        assert got(server, f"{files}near/{path.name}") == path.read_bytes()
        inside = ("files/near/secret.txt", "files/near/..%2Fsecret.txt", "files/near/%2Fetc%2Fpasswd", "simple/Near/")
        for place in (*inside, "simple/", "files/near/../../etc/passwd", "pypi/near/json", ""):
            with pytest.raises(urllib.error.HTTPError) as refused:
                got(server, server.url.removesuffix("simple/") + place)
            assert refused.value.code == 404
            refused.value.close()
        for stated in ("", "Basic bGFtaW5hOg==", "Basic \xe4"):  # who does not know the password gets nothing
            with pytest.raises(urllib.error.HTTPError) as refused:
                got(server, f"{files}near/{path.name}", Authorization=stated)
            assert refused.value.code == 401
            refused.value.close()


def test_errors_are_told_and_remembered(private: Site, tmp_path: Path) -> None:
    private.refusing = "/files/app"
    with client(private) as asked, IndexServer(asked) as server:
        done = pip(server, tmp_path, "download", "app")
        assert done.returncode != 0
        assert server.failure is not None
        expected = f"http://{private.root}/files/app-1.0-py3-none-any.whl: access refused (403)"
        assert server.failure.message == expected
    private.refusing = "/simple/app"
    with client(private) as asked, IndexServer(asked) as server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            got(server, server.url + "app/")
        assert (refused.value.code, refused.value.read().decode()) == (502, str(server.failure))
        refused.value.close()


def test_offline_answers_come_from_the_store(private: Site, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with client(private, store) as asked, IndexServer(asked, store) as server:
        page = got(server, server.url + "dep/")
        metadata = got(server, server.url.replace("/simple/", "/files/") + "dep/dep-1.0-py3-none-any.whl.metadata")
    private.seen.clear()
    with client(private, store, offline=True) as asked, IndexServer(asked, store) as server:
        files = server.url.replace("/simple/", "/files/")
        assert len(got(server, server.url + "dep/")) == len(page)
        assert got(server, files + "dep/dep-1.0-py3-none-any.whl.metadata") == metadata
        with pytest.raises(urllib.error.HTTPError) as refused:
            got(server, files + "dep/dep-1.0-py3-none-any.whl")
        refused.value.close()
        assert str(server.failure) == "offline, and dep-1.0-py3-none-any.whl is not in the store"
    assert private.seen == []


def test_nothing_listens_after_the_end(private: Site) -> None:
    with client(private) as asked, IndexServer(asked) as server:
        pass
    with pytest.raises(urllib.error.URLError):
        got(server, server.url + "dep/")
