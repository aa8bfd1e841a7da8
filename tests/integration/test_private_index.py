"""Private indexes on loopback, asked by the command line: passwords, indexes for some packages, proxies, authorities.

After every build with a password, everything that was written or printed is searched for it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import select
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from html import escape
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

USER, PASSWORD = "reader-7f3a91", "p@ss/w0rd+c4e8"
LOCK = "recipes/locks/demo-cp311-manylinux_2_26_x86_64.txt"
RECIPE = """
name = "demo"
requirements = ["app"]
provided = []

[[target]]
python = "cp311"
architecture = "x86_64"
"""
OWN = """
[[index]]
name = "own-1"
url = "{}"
packages = ["Torch"]
"""

Forge = Callable[..., Path]


class Site:
    """A simple index of wheels; with an ``account`` only for who knows it. ``seen`` is path and Authorization."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.seen: list[tuple[str, str]] = []
        self.account = ""
        self.areas: dict[str, str] = {}  # further accounts, by the beginning of the path
        self.closed = ""  # files whose path holds this are for nobody
        self.elsewhere = ""  # where links lead to, if not here
        self.moved = ""  # where every page is redirected to
        self.refusal = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def do_HEAD(self) -> None:
                outer.answer(self)

            def do_CONNECT(self) -> None:
                outer.tunnel(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign] # who does not trust us hangs up
        if context is not None:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        self.root = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self.url = f"{self.root}/simple"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def put(self, path: Path) -> None:
        """Offer a wheel here, and no longer where it was."""
        self.files[path.name] = path.read_bytes()
        path.unlink()

    def with_account(self) -> str:
        """The index's URL with user and password."""
        return self.url.replace("://", f"://{USER}:{quote(PASSWORD, safe='')}@")

    def asked(self) -> set[str]:
        """The projects and files that somebody wanted."""
        return {path.strip("/").rpartition("/")[2] for path, _ in self.seen}

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, stated = urlsplit(handler.path).path, handler.headers.get("Authorization", "")
        self.seen.append((path, stated))
        area = next((area for area in self.areas if path.startswith(area)), "")
        path = path.removeprefix(area)
        account = self.areas.get(area, self.account)
        wrong = account and stated != "Basic " + base64.b64encode(account.encode()).decode()
        if wrong or (self.closed and self.closed in path):
            return self.reply(handler, 401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        if self.refusal:
            return self.reply(handler, self.refusal, b"")
        name = path.rpartition("/")[2]
        if not path.startswith("/simple/"):
            return self.reply(handler, 200 if name in self.files else 404, self.files.get(name, b""))
        if self.moved:
            return self.reply(handler, 302, b"", {"Location": self.moved + path})
        project = path.split("/")[2]
        found = [file for file in self.files if file.partition("-")[0].replace("_", "-") == project]
        links = "".join(f"<a href='{escape(area + self.link(file))}'>{file}</a><br>" for file in found)
        return self.reply(handler, 200 if found else 404, links.encode(), {"Content-Type": "text/html"})

    def tunnel(self, handler: BaseHTTPRequestHandler) -> None:
        self.reply(handler, 405, b"")

    def link(self, file: str) -> str:
        return f"{self.elsewhere}/files/{file}#sha256={hashlib.sha256(self.files[file]).hexdigest()}"

    def reply(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        handler.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)


class Proxy(Site):
    """An HTTP proxy that leads to ``behind`` whatever host is asked for."""

    def __init__(self, behind: Site) -> None:
        super().__init__()
        self.behind = behind
        self.hosts: set[str] = set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        known = "Basic " + base64.b64encode(self.account.encode()).decode()
        if self.account and handler.headers.get("Proxy-Authorization") != known:
            return self.reply(handler, 407, b"", {"Proxy-Authenticate": 'Basic realm="x"'})
        url = urlsplit(handler.path)
        self.hosts.add(url.hostname or "")
        way = HTTPConnection("127.0.0.1", self.behind.port)
        way.request(handler.command, url.path, headers={"Authorization": handler.headers.get("Authorization", "")})
        answer = way.getresponse()
        body = answer.read()
        kind = answer.getheader("Content-Type") or "application/octet-stream"
        self.reply(handler, answer.status, body, {"Content-Type": kind})
        return way.close()

    def tunnel(self, handler: BaseHTTPRequestHandler) -> None:
        """Carry bytes both ways, as every proxy does for TLS."""
        self.hosts.add(handler.path)
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with socket.create_connection(("127.0.0.1", self.behind.port)) as way:
            ends = {handler.connection: way, way: handler.connection}
            while True:
                for end in select.select(list(ends), [], [], 10)[0]:
                    content = end.recv(1 << 16)
                    if not content:
                        return
                    ends[end].sendall(content)


class World:
    """A project with one recipe, an environment with nothing of this machine's, and what was printed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        (self.project / "recipes").mkdir(parents=True)
        (root / "home").mkdir()
        kept = ("PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMP", "COVERAGE_PROCESS_START")
        self.env = {name: os.environ[name] for name in kept if name in os.environ} | {
            "HOME": str(root / "home"),
            "LAMINA_CACHE": str(root / "store"),
            "UV_CACHE_DIR": str(root / "uv"),
            "UV_HTTP_RETRIES": "0",
        }
        self.printed = ""
        self.recipe()

    def recipe(self, more: str = "") -> None:
        (self.project / "recipes" / "demo.toml").write_text(RECIPE + more)

    def lamina(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "lamina", *arguments],
            cwd=self.project,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.printed += done.stdout + done.stderr
        return done

    def made(self, env: Mapping[str, str] | None = None) -> list[str]:
        """Lock and build; the packages of the lock."""
        for arguments in (("lock", "demo"), ("build", "demo")):
            done = self.lamina(*arguments, env=env)
            assert done.returncode == 0, done.stderr
        assert list((self.project / "dist").glob("*.zip"))
        return self.locked()

    def locked(self) -> list[str]:
        text = (self.project / LOCK).read_text()
        assert "://" not in text
        assert "127.0.0.1" not in text
        return [line.partition(" ")[0] for line in text.splitlines() if not line.startswith("#")]

    def leaks(self) -> list[str]:
        """Where a secret stands: in a file of the project, the store or uv's cache, or in the output."""
        places = {"output": self.printed.encode()}
        for folder in ("project", "store", "uv"):
            for path in (self.root / folder).rglob("*"):
                if path.is_file():
                    places[str(path)] = path.read_bytes()
                    if path.suffix in {".whl", ".zip"}:
                        with zipfile.ZipFile(path) as archive:
                            places |= {f"{path}:{name}": archive.read(name) for name in archive.namelist()}
        assert any(place.endswith(".cdx.json") for place in places)
        return [place for place, content in places.items() for secret in secrets() if secret in content]


def secrets() -> list[bytes]:
    plain = [USER, PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), repr(PASSWORD)[1:-1]]
    coded = [base64.b64encode(text.encode()).rstrip(b"=") for text in (USER, PASSWORD, f"{USER}:{PASSWORD}")]
    return [*(text.encode() for text in plain), *coded]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def sites() -> Iterator[Callable[..., Site]]:
    """Start a site; all end with the test."""
    running: list[Site] = []

    def start(kind: type[Site] = Site, *arguments: object) -> Site:
        running.append(kind(*arguments))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for site in running:
        site.http.shutdown()
        site.http.server_close()


@pytest.fixture
def private(sites: Callable[..., Site], forge: Forge) -> Site:
    """An index with a password that has ``app``, which needs ``torch``."""
    site = sites()
    site.account = f"{USER}:{PASSWORD}"
    site.put(forge("app", "1.0", {"app/__init__.py": "import torch\n"}, requires=("torch",)))
    site.put(forge("torch", "1.0", {"torch/__init__.py": ""}))
    return site


def netrc(world: World, *, host: str = "127.0.0.1") -> dict[str, str]:
    path = world.root / "netrc"
    path.write_text(f"machine {host} login {USER} password {PASSWORD}\n")
    path.chmod(0o600)
    return {"NETRC": str(path)}


@pytest.mark.parametrize("how", ["url", "pip", "variables", "netrc", "home"])
def test_a_password_leaves_no_trace(world: World, private: Site, how: str) -> None:
    env = {
        "url": {"UV_DEFAULT_INDEX": private.with_account()},
        "pip": {"PIP_INDEX_URL": private.with_account()},
        "variables": {
            "UV_INDEX": f"my-own={private.url}",
            "UV_INDEX_MY_OWN_USERNAME": USER,
            "UV_INDEX_MY_OWN_PASSWORD": PASSWORD,
            "UV_DEFAULT_INDEX": str(world.root / "home"),
        },
        "netrc": {"UV_DEFAULT_INDEX": private.url, **(netrc(world) if how == "netrc" else {})},
        "home": {"UV_DEFAULT_INDEX": private.url},
    }[how]
    if how == "home":
        Path(netrc(world)["NETRC"]).rename(world.root / "home" / ".netrc")
    assert world.made(env) == ["app==1.0", "torch==1.0"]
    assert world.leaks() == []
    (world.project / LOCK).unlink()
    done = world.lamina("lock", "demo", "--offline", env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["url", "variables", "netrc"])
def test_a_password_of_an_index_for_some_packages_leaves_no_trace(
    world: World, private: Site, sites: Callable[..., Site], forge: Forge, how: str
) -> None:
    public = sites()
    public.put(forge("app", "2.0", {"app/__init__.py": "import torch\n"}, requires=("torch",)))
    public.put(forge("torch", "9.0"))
    world.recipe(OWN.format(private.url if how != "url" else "https://index.invalid/simple"))
    env = {
        "url": {"LAMINA_INDEX_OWN_1": private.with_account()},
        "variables": {"UV_INDEX_OWN_1_USERNAME": USER, "UV_INDEX_OWN_1_PASSWORD": PASSWORD},
        "netrc": netrc(world) if how == "netrc" else {},
    }[how] | {"UV_DEFAULT_INDEX": public.url}
    assert world.made(env) == ["app==2.0", "torch==1.0"]
    assert world.leaks() == []
    assert "torch" not in public.asked()
    if how != "netrc":  # which speaks of the host, whatever the port
        assert {stated for _, stated in public.seen} == {""}
    assert "app" not in private.asked()
    (world.project / LOCK).unlink()
    done = world.lamina("lock", "demo", "--offline", env=env)
    assert done.returncode == 0, done.stderr


def test_an_index_serves_its_packages_and_no_others(world: World, sites: Callable[..., Site], forge: Forge) -> None:
    own, public = sites(), sites()
    public.put(forge("app", "1.0", {"app/__init__.py": "import torch, dep\n"}, requires=("torch", "dep")))
    public.put(forge("torch", "9.0"))
    public.put(forge("dep", "1.0", {"dep/__init__.py": ""}))
    own.put(forge("torch", "1.0", {"torch/__init__.py": "import dep\n"}, requires=("dep",)))
    own.put(forge("dep", "99.0"))
    own.put(forge("app", "99.0"))
    world.recipe(OWN.format(own.url))
    assert world.made({"UV_DEFAULT_INDEX": public.url}) == ["app==1.0", "dep==1.0", "torch==1.0"]
    assert own.asked() == {"torch", "torch-1.0-py3-none-any.whl"}
    assert not any("torch" in name for name in public.asked())


@pytest.mark.parametrize("layout", ["loose", "tree"])
def test_a_folder_takes_the_place_of_an_index(
    world: World, sites: Callable[..., Site], forge: Forge, layout: str
) -> None:
    public = sites()
    public.put(forge("app", "1.0", {"app/__init__.py": "import torch\n"}, requires=("torch",)))
    folder = world.root / "own wheels"
    path = forge("torch", "1.0", {"torch/__init__.py": ""})
    target = folder if layout == "loose" else folder / "torch"
    target.mkdir(parents=True)
    path.rename(target / path.name)
    if layout == "tree":
        (target / "index.html").write_text(f'<!DOCTYPE html><a href="{path.name}">{path.name}</a>')
    world.recipe(OWN.format("https://index.invalid/simple"))
    env = {"UV_DEFAULT_INDEX": public.url, "LAMINA_INDEX_OWN_1": str(folder)}
    assert world.made(env) == ["app==1.0", "torch==1.0"]
    other = world.lamina("lock", "demo", "--check")
    assert other.returncode == 0, other.stderr


def test_two_indexes_on_one_host_keep_their_own_passwords(
    world: World, sites: Callable[..., Site], forge: Forge
) -> None:
    site = sites()
    site.areas = {"/a": f"{USER}:{PASSWORD}", "/b": f"{USER}:other"}
    site.put(forge("app", "1.0", {"app/__init__.py": ""}, requires=("torch", "dep")))
    site.put(forge("torch", "1.0", {"torch/__init__.py": ""}))
    site.put(forge("dep", "1.0", {"dep/__init__.py": ""}))
    second = OWN.replace("own-1", "own-2").replace("Torch", "dep").format(f"{site.root}/b/simple")
    world.recipe(OWN.format(f"{site.root}/a/simple") + second)
    env = {"UV_DEFAULT_INDEX": site.url}
    for number, password in (("1", PASSWORD), ("2", "other")):
        env |= {f"UV_INDEX_OWN_{number}_USERNAME": USER, f"UV_INDEX_OWN_{number}_PASSWORD": password}
    assert world.made(env) == ["app==1.0", "dep==1.0", "torch==1.0"]
    assert {path for path, _ in site.seen if path.startswith("/a/")} == {
        "/a/simple/torch/", "/a/files/torch-1.0-py3-none-any.whl"
    }  # fmt: skip


def test_what_an_index_of_its_own_has_no_longer(world: World, sites: Callable[..., Site], forge: Forge) -> None:
    own, public = sites(), sites()
    public.put(forge("app", "1.0", {"app/__init__.py": "import torch\n"}, requires=("torch",)))
    own.put(forge("torch", "1.0"))
    world.recipe(OWN.format(own.url))
    env = {"UV_DEFAULT_INDEX": public.url}
    done = world.lamina("lock", "demo", env=env)
    assert done.returncode == 0, done.stderr
    public.files |= own.files  # elsewhere it is of no use, even with the right hash
    own.files.clear()
    done = world.lamina("build", "demo", env=env)
    assert done.returncode == 4
    wheel = "torch-1.0-py3-none-any.whl"
    error, hint = done.stderr.splitlines()[-2:]
    assert error == f"error: {wheel}: not on the index own-1, which alone serves torch, and in no folder of wheels"
    assert "Name that index in the environment (LAMINA_INDEX_OWN_1), or renew the lock: lamina lock" in hint


@pytest.mark.parametrize("own", [True, False])
def test_a_page_for_everybody_with_wheels_for_nobody(world: World, private: Site, *, own: bool) -> None:
    private.closed = "/files/"
    env = {"UV_DEFAULT_INDEX": private.with_account()}
    if own:
        world.recipe(OWN.format(private.url))
        env["LAMINA_INDEX_OWN_1"] = private.with_account()
    done = world.lamina("lock", "demo", env=env)
    assert done.returncode == 4
    assert "401" in done.stderr
    assert "netrc" in done.stderr
    assert not [secret for secret in secrets() if secret in done.stderr.encode()]


@pytest.mark.parametrize("direct", [True, False])
def test_a_package_that_its_index_does_not_have(
    world: World, sites: Callable[..., Site], forge: Forge, *, direct: bool
) -> None:
    own, public = sites(), sites()
    public.put(forge("app", "1.0", requires=("torch",)))
    public.put(forge("torch", "9.0"))
    world.recipe(OWN.format(own.url))
    if direct:
        recipe = world.project / "recipes" / "demo.toml"
        recipe.write_text(recipe.read_text().replace('["app"]', '["app", "torch"]'))
    done = world.lamina("lock", "demo", env={"UV_DEFAULT_INDEX": public.url})
    assert done.returncode == 3
    assert done.stderr.splitlines()[1:] == [
        "error: nothing can be resolved for cp311-manylinux_2_26_x86_64:",
        "  torch: the index own-1, which alone serves it, has no project of this name",
        "torch: take it out of that index's packages in the recipe, or let LAMINA_INDEX_OWN_1 name another index.",
    ]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("own", [True, False])
def test_an_index_that_refuses(world: World, private: Site, status: int, *, own: bool) -> None:
    if status == 401:
        private.account = f"{USER}:another"
    else:
        private.refusal = 403
    env = {"UV_DEFAULT_INDEX": str(world.root / "home") if own else private.with_account()}
    if own:
        world.recipe(OWN.format(private.url))
        env["LAMINA_INDEX_OWN_1"] = private.with_account()
    done = world.lamina("lock", "demo", env=env)
    assert done.returncode == 4
    assert f"127.0.0.1:{private.port}/simple" in done.stderr
    assert str(status) in done.stderr
    assert ("LAMINA_INDEX_OWN_1" in done.stderr) is own
    assert not [secret for secret in secrets() if secret in done.stderr.encode()]
    assert not (world.project / LOCK).exists()


@pytest.mark.parametrize("own", [True, False])
def test_an_index_that_refuses_a_wheel(world: World, private: Site, *, own: bool) -> None:
    place = {"UV_DEFAULT_INDEX": private.with_account()}
    if own:
        world.recipe(OWN.format(private.url))
        place["LAMINA_INDEX_OWN_1"] = private.with_account()
    done = world.lamina("lock", "demo", env=place)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(world.root / "store" / "wheels", ignore_errors=True)
    private.account = f"{USER}:changed"
    done = world.lamina("build", "demo", env=place)
    assert done.returncode == 4
    assert "the index asks for user and password (401)" in done.stderr
    assert not [secret for secret in secrets() if secret in done.stderr.encode()]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("how", "host"),
    [("redirect", "127.0.0.1"), ("redirect", "localhost"), ("links", "127.0.0.1"), ("links", "localhost")],
)
def test_another_host_never_sees_the_password(
    world: World, private: Site, sites: Callable[..., Site], how: str, host: str, *, own: bool
) -> None:
    other = sites()
    other.files = dict(private.files)
    there = f"http://{host}:{other.port}"
    if how == "redirect":
        private.moved = there
    else:
        private.elsewhere = there
    env = {"UV_DEFAULT_INDEX": private.with_account()}
    if own:
        world.recipe(OWN.format(private.url).replace('["Torch"]', '["torch", "app"]'))
        env = {"UV_DEFAULT_INDEX": str(world.root / "home"), "LAMINA_INDEX_OWN_1": private.with_account()}
    assert world.made(env) == ["app==1.0", "torch==1.0"]
    assert "torch-1.0-py3-none-any.whl" in other.asked()
    assert {stated for _, stated in other.seen} == {""}
    assert world.leaks() == []


def test_extra_indexes_and_folders_beside_them(
    world: World, private: Site, sites: Callable[..., Site], forge: Forge
) -> None:
    public = sites()
    for name in ("app", "torch", "more"):
        public.put(forge(name, "9.0", {f"{name}/__init__.py": ""}))
    vendored = forge("vendored", "1.0", {"vendored/__init__.py": ""})
    (world.project / "wheels").mkdir()
    vendored.rename(world.project / "wheels" / vendored.name)
    recipe = world.project / "recipes" / "demo.toml"
    recipe.write_text(
        RECIPE.replace('["app"]', '["app", "more", "vendored"]').replace(
            "provided", 'find-links = ["wheels"]\nprovided'
        )
    )
    env = {"UV_EXTRA_INDEX_URL": private.with_account(), "PIP_INDEX_URL": public.url}
    assert world.made(env) == ["app==1.0", "more==9.0", "torch==1.0", "vendored==1.0"]
    assert {stated for _, stated in public.seen} == {""}
    assert world.leaks() == []


@pytest.mark.parametrize("own", [True, False])
def test_a_proxy_is_the_only_way(world: World, private: Site, sites: Callable[..., Site], *, own: bool) -> None:
    proxy = sites(Proxy, private)
    assert isinstance(proxy, Proxy)
    proxy.account = f"{USER}:{PASSWORD}"
    url = private.with_account().replace(f"127.0.0.1:{private.port}", "index.invalid")
    env = {"UV_DEFAULT_INDEX": url, "HTTP_PROXY": proxy.with_account().removesuffix("/simple")}
    if own:
        world.recipe(OWN.format("http://index.invalid/simple"))
        env["LAMINA_INDEX_OWN_1"] = url
    env["http_proxy"] = env["HTTP_PROXY"]  # which of the two counts is the libraries' choice
    assert world.made(env) == ["app==1.0", "torch==1.0"]
    assert proxy.hosts == {"index.invalid"}
    assert world.leaks() == []
    wrong = {**env, "HTTP_PROXY": proxy.root, "http_proxy": proxy.root, "UV_CACHE_DIR": str(world.root / "uv2")}
    done = world.lamina("lock", "demo", "--upgrade", env=wrong)
    assert done.returncode == 4
    assert "407" in done.stderr
    assert not [secret for secret in secrets() if secret in done.stderr.encode()]


def test_no_proxy_is_honoured(world: World, private: Site, sites: Callable[..., Site]) -> None:
    proxy = sites(Proxy, private)
    assert isinstance(proxy, Proxy)
    env = {"UV_DEFAULT_INDEX": private.with_account(), "HTTP_PROXY": proxy.root, "http_proxy": proxy.root}
    around = {**env, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    assert world.made(around) == ["app==1.0", "torch==1.0"]
    assert proxy.hosts == set()
    shutil.rmtree(world.root / "store")
    shutil.rmtree(world.root / "uv")
    world.made(env)
    assert proxy.hosts == {"127.0.0.1"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority of our own, ``ca.pem``, and a certificate of its for this host."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this machine, which makes the certificates")
    folder = tmp_path_factory.mktemp("authority")
    (folder / "names").write_text(
        "basicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1,DNS:localhost,DNS:index.invalid\nextendedKeyUsage=serverAuth\n"
    )
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    signed = ["-days", "2", "-extfile", "names", "-out", "host.pem"]
    for arguments in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=tests", "-days", "2"],
        ["req", *key, "-keyout", "host.key", "-out", "host.csr", "-subj", "/CN=127.0.0.1"],
        ["x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "2", *signed],
    ):
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)
    (folder / "trusted").mkdir()
    shutil.copy(folder / "ca.pem", folder / "trusted")
    subprocess.run([openssl, "rehash", "trusted"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def secure(sites: Callable[..., Site], authority: Path, private: Site) -> Site:
    """The private index over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "host.pem", authority / "host.key")
    site = sites(Site, context)
    site.files, site.account = private.files, private.account
    return site


@pytest.mark.parametrize(
    ("variable", "own"),
    [("SSL_CERT_FILE", True), ("SSL_CERT_FILE", False), ("REQUESTS_CA_BUNDLE", False), ("PIP_CERT", True)],
)
def test_an_authority_of_ones_own(world: World, secure: Site, authority: Path, variable: str, *, own: bool) -> None:
    env = {"UV_DEFAULT_INDEX": secure.with_account(), variable: str(authority / "ca.pem")}
    if own:
        world.recipe(OWN.format(secure.url))
        env["LAMINA_INDEX_OWN_1"] = secure.with_account()
    assert world.made(env) == ["app==1.0", "torch==1.0"]
    assert world.leaks() == []


@pytest.mark.parametrize("own", [True, False])
def test_a_proxy_is_the_only_way_to_tls(
    world: World, secure: Site, authority: Path, sites: Callable[..., Site], *, own: bool
) -> None:
    proxy = sites(Proxy, secure)
    assert isinstance(proxy, Proxy)
    url = secure.with_account().replace(f"127.0.0.1:{secure.port}", "index.invalid")
    env = {"UV_DEFAULT_INDEX": url, "HTTPS_PROXY": proxy.root, "SSL_CERT_FILE": str(authority / "ca.pem")}
    if own:
        world.recipe(OWN.format("https://index.invalid/simple"))
        env["LAMINA_INDEX_OWN_1"] = url
    assert world.made(env) == ["app==1.0", "torch==1.0"]
    assert proxy.hosts == {"index.invalid:443"}
    assert world.leaks() == []


def test_a_folder_of_authorities(world: World, secure: Site, authority: Path) -> None:
    env = {"UV_DEFAULT_INDEX": secure.with_account(), "REQUESTS_CA_BUNDLE": str(authority / "trusted")}
    assert world.made(env) == ["app==1.0", "torch==1.0"]


@pytest.mark.parametrize("own", [True, False])
def test_an_authority_that_nobody_trusts(world: World, secure: Site, *, own: bool) -> None:
    env = {"UV_DEFAULT_INDEX": secure.with_account()}
    if own:
        world.recipe(OWN.format(secure.url))
        env["LAMINA_INDEX_OWN_1"] = secure.with_account()
    done = world.lamina("lock", "demo", env=env)
    assert done.returncode == 4
    assert "SSL_CERT_FILE" in done.stderr
    assert not [secret for secret in secrets() if secret in done.stderr.encode()]
    assert secure.seen == []
