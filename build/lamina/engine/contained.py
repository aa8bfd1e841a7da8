"""A job under way in a container: its output, its end and its connections, all from the one stream that leads there.

The other end is :mod:`lamina.engine.inside.contain`. The engine closes the stream's far end when lamina dies, and the
container ends by itself then.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from lamina.engine.model import Ended, FailedToEnterError, Kept, Outcome

#: Docker's own frames around what a container writes: which stream, and how many bytes follow. Source:
#: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach.
_ENGINE_FRAME = struct.Struct("!B3xI")
_ENGINE_STDERR = 2
_FRAME = struct.Struct("!BII")
_DATA, _END, _OPEN, _TELL = range(4)
_IN, _OUT, _ERR, _FIRST_CONNECTION = 0, 1, 2, 16
_CHUNK = 65536
#: No frame of ours is larger than a read on the other side; an image that sends larger ones is not what it seems.
_MOST_FRAME = 1 << 20
#: Connections at once, and bytes of all of them that wait to be taken; beyond these nothing more is read for a while.
_MOST_CONNECTIONS = 256
_MOST_WAITING = 16 << 20
_MOMENT = 0.01
_MOST_TOLD = 8192
_GRACE = 5.0
_SLOWEST_START = 60.0
_KILLED = -9


class Stream(Protocol):
    """The attached stream of a container: a socket, or a named pipe of Windows that behaves as one."""

    def recv(self, size: int, /) -> bytes:
        """What came, nothing at the end."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""

    def close(self) -> None:
        """Close it."""


class Container(NamedTuple):
    """What a job needs of its container: the stream, how to start it, how to have it ended and removed at once."""

    stream: Stream
    start: Callable[[], None]
    remove: Callable[[], None]


class _Message(msgspec.Struct, frozen=True):
    """What is told of a job; bytes of memory, seconds. Without a word at the end, it was killed."""

    started: bool = False
    failed: str | None = None
    ended: int | None = None
    verdict: Ended = "exited"
    seconds: float | None = None
    peak: int = 0


class Contained:
    """A job in a container; :class:`~lamina.engine.model.Running`.

    ``order`` is what :mod:`lamina.engine.inside.contain` is told; of ``reach`` only it may open connections.

    Raises:
        FailedToEnterError: the container does not start, or not what runs jobs in it.
    """

    def __init__(
        self, container: Container, order: Mapping[str, Any], stdin: bytes, reach: Collection[int], limit: float | None
    ) -> None:
        self._container, self._reach = container, frozenset(reach)
        self._sending, self._counting = threading.Lock(), threading.Lock()
        self._kept = {_OUT: Kept(), _ERR: Kept()}
        self._said = Kept()
        self._peak = 0
        self._seconds = 0.0
        self._stopping = self._ready = False
        self._verdict: Ended = "exited"
        self._last = _Message()
        self._outer: set[socket.socket] = set()
        self._failed = ""
        self._sinks: dict[int, queue.SimpleQueue[bytes]] = {}
        self._waiting = 0
        self._abandoned = threading.Event()
        self._started, self._done = threading.Event(), threading.Event()
        try:
            container.start()
            self._began = time.monotonic()
            threading.Thread(target=self._read, daemon=True).start()
            self._send(_TELL, 0, json.dumps(order).encode())
            began = self._started.wait(_SLOWEST_START)
        except BaseException:
            self._abandon()
            raise
        if not began or self._failed:
            self._abandon()
            told = self._said.content().decode(errors="replace").strip().splitlines()
            raise FailedToEnterError(": ".join(filter(None, (self._failed or "nothing answers", *told[-1:]))))
        self._began = time.monotonic()
        threading.Thread(target=self._feed, args=(_IN, stdin), daemon=True).start()
        if limit is not None:
            threading.Thread(target=self._guard, args=(limit,), daemon=True).start()

    def wait(self, seconds: float | None = None) -> Outcome | None:
        """What came of it, or ``None`` if it is still under way after so many seconds."""
        return self._outcome() if self._done.wait(seconds) else None

    def stop(self) -> Outcome:
        """End it, with all processes that it started, and tell what came of it."""
        if not self._done.is_set():
            self._stopping = True
            self._send(_TELL, 0, b"{}")
            if not self._done.wait(_GRACE):
                self._abandon()
                if not self._done.wait(_GRACE):  # whatever still reads, the job is over
                    self._verdict = "stopped"
        return self._outcome()

    def peak(self) -> int:
        """The largest resident memory so far, in bytes."""
        return self._peak

    def output(self) -> tuple[bytes, bytes]:
        """Standard output and standard error so far."""
        return self._kept[_OUT].content(), self._kept[_ERR].content()

    def _outcome(self) -> Outcome:
        out, err = self.output()
        code = (_KILLED if self._last.ended is None else self._last.ended) if self._verdict == "exited" else None
        return Outcome(self._verdict, code, out, err, self._seconds, self._peak)

    def _guard(self, limit: float) -> None:
        """The container watches its deadline itself; one that does not is ended from here."""
        if not self._done.wait(limit + _GRACE):
            self._verdict = "timeout"
            self._abandon()

    def _abandon(self) -> None:
        self._abandoned.set()
        self._container.remove()
        with contextlib.suppress(OSError):
            self._container.stream.close()

    def _send(self, kind: int, number: int, content: bytes = b"") -> None:
        """Send a frame; to a container that ended, nothing."""
        with self._sending, contextlib.suppress(OSError):
            self._container.stream.sendall(_FRAME.pack(kind, number, len(content)) + content)

    def _feed(self, number: int, content: bytes) -> None:
        for start in range(0, len(content), _CHUNK):
            self._send(_DATA, number, content[start : start + _CHUNK])
        self._send(_END, number)

    def _read(self) -> None:
        """Take all that the container says, up to its end."""
        held = bytearray()
        try:
            with contextlib.suppress(OSError):
                while header := self._exactly(_ENGINE_FRAME.size):
                    which, length = _ENGINE_FRAME.unpack(header)
                    while length:
                        chunk = self._container.stream.recv(min(length, _CHUNK))
                        if not chunk:
                            return
                        length -= len(chunk)
                        if which == _ENGINE_STDERR:
                            self._said.add(chunk)
                        else:
                            held += chunk
                            self._take(held)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            self._failed = "its Python answers with something else than was sent to it"
        finally:
            self._finish()

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            chunk = self._container.stream.recv(size - len(content))
            if not chunk:
                return b""
            content += chunk
        return content

    def _take(self, held: bytearray) -> None:
        """Handle every frame that is whole.

        Raises:
            ValueError, MsgspecError: what came is no frame, or no message of ours.
        """
        while len(held) >= _FRAME.size:
            kind, number, length = _FRAME.unpack_from(held)
            if kind > _TELL or length > _MOST_FRAME:
                raise ValueError
            if len(held) < _FRAME.size + length:
                return
            content = bytes(held[_FRAME.size : _FRAME.size + length])
            del held[: _FRAME.size + length]
            if kind == _TELL:
                self._hear(msgspec.json.decode(content, type=_Message))
            elif number in self._kept:
                self._kept[number].add(content)
            elif kind == _OPEN:
                self._open(number, int(content))
            elif number in self._sinks:
                self._pass_on(self._sinks[number], content if kind == _DATA else b"")

    def _hear(self, message: _Message) -> None:
        self._peak = max(self._peak, message.peak)
        if message.failed is not None:
            self._failed = message.failed[:_MOST_TOLD]
        if message.ended is not None:
            self._last = message
        self._ready = self._ready or message.started
        if self._failed or self._ready:
            self._started.set()

    def _pass_on(self, waiting: queue.SimpleQueue[bytes], content: bytes) -> None:
        """Hand on what came for a connection, as soon as there is room."""
        while self._waiting > _MOST_WAITING and not self._abandoned.wait(_MOMENT):
            pass
        with self._counting:
            self._waiting += len(content)
        waiting.put(content)

    def _open(self, number: int, port: int) -> None:
        if number in self._sinks:
            raise ValueError
        if len(self._sinks) >= _MOST_CONNECTIONS:
            self._send(_END, number)
            return
        self._sinks[number] = waiting = queue.SimpleQueue[bytes]()
        threading.Thread(target=self._carry, args=(number, port, waiting), daemon=True).start()

    def _carry(self, number: int, port: int, waiting: queue.SimpleQueue[bytes]) -> None:
        """One connection of the job, to the same port of our loopback; both ways, each up to its own end."""
        try:
            if port not in self._reach:
                raise PermissionError
            with socket.create_connection(("127.0.0.1", port), timeout=5) as outer:
                outer.settimeout(None)
                self._outer.add(outer)
                back = threading.Thread(target=self._back, args=(number, outer), daemon=True)
                back.start()
                self._pour(waiting, outer)
                with contextlib.suppress(OSError):
                    outer.shutdown(socket.SHUT_RDWR if self._done.is_set() else socket.SHUT_WR)
                back.join()
                self._outer.discard(outer)
        except OSError:  # the job sees its connection end
            self._send(_END, number)
            self._pour(waiting, None)
        finally:
            self._sinks.pop(number, None)

    def _pour(self, waiting: queue.SimpleQueue[bytes], outer: socket.socket | None) -> None:
        """Send what comes for a connection, up to its end; where nobody takes it, let it go."""
        while content := waiting.get():
            try:
                if outer is not None:
                    outer.sendall(content)
            except OSError:
                outer = None
            finally:
                with self._counting:
                    self._waiting -= len(content)

    def _back(self, number: int, outer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := outer.recv(_CHUNK):
                self._send(_DATA, number, chunk)
        self._send(_END, number)

    def _finish(self) -> None:
        """Everything is over: tell how it ended, and close what is open."""
        last = self._last
        if last.ended is not None:
            self._verdict = last.verdict
        elif self._stopping:
            self._verdict = "stopped"
        self._seconds = time.monotonic() - self._began if last.seconds is None else last.seconds
        if not self._ready:
            self._failed = self._failed or "its Python ended before it ran anything"
        try:
            self._abandon()
        finally:
            self._done.set()
            for outer in [*self._outer]:
                with contextlib.suppress(OSError):
                    outer.shutdown(socket.SHUT_RDWR)
            for waiting in [*self._sinks.values()]:
                waiting.put(b"")
            self._started.set()
