"""A small HTTP/1.1 server on loopback whose every limit is stated: what the Runtime API and the Invoke API stand on.

The standard library's server ends a header line at 64 KiB, and AWS's runtime client sends one of up to 1 MiB (the
cause of an error, for X-Ray). Whoever connects is not trusted: heads, bodies, numbers of connections and the time that
a request may take are bounded, and a request that is not understood is refused and its connection closed.
"""

from __future__ import annotations

import contextlib
import http
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

#: The most that a request line and its headers may take together, in bytes: a header of 1 MiB and others beside it.
_HEAD = 2 * 1024 * 1024
#: Connections at a time. awslambdaric holds one, and one more while it reports a failed initialization.
_CONNECTIONS = 64
#: Seconds in which a request that has begun must have arrived, and seconds for an answer to be taken.
_PATIENCE = 60.0
#: A body above the limit is read and thrown away up to so many bytes, so that its sender gets to read the answer.
_DISCARDED = 64 * 1024 * 1024
#: Seconds for the rest of a request that is refused.
_LINGER = 2.0
_CHUNK = 65_536
_CHUNK_HEAD = 1024

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.([01])")


class Request(NamedTuple):
    """A request, read whole. ``headers`` have lower-case names; ``body`` is ``None`` where it is above the limit."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None


class Reply(NamedTuple):
    """What a request is answered with."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


#: What answers requests; it is called on a thread of the connection and may block.
Handler = Callable[[Request], Reply]


class _RefusedError(Exception):
    """The bytes are no request that is understood."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _GoneError(Exception):
    """The other end has closed the connection, between requests or within one."""


class Server:
    """Answers requests on ``127.0.0.1`` until it is closed. ``port`` 0 lets the system choose one.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, handler: Handler, *, body: int, port: int = 0) -> None:
        self._handler = handler
        self._body = body
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._listening = socket.create_server(("127.0.0.1", port), backlog=_CONNECTIONS)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more requests and drop every connection."""
        with self._lock:
            self._closed = True
            connections = list(self._open)
        for connection in (self._listening, *connections):
            with contextlib.suppress(OSError):  # wakes the thread that waits in accept or recv
                connection.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(0.05)  # out of file descriptors for now
                continue
            with self._lock:
                refused = self._closed or len(self._open) >= _CONNECTIONS
                if not refused:
                    self._open.add(connection)
            if refused:
                connection.close()
            else:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            # ConnectionError and timeouts are OSErrors: the other end is gone or too slow, and nobody is left to tell.
            with contextlib.suppress(OSError, _GoneError), connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._converse(connection)
        finally:
            with self._lock:
                self._open.discard(connection)

    def _converse(self, connection: socket.socket) -> None:
        reader = _Reader(connection, self._body)
        last = False
        while not (last or self._closed):
            try:
                request = reader.request()
            except _RefusedError as refused:
                _send(connection, Reply(refused.status), last=True)
                _linger(connection)
                return
            last = reader.last
            reply = self._handler(request)
            connection.settimeout(_PATIENCE)
            _send(connection, reply, last=last)


class _Reader:
    """Reads requests from a connection; ``last`` tells that the newest one is to be the last."""

    def __init__(self, connection: socket.socket, limit: int) -> None:
        self._connection = connection
        self._limit = limit
        self._buffer = bytearray()
        self._until = 0.0
        self.last = False

    def request(self) -> Request:
        """The next request; waits without end for its first byte.

        Raises:
            _RefusedError: it is malformed or too large in its head.
            _GoneError: there is none.
        """
        self._until = float("inf")
        if not self._buffer:
            self._more()
        self._until = time.monotonic() + _PATIENCE
        line = self._line(_HEAD, 431)
        found = _REQUEST_LINE.fullmatch(line)
        if found is None:
            raise _RefusedError(400)
        method, target, minor = found.groups()
        headers = self._headers(_HEAD - len(line))
        self.last = minor == "0" or headers.get("connection", "").lower() == "close"
        if headers.get("expect", "").lower() == "100-continue":
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, self._content(headers))

    def _headers(self, room: int) -> dict[str, str]:
        headers: dict[str, str] = {}
        while line := self._line(room, 431):
            room -= len(line) + 2
            name, colon, value = line.partition(":")
            name = name.lower()
            if not colon or _TOKEN.fullmatch(name) is None:
                raise _RefusedError(400)
            if name in headers and name in {"content-length", "transfer-encoding"}:
                raise _RefusedError(400)  # two lengths: nobody can say where the request ends
            headers[name] = value.strip(" \t")
        return headers

    def _content(self, headers: Mapping[str, str]) -> bytes | None:
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise _RefusedError(400 if length is not None else 501)
            return self._chunked()
        if length is None:
            return b""
        if not (length.isascii() and length.isdigit() and len(length) <= 18):  # noqa: PLR2004 - below 2**63
            raise _RefusedError(400)
        parts: list[bytes] = []
        return b"".join(parts) if self._take(int(length), parts, 0) else None

    def _chunked(self) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        fits = True
        while True:
            stated = self._line(_CHUNK_HEAD, 400).partition(";")[0].strip(" \t")
            if re.fullmatch(r"[0-9A-Fa-f]{1,15}", stated) is None:
                raise _RefusedError(400)
            count = int(stated, 16)
            if not count:
                break
            fits = self._take(count, parts, size) and fits
            size += count
            if self._line(_CHUNK_HEAD, 400):
                raise _RefusedError(400)
        while self._line(_CHUNK_HEAD, 431):  # trailers, which nothing needs
            pass
        return b"".join(parts) if fits else None

    def _take(self, count: int, parts: list[bytes], before: int) -> bool:
        """Read ``count`` bytes onto ``parts``; past them, where the body of ``before`` bytes grows above the limit."""
        if before + count > _DISCARDED:
            raise _RefusedError(413)
        fits = before + count <= self._limit
        if not fits:
            parts.clear()
        while count:
            if not self._buffer:
                self._more()
            piece = bytes(self._buffer[:count])
            del self._buffer[:count]
            count -= len(piece)
            if fits:
                parts.append(piece)
        return fits

    def _line(self, room: int, status: int) -> str:
        """The next line without its end; ``status`` refuses one longer than ``room`` bytes."""
        seen = 0
        while (end := self._buffer.find(b"\n", seen)) < 0:
            seen = len(self._buffer)
            if seen > room:
                raise _RefusedError(status)
            self._more()
        if end > room:
            raise _RefusedError(status)
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line.decode("latin-1")

    def _more(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise _GoneError
        self._connection.settimeout(None if left == float("inf") else left)
        data = self._connection.recv(_CHUNK)
        if not data:
            raise _GoneError
        self._buffer += data


def _linger(connection: socket.socket) -> None:
    """Read what is still on its way: closing before that resets the connection, and the answer is lost with it."""
    connection.shutdown(socket.SHUT_WR)
    until = time.monotonic() + _LINGER
    while (left := until - time.monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(_CHUNK):
            return


def _send(connection: socket.socket, reply: Reply, *, last: bool) -> None:
    reason = http.HTTPStatus(reply.status).phrase
    headers = {"Content-Length": str(len(reply.body)), **reply.headers}
    if reply.status == http.HTTPStatus.NO_CONTENT:
        del headers["Content-Length"]
    if last:
        headers["Connection"] = "close"
    lines = [f"HTTP/1.1 {reply.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    connection.sendall(head + reply.body)
