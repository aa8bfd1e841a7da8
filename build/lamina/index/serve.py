"""An index on loopback, for programs that are to know nothing of this machine's settings: pip inside a container.

What it offers is what the :class:`~lamina.index.IndexClient` finds: every project from the indexes and folders that may
be asked about it, with the files' addresses leading back here (PEP 503, PEP 691). Files and their metadata (PEP 658)
come through the client's transport, with its credentials, authorities and proxies, so none of these leaves lamina.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
import shutil
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Self
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from lamina.errors import IndexAccessError, LaminaError
from lamina.index.listing import as_html, as_json, href
from lamina.index.transport import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lamina.index import IndexClient
    from lamina.index.model import IndexFile
    from lamina.store import Store

_HTML, _JSON = "text/html; charset=utf-8", "application/vnd.pypi.simple.v1+json"
_FILE = "application/octet-stream"
#: Where the files of all pages stand.
_FILES = "/files"
_USER = "lamina"
_METADATA = ".metadata"
_RANGE = re.compile(r"bytes=[0-9]{0,15}-[0-9]{0,15}")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

#: Seconds that a connection may stand idle.
_IDLE = 60.0

_PIECE = 1 << 16

#: The METADATA of a wheel is text of some kilobytes; nothing beyond this many bytes is one.
_LARGEST_METADATA = 1 << 24

#: What is passed on of an answer to a request for a file.
_PASSED = ("Content-Range", "Accept-Ranges")


class IndexServer:
    """Serves ``client`` at :attr:`url` until it is closed. To be used as a context.

    Who does not state the random password, which ``netrc`` holds as a file of that name has it, gets nothing. It is not
    in the URL: pip hands its index to its children as an argument, and any user of a machine can read those.
    ``failure`` is the first error of the client; to whoever asked it was an answer 502. With a ``store``, wheels in it
    are taken from there, and metadata is kept there, so that the client's ``offline`` can be honoured.
    """

    def __init__(self, client: IndexClient, store: Store | None = None) -> None:
        self._client = client
        self._store = store
        password = secrets.token_urlsafe(24)
        self.netrc = f"machine 127.0.0.1 login {_USER} password {password}\n".encode()
        self.stated = b"Basic " + base64.b64encode(f"{_USER}:{password}".encode())
        self.failure: LaminaError | None = None
        outer = self

        class Handler(_Handler):
            server_of = outer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/simple/"
        loop = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        loop.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more connections."""
        self._server.shutdown()
        self._server.server_close()

    def page(self, name: str, accept: str) -> tuple[str, bytes] | None:
        """The page of a project and its media type; ``None`` where nobody knows the project.

        Raises:
            LaminaError: an index or folder cannot be asked.
        """
        project = self._client.project(name)
        if not project.found:
            return None
        if _JSON in accept:
            return _JSON, as_json(project, _FILES)
        return _HTML, as_html(project, _FILES)

    def digests(self, name: str) -> bytes:
        """The hashes of a project's files as pip-tools asks for them, by version; files without are left out.

        It hashes every file of a version itself where this is not offered: hundreds of megabytes. Source:
        https://docs.pypi.org/api/json/, of which nothing else is needed.

        Raises:
            LaminaError: an index or folder cannot be asked.
        """
        project = self._client.project(name)
        releases: dict[str, list[dict[str, object]]] = {}
        for file in (*project.wheels, *project.archives):
            if file.sha256 is not None:
                url = f"http://127.0.0.1:{self.port}{href(project, file, _FILES)}"
                kind = "bdist_wheel" if file.filename.endswith(".whl") else "sdist"
                stated: dict[str, object] = {"url": url, "packagetype": kind, "digests": {"sha256": file.sha256}}
                releases.setdefault(file.version, []).append(stated)
        return msgspec.json.encode({"releases": releases})

    def file(self, name: str, filename: str) -> IndexFile | None:
        """A file of a project by its name: nothing but what a page lists can be had."""
        project = self._client.project(name)
        return next((file for file in (*project.wheels, *project.archives) if file.filename == filename), None)

    def local(self, file: IndexFile) -> Path | None:
        """Where the file is on this machine: in a folder, a tree, or the store."""
        if file.path is not None:
            return file.path
        if self._store is not None and file.sha256 is not None:
            path = self._store.path("wheels", file.sha256, ".whl")
            if path.is_file():
                return path
        return None

    @contextlib.contextmanager
    def content(self, file: IndexFile, wanted: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str], BinaryIO]]:
        """Status, headers and bytes of a file of this machine or an index.

        Raises:
            IndexAccessError: it cannot be had.
        """
        path = self.local(file)
        if path is not None:
            with _readable(path) as stream:
                yield 200, {"Content-Length": str(path.stat().st_size)}, stream
            return
        self._online(file.filename)
        transport = self._client.transport
        answer = transport.send("GET", file.url, headers={"Accept-Encoding": "identity", **wanted}, stream=True)
        with transport.watch(answer):
            passed = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
            length = answer.headers.get("Content-Length", "")
            # Of a coded transfer the length is another one; the end of the connection ends the file then.
            coded = answer.headers.get("Content-Encoding", "identity") != "identity"
            answer.raw.decode_content = True
            stated = {"Content-Length": length} if length.isdigit() and not coded else {}
            yield answer.status_code, {**stated, **passed}, answer.raw

    def metadata(self, file: IndexFile) -> bytes:
        """The METADATA of a wheel, as the index offers it beside the wheel.

        Raises:
            IndexAccessError: it cannot be had.
        """
        kept = None
        if self._store is not None and file.sha256 is not None:
            key = hashlib.sha256(f"metadata\n{file.filename}\n{file.sha256}".encode()).hexdigest()
            kept = self._store.path("pages", key, _METADATA)
            with contextlib.suppress(OSError):
                return kept.read_bytes()
        self._online(f"the metadata of {file.filename}")
        parts = urlsplit(file.url)
        url = urlunsplit(parts._replace(path=parts.path + _METADATA))
        transport = self._client.transport
        answer = transport.send("GET", url, headers={"Accept-Encoding": "identity"}, stream=True)
        with transport.watch(answer):
            content = bytes(answer.raw.read(_LARGEST_METADATA + 1, decode_content=True))
        if len(content) > _LARGEST_METADATA:
            where = self._client.indexes.redact(url)
            raise IndexAccessError(f"{where}: too large to be the metadata of a wheel", hint="Tell the index's owner.")
        if kept is not None and self._store is not None:
            with contextlib.suppress(OSError), self._store.create(kept) as beside:
                beside.write_bytes(content)
        return content

    def _online(self, what: str) -> None:
        if self._client.offline:
            hint = (
                "Run the command once without --offline; what an index offers no metadata of comes with lamina build."
            )
            raise IndexAccessError(f"offline, and {what} is not in the store", hint=hint)

    def failed(self, error: Exception) -> str:
        """Remember the first error; return what the program that asked may know of it."""
        if not isinstance(error, LaminaError):
            hint = "Run the command again."
            said = self._client.indexes.redact(str(error)) or type(error).__name__
            error = IndexAccessError(f"an index's answer broke off: {said}", hint=hint)
        if self.failure is None:
            self.failure = error
        return self._client.indexes.redact(error.message)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Say nothing: whoever asked has hung up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    server_of: ClassVar[IndexServer]

    def do_GET(self) -> None:
        if secrets.compare_digest(self.headers.get("Authorization", "").encode(), self.server_of.stated):
            self._answer()
        else:
            self._reply(401, "text/plain", b"nothing is served without the password\n")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _answer(self) -> None:
        of = self.server_of
        steps = [unquote(step) for step in urlsplit(self.path).path.strip("/").split("/")]
        name = steps[0 if steps[1:] == ["json"] else 1] if len(steps) > 1 else ""
        if not _NAME.fullmatch(name):
            return self._reply(404, "text/plain", b"nothing is served here\n")
        try:
            if steps == [name, "json"]:
                return self._reply(200, "application/json", of.digests(name))
            if steps == ["simple", name]:
                page = of.page(name, self.headers.get("Accept", ""))
                return self._reply(404, "text/plain", b"no such project\n") if page is None else self._reply(200, *page)
            if steps[:-1] == ["files", name]:
                return self._file(name, steps[2])
            return self._reply(404, "text/plain", b"nothing is served here\n")
        except (LaminaError, Interrupted) as error:
            return self._reply(502, "text/plain; charset=utf-8", of.failed(error).encode())

    def _file(self, name: str, filename: str) -> None:
        of = self.server_of
        if filename.endswith(_METADATA):
            wheel = of.file(name, filename.removesuffix(_METADATA))
            if wheel is not None and wheel.metadata:
                return self._reply(200, _FILE, of.metadata(wheel))
        file = of.file(name, filename)
        if file is None:
            return self._reply(404, "text/plain", b"no such file\n")
        stated = self.headers.get("Range", "")
        wanted = {"Range": stated} if _RANGE.fullmatch(stated) else {}
        with of.content(file, wanted) as (status, headers, stream):
            self.send_response(status)
            for key, value in {"Content-Type": _FILE, **headers}.items():
                self.send_header(key, value)
            if "Content-Length" not in headers:
                self.close_connection = True
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self._carry(stream)
        return None

    def _carry(self, stream: BinaryIO) -> None:
        """Send a file. A source that breaks cuts the connection, so that nobody takes the beginning for all of it."""
        from urllib3.exceptions import HTTPError

        try:
            shutil.copyfileobj(stream, self.wfile, _PIECE)
        except HTTPError as error:
            self.close_connection = True
            self.server_of.failed(error)
        except OSError:  # whoever asked has hung up
            self.close_connection = True

    def _reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="lamina"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb")
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise IndexAccessError(message, hint="Check the folder of wheels.") from error
    with stream:
        yield stream
