"""Downloads against a server on loopback that cuts, lies, stalls, and asks for passwords."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lamina.errors import IndexAccessError, IntegrityError, MissingToolError
from lamina.fetch import download, fetch
from lamina.index import IndexClient, Indexes, from_environment, transport
from lamina.index.model import IndexFile
from lamina.lock import Lock, LockedWheel, render
from lamina.progress import SILENT, Progress, Task
from lamina.recipe import Recipe, TargetSpec
from lamina.resolve import complete as completing
from lamina.resolve import resolve
from lamina.store import Store
from lamina.target import target_for

FOO = "foo-1.0-py3-none-any.whl"
BYTES = hashlib.shake_128(b"foo").digest(700_000)
DIGEST = hashlib.sha256(BYTES).hexdigest()


class Server:
    """A simple index with files, which answers each request for a file as the next item of ``script`` says."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {FOO: BYTES}
        self.script: list[str] = []
        self.requests: list[tuple[str, str]] = []  # path, Range
        self.account = ""
        self.stated = True  # whether pages state hashes
        self.heads = True  # whether HEAD is answered
        self.guard = threading.Lock()
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def do_HEAD(self) -> None:
                outer.head(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign] # clients that go away are the point
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/simple"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        expected = "Basic " + base64.b64encode(self.account.encode()).decode()
        if self.account and handler.headers.get("Authorization") != expected:
            return self.reply(handler, 401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        if handler.path.startswith("/simple/"):
            return self.page(handler)
        with self.guard:
            self.requests.append((handler.path, handler.headers.get("Range", "")))
            step = self.script.pop(0) if self.script else ""
        return self.file(handler, step)

    def head(self, handler: BaseHTTPRequestHandler) -> None:
        content = self.files.get(handler.path.rpartition("/")[2], b"")
        handler.send_response(200 if self.heads else 405)
        handler.send_header("Content-Length", str(len(content)) if self.heads else "0")
        handler.end_headers()

    def page(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.split("/")[2]
        files = {file: content for file, content in self.files.items() if file.startswith(name + "-")}
        if not files:
            return self.reply(handler, 404, b"")
        rows = [
            {
                "filename": file,
                "url": f"/files/{file}",
                "hashes": {"sha256": hashlib.sha256(content).hexdigest()} if self.stated else {},
            }
            for file, content in files.items()
        ]
        body = json.dumps({"meta": {"api-version": "1.0"}, "name": name, "files": rows}).encode()
        return self.reply(handler, 200, body, {"Content-Type": "application/vnd.pypi.simple.v1+json"})

    def file(self, handler: BaseHTTPRequestHandler, step: str) -> None:
        word, _, number = step.partition(":")
        content = self.files[handler.path.rpartition("/")[2]]
        if word.isdigit():
            return self.reply(handler, int(word), b"", {"Retry-After": number} if number else {})
        if word == "lie":
            content = bytes(len(content))
        if word == "other":
            content = content[: int(number)]
        start = 0
        stated = handler.headers.get("Range", "")
        if re.fullmatch(r"bytes=\d+-", stated) and word != "norange":
            start = int(stated.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.reply(handler, 416, b"", {"Content-Range": f"bytes */{len(content)}"})
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        body = content[start:]
        if word == "endless":
            return self.reply(handler, 200, body + body, {}, length=False)
        if word == "cut":
            return self.reply(handler, 206 if start else 200, body, headers, send=int(number))
        if word == "stall":
            self.reply(handler, 200, body, headers, send=int(number), close=False)
            self.released.wait(30)
            return None
        return self.reply(handler, 206 if start else 200, body, headers)

    def reply(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        send: int | None = None,
        length: bool = True,
        close: bool = True,
    ) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        if length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:send])
        handler.wfile.flush()
        if close and (send is not None or not length):
            handler.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(transport, "FIRST_DELAY", 0.01)
    running = Server()
    yield running
    running.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def locked(name: str, content: bytes, version: str = "1.0") -> LockedWheel:
    filename = f"{name}-{version}-py3-none-any.whl"
    return LockedWheel(name, version, filename, hashlib.sha256(content).hexdigest(), len(content))


def lock(*wheels: LockedWheel) -> Lock:
    return Lock("cp311-manylinux2014_x86_64", "uv 1", "00" * 32, wheels or (locked("foo", BYTES),), "x")


def get(
    server: Server,
    store: Store,
    what: Lock | None = None,
    progress: Progress = SILENT,
    *,
    indexes: Indexes | None = None,
) -> Path:
    """Fetch, and return where foo is."""
    indexes = indexes or Indexes(server.url)
    places = fetch(what or lock(), store=store, indexes=indexes, offline=False, progress=progress)
    for digest, path in places.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert not left(store)
    return places[DIGEST]


def left(store: Store) -> list[Path]:
    """What is neither a finished wheel, a page, nor a lock file."""
    return [path for kind in ("partial", "tmp") for path in (store.root / kind).rglob("*") if path.is_file()]


class Counting(Progress):
    """Adds up what tasks are told, by label."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.stages: list[str] = []

    def stage(self, message: str) -> None:
        self.stages.append(message)

    def task(self, label: str, total: int | None = None, *, unit: str = "bytes") -> Task:
        del unit
        done = self.done
        done.setdefault(f"{label} {total}", 0)

        class Adding(Task):
            def advance(self, amount: int) -> None:
                done[f"{label} {total}"] += amount

        return Adding()


def test_many_at_once(server: Server, store: Store) -> None:
    contents = {f"pkg{number}": os.urandom(1000 + number) for number in range(20)}
    wheels = [locked(name, content) for name, content in contents.items()]
    server.files |= {wheel.filename: contents[wheel.name] for wheel in wheels}
    progress = Counting()
    get(server, store, lock(locked("foo", BYTES), *wheels), progress)
    assert progress.done == {f"{wheel.filename} {wheel.size}": wheel.size for wheel in (locked("foo", BYTES), *wheels)}
    assert progress.stages == ["fetching 21 wheels (0.7 MB)"]
    assert len(server.requests) == 21


def test_what_stands_in_the_store_is_not_asked_for(
    server: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = get(server, store)

    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert fetch(lock(), store=store, indexes=Indexes(server.url), offline=False, progress=SILENT) == {DIGEST: path}


def test_an_entry_of_another_size_is_fetched_again(server: Server, store: Store) -> None:
    get(server, store).write_bytes(b"damaged")
    get(server, store)
    assert len(server.requests) == 2


def test_a_cut_is_resumed_where_it_was(server: Server, store: Store) -> None:
    server.script = ["cut:300000", "cut:100000", "500"]
    progress = Counting()
    get(server, store, progress=progress)
    starts = [int(header.removeprefix("bytes=").removesuffix("-") or 0) for _, header in server.requests]
    assert starts[0] == 0
    assert 0 < starts[1] <= 300_000
    assert starts[1] < starts[2] <= starts[1] + 100_000
    assert starts[3] == starts[2]
    assert progress.done == {f"{FOO} {len(BYTES)}": len(BYTES)}


def test_what_another_run_left_is_continued(server: Server, store: Store) -> None:
    partial = store.path("partial", DIGEST)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(BYTES[:123_456])
    get(server, store)
    assert server.requests == [(f"/files/{FOO}", "bytes=123456-")]


def test_a_complete_rest_needs_no_request(server: Server, store: Store) -> None:
    partial = store.path("partial", DIGEST)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(BYTES)
    get(server, store)
    assert server.requests == []


@pytest.mark.parametrize("rest", [b"x" * 1000, BYTES + b"x", bytes(len(BYTES))])
def test_a_rest_of_something_else_is_thrown_away(server: Server, store: Store, rest: bytes) -> None:
    partial = store.path("partial", DIGEST)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(rest)
    progress = Counting()
    get(server, store, progress=progress)
    assert server.requests[-1] == (f"/files/{FOO}", "")
    assert progress.done == {f"{FOO} {len(BYTES)}": len(BYTES)}


def test_a_server_that_ignores_ranges(server: Server, store: Store) -> None:
    server.script = ["cut:300000", "norange"]
    progress = Counting()
    get(server, store, progress=progress)
    assert progress.done == {f"{FOO} {len(BYTES)}": len(BYTES)}


def test_a_file_that_became_shorter_meanwhile_and_back(server: Server, store: Store) -> None:
    server.script = ["cut:300000", "other:1000"]
    get(server, store)
    assert [header for _, header in server.requests][2] == ""


@pytest.mark.parametrize("status", ["500", "502", "503:0", "504", "408", "429:0", "429"])
def test_passing_troubles_are_waited_out(server: Server, store: Store, status: str) -> None:
    server.script = [status, status]
    get(server, store)
    assert len(server.requests) == 3


def test_a_server_that_never_recovers(server: Server, store: Store) -> None:
    server.script = ["503"] * 9
    with pytest.raises(IndexAccessError) as caught:
        get(server, store)
    url = f"http://127.0.0.1:{server.port}/files/{FOO}"
    assert caught.value.message == f"{url}: the server answers 503 Service Unavailable, 5 times"
    assert caught.value.hint == (
        "Check that 127.0.0.1 can be reached from here (proxy, firewall), and run the command again."
    )
    assert len(server.requests) == 5


def test_a_server_that_asks_for_more_patience_than_there_is(server: Server, store: Store) -> None:
    server.script = ["429:3600"]
    with pytest.raises(IndexAccessError) as caught:
        get(server, store)
    url = f"http://127.0.0.1:{server.port}/files/{FOO}"
    assert caught.value.message == f"{url}: the server asks to come back in 3600 s (429 Too Many Requests)"


def test_a_server_that_cuts_forever(server: Server, store: Store) -> None:
    server.script = ["cut:10"] * 99
    with pytest.raises(IndexAccessError) as caught:
        get(server, store)
    assert caught.value.message == f"{FOO}: the connection broke, 5 times in a row"
    assert "What was downloaded is kept" in caught.value.hint
    assert left(store) == [store.path("partial", DIGEST)]
    server.script = []
    get(server, store)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("403", "access refused (403)"),
        ("404", "nothing there (404)"),
        ("410", "nothing there (410)"),
        ("400", "the server answers 400 Bad Request"),
    ],
)
def test_refusals_are_not_repeated(server: Server, store: Store, status: str, message: str) -> None:
    server.script = [status]
    with pytest.raises(IndexAccessError) as caught:
        get(server, store)
    assert caught.value.message == f"http://127.0.0.1:{server.port}/files/{FOO}: {message}"
    assert caught.value.hint
    assert caught.value.exit_code == 4
    assert len(server.requests) == 1


def test_an_index_that_cannot_be_reached(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_DELAY", 0.01)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(IndexAccessError) as caught:
        get(None, store, indexes=Indexes(f"http://127.0.0.1:{port}/simple"))  # type: ignore[arg-type]
    assert caught.value.message == f"http://127.0.0.1:{port}/simple/foo/: Connection refused, 5 times"


def test_other_bytes_once_are_fetched_again(server: Server, store: Store) -> None:
    server.script = ["lie"]
    progress = Counting()
    get(server, store, progress=progress)
    assert [header for _, header in server.requests] == ["", ""]
    assert progress.done == {f"{FOO} {len(BYTES)}": len(BYTES)}


def test_other_bytes_twice_are_an_error(server: Server, store: Store) -> None:
    server.script = ["lie"] * 3
    with pytest.raises(IntegrityError) as caught:
        get(server, store)
    zeros = hashlib.sha256(bytes(len(BYTES))).hexdigest()
    assert caught.value.message == (
        f"{FOO}: not the file that was locked: expected sha256 {DIGEST}, got sha256 {zeros}"
    )
    assert caught.value.hint == (
        f"It came from http://127.0.0.1:{server.port}/files/{FOO}. Find out who changed it, there or in the lock."
    )
    assert len(server.requests) == 2
    assert not left(store)


def test_more_bytes_than_locked_are_not_read(server: Server, store: Store) -> None:
    server.script = ["endless"] * 2
    with pytest.raises(IntegrityError) as caught:
        get(server, store)
    assert caught.value.message == f"{FOO}: not the file that was locked: expected {len(BYTES)} bytes, got more"


@pytest.mark.parametrize("size", [len(BYTES) - 1, 1000])
def test_a_file_of_another_size(server: Server, store: Store, size: int) -> None:
    server.script = [f"other:{size}"] * 2
    with pytest.raises(IntegrityError) as caught:
        get(server, store)
    assert caught.value.message == (
        f"{FOO}: not the file that was locked: expected {len(BYTES)} bytes, got {size} bytes"
    )


def test_a_page_that_states_another_hash(server: Server, store: Store) -> None:
    server.files[FOO] = b"rebuilt"
    with pytest.raises(IntegrityError) as caught:
        get(server, store)
    other = hashlib.sha256(b"rebuilt").hexdigest()
    assert caught.value.message == (
        f"{FOO}: locked with sha256 {DIGEST}, but there is only: "
        f"sha256 {other} at http://127.0.0.1:{server.port}/files/{FOO}"
    )
    assert caught.value.hint == (
        "Find out who changed it. If the change is meant, renew the lock: lamina lock x --upgrade-package foo"
    )
    assert server.requests == []


def test_a_page_without_hashes(server: Server, store: Store) -> None:
    server.stated = False
    get(server, store)


def test_a_wheel_that_is_nowhere(server: Server, store: Store) -> None:
    with pytest.raises(IndexAccessError) as caught:
        get(server, store, lock(locked("gone", b"x")))
    assert caught.value.message == "gone-1.0-py3-none-any.whl: on no index and in no folder of wheels"
    assert caught.value.hint == (
        "It was removed, or the lock was made with another index. Name that index in the environment "
        "(UV_INDEX, PIP_EXTRA_INDEX_URL), or renew the lock: lamina lock x --upgrade-package gone"
    )


def test_a_second_index_may_have_what_the_first_has_in_other_bytes(
    server: Server, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "mirror" / "foo"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f'<a href="../{FOO}#sha256={"00" * 32}">{FOO}</a>')
    get(server, store, indexes=Indexes(server.url, ((tmp_path / "mirror").as_uri(),)))


def test_a_password_reaches_pages_and_files_and_no_message(server: Server, store: Store) -> None:
    server.account = "me:s3cr/t"
    env = {"UV_DEFAULT_INDEX": f"http://me:s3cr%2Ft@127.0.0.1:{server.port}/simple"}
    server.script = ["403"]
    with pytest.raises(IndexAccessError) as caught:
        get(server, store, indexes=from_environment(env))
    assert "s3cr" not in caught.value.message + caught.value.hint
    get(server, store, indexes=from_environment(env))
    kept = [path.read_bytes() for path in store.root.rglob("*") if path.is_file()]
    assert not any(b"s3cr" in content for content in kept)


def test_a_password_from_netrc(server: Server, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.account = "me:secret"
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    get(server, store)


def test_a_missing_password_says_where_to_put_it(server: Server, store: Store) -> None:
    server.account = "me:secret"
    with pytest.raises(IndexAccessError) as caught:
        get(server, store)
    url = f"http://127.0.0.1:{server.port}/simple/foo/"
    assert caught.value.message == f"{url}: the index asks for user and password (401)"
    assert caught.value.hint == (
        "Put user and password into the index URL in the environment, or into netrc for 127.0.0.1."
    )


def test_offline_opens_no_socket_and_lists_what_is_missing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    wheels = [locked(f"pkg{number}", b"x") for number in range(12)]
    with pytest.raises(IndexAccessError) as caught:
        fetch(lock(*wheels), store=store, indexes=Indexes("http://a.invalid"), offline=True, progress=SILENT)
    assert caught.value.message.splitlines() == [
        "offline, and 12 wheels are not in the store:",
        *(f"  {wheel.filename}" for wheel in wheels[:10]),
        "  and 2 more",
    ]
    assert caught.value.hint == "Run the command once without --offline."


def test_a_folder_of_wheels_serves_offline(store: Store, tmp_path: Path) -> None:
    (tmp_path / FOO).write_bytes(BYTES)
    indexes = Indexes(find_links=(str(tmp_path),))
    places = fetch(lock(), store=store, indexes=indexes, offline=True, progress=SILENT)
    assert places[DIGEST].read_bytes() == BYTES
    assert not left(store)


def test_a_folder_with_other_bytes_gives_way_to_the_index(server: Server, store: Store, tmp_path: Path) -> None:
    (tmp_path / FOO).write_bytes(bytes(len(BYTES)))
    get(server, store, indexes=Indexes(server.url, find_links=(str(tmp_path),)))
    assert len(server.requests) == 1


def test_a_folder_with_other_bytes_alone(server: Server, store: Store, tmp_path: Path) -> None:
    (tmp_path / FOO).write_bytes(b"other")
    server.files.clear()
    with pytest.raises(IntegrityError) as caught:
        get(server, store, indexes=Indexes(server.url, find_links=(str(tmp_path),)))
    assert (
        caught.value.message
        == f"{FOO}: locked with sha256 {DIGEST}, but there is only: other bytes at {tmp_path / FOO}"
    )


def test_a_full_disk(server: Server, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Iterator[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")
        yield b""

    monkeypatch.setattr(download, "_chunks", full)
    with pytest.raises(MissingToolError) as caught:
        get(server, store)
    assert caught.value.message == f"{store.path('wheels', DIGEST, '.whl')}: No space left on device"
    assert caught.value.hint == (
        "Free some space (`lamina cache prune`), or let LAMINA_CACHE name a folder on another disk."
    )
    assert caught.value.exit_code == 5


PROGRAM = """
import sys
from pathlib import Path
from lamina.index import transport
from lamina.fetch import fetch
from lamina.index import Indexes
from lamina.lock import parse
from lamina.progress import SILENT
from lamina.store import Store
lock = parse(Path(sys.argv[1]).read_text(), "lock")
print("ready", flush=True)
fetch(lock, store=Store(Path(sys.argv[2])), indexes=Indexes(sys.argv[3]), offline=False, progress=SILENT)
"""


@pytest.fixture
def process(server: Server, store: Store, tmp_path: Path) -> Iterator[Callable[[Lock], subprocess.Popen[str]]]:
    """Start a process that fetches a lock."""
    started: list[subprocess.Popen[str]] = []

    def start(what: Lock) -> subprocess.Popen[str]:
        path = tmp_path / "lock.txt"
        path.write_text(render(what), encoding="utf-8")
        command = [sys.executable, "-c", PROGRAM, str(path), str(store.root), server.url]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_env())
        started.append(running)
        return running

    yield start
    for running in started:
        running.kill()
        running.communicate()


def _env() -> dict[str, str]:
    import lamina

    return {**os.environ, "PYTHONPATH": str(Path(lamina.__file__).parent.parent)}


def test_two_processes_fetch_each_wheel_once(
    server: Server, store: Store, process: Callable[[Lock], subprocess.Popen[str]]
) -> None:
    wheels = [locked(f"pkg{number}", os.urandom(0) + bytes([number]) * 200_000) for number in range(6)]
    server.files |= {wheel.filename: bytes([number]) * 200_000 for number, wheel in enumerate(wheels)}
    both = [process(lock(*wheels)) for _ in range(2)]
    for running in both:
        _, stderr = running.communicate(timeout=60)
        assert (running.returncode, stderr) == (0, "")
    assert sorted(path for path, _ in server.requests) == sorted(f"/files/{wheel.filename}" for wheel in wheels)
    assert not left(store)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_ends_it_at_once_and_what_came_is_kept(
    server: Server, store: Store, process: Callable[[Lock], subprocess.Popen[str]]
) -> None:
    server.files["bar-1.0-py3-none-any.whl"] = BYTES[::-1]
    server.script = ["stall:300000", "stall:300000"]
    running = process(lock(locked("foo", BYTES), locked("bar", BYTES[::-1])))
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size for path in left(store)) < 500_000:
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, stderr = running.communicate(timeout=20)
    assert time.monotonic() - begun < 5
    assert stderr.strip().endswith("KeyboardInterrupt")
    assert running.returncode in {-signal.SIGINT, 130, 1}
    assert {path.name for path in left(store)} == {DIGEST, hashlib.sha256(BYTES[::-1]).hexdigest()}
    server.released.set()
    get(server, store, lock(locked("foo", BYTES), locked("bar", BYTES[::-1])))
    assert all(header for _, header in server.requests[2:])


def test_a_kill_leaves_nothing_that_hinders(
    server: Server, store: Store, process: Callable[[Lock], subprocess.Popen[str]]
) -> None:
    server.script = ["stall:300000"]
    running = process(lock())
    deadline = time.monotonic() + 30
    while not left(store):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.kill()
    running.communicate()
    server.released.set()
    get(server, store)


def test_one_failure_ends_the_others_soon(server: Server, store: Store) -> None:
    server.files["bar-1.0-py3-none-any.whl"] = BYTES[::-1]
    server.script = ["stall:1000", "404", "404"]
    begun = time.monotonic()
    with pytest.raises(IndexAccessError):
        get(server, store, lock(locked("foo", BYTES), locked("bar", BYTES[::-1])))
    assert time.monotonic() - begun < 5


# --- what the index does not state, when a lock is made ---


def complete(server: Server, store: Store, *, offline: bool = False, sha256: str | None = None) -> LockedWheel:
    url = f"http://127.0.0.1:{server.port}/files/{FOO}"
    file = IndexFile(FOO, "1.0", url, sha256)
    with IndexClient(Indexes(server.url), offline=offline, store=store) as client:
        return completing._complete("foo", "1.0", file, client=client, store=store, progress=SILENT)


def test_a_size_that_the_index_does_not_state_is_asked_for(server: Server, store: Store) -> None:
    expected = locked("foo", BYTES)
    assert complete(server, store, sha256=DIGEST) == expected
    assert server.requests == []
    assert complete(server, store, offline=True, sha256=DIGEST) == expected


def test_a_server_that_does_not_tell_sizes(server: Server, store: Store) -> None:
    server.heads = False
    server.script = ["cut:1000", "503"]
    assert complete(server, store, sha256=DIGEST) == locked("foo", BYTES)
    assert store.path("wheels", DIGEST, ".whl").read_bytes() == BYTES
    assert not left(store)


def test_a_hash_that_the_index_does_not_state_is_made_from_the_file(server: Server, store: Store) -> None:
    assert complete(server, store) == locked("foo", BYTES)
    assert get(server, store).read_bytes() == BYTES
    assert len(server.requests) == 1


def test_a_hash_that_the_index_misstates(server: Server, store: Store) -> None:
    server.heads = False
    with pytest.raises(IntegrityError) as caught:
        complete(server, store, sha256="ab" * 32)
    assert caught.value.message == f"{FOO}: the index states sha256 {'ab' * 32}, the file has {DIGEST}"


def test_offline_nothing_can_be_completed(server: Server, store: Store) -> None:
    with pytest.raises(IndexAccessError) as caught:
        complete(server, store, offline=True, sha256=DIGEST)
    assert caught.value.message == f"{FOO}: offline, and the index did not state its hash or size"


def test_from_an_index_with_a_password_to_the_store(
    server: Server, store: Store, tmp_path: Path, forge: Callable[..., Path]
) -> None:
    server.account = "me:s3cr/t"
    for path in (forge("bar", "1.0", requires=("baz",)), forge("baz", "2.0")):
        server.files[path.name] = path.read_bytes()
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_DEFAULT_INDEX": f"http://me:s3cr%2Ft@127.0.0.1:{server.port}/simple",
        "LAMINA_CACHE": str(store.root),
    }
    spec = TargetSpec(python="cp311", architecture="x86_64")
    recipe = Recipe(name="x", requirements=("bar",), target=(spec,), provided=())
    indexes = from_environment(env)
    target = target_for("cp311", architecture="x86_64")
    made = resolve(recipe, target, indexes=indexes, base=tmp_path, env=env).lock
    fetch(made, store=store, indexes=indexes, offline=False, progress=SILENT)
    assert [(wheel.name, wheel.version) for wheel in made.wheels] == [("bar", "1.0"), ("baz", "2.0")]
    kept = [path.read_bytes() for path in store.root.rglob("*") if path.is_file()]
    assert not any(b"s3cr" in content or b"me:" in content for content in (*kept, render(made).encode()))
    wrong = from_environment({**env, "UV_DEFAULT_INDEX": f"http://me:wr0ng@127.0.0.1:{server.port}/simple"})
    with pytest.raises(IndexAccessError) as caught:
        resolve(recipe, target, indexes=wrong, base=tmp_path, env={**env, "UV_CACHE_DIR": str(tmp_path / "uv2")})
    assert caught.value.message == f"http://127.0.0.1:{server.port}/simple: the index refuses access (401)"
