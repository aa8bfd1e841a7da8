"""Runs one job in a container, as its first process or beside it, and carries all that it says through one stream.

It is run as the text of ``python -I -S -B -c``. Frames arrive on standard input and leave on standard output: the
order and what came of it, the job's own streams, and its connections, for the container has no network. So nothing is
needed of the engine but to start a container, be it on this machine, in a virtual machine or elsewhere. When the stream
ends, because lamina closed it or was killed, this process ends, and the kernel ends all others with it.

A frame is its kind, the number of the stream it belongs to, the length of its content, and the content.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import resource
import signal
import socket
import struct
import threading
import time
from typing import Any

_FRAME = struct.Struct("!BII")
_DATA, _END, _OPEN, _TELL = range(4)
_IN, _OUT, _ERR, _FIRST_CONNECTION = 0, 1, 2, 16
_CHUNK = 65536
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PERIOD = 0.01  # seconds
_TELL_FROM = 1 << 20  # bytes more before the peak is told again
_GRACE = 3.0
_PR_SET_NO_NEW_PRIVS = 38


class Wire:
    """The stream to lamina; whole frames only, from any thread."""

    def __init__(self) -> None:
        self._in, self._out = os.dup(0), os.dup(1)
        self._lock = threading.Lock()

    def send(self, kind: int, number: int, content: bytes = b"") -> None:
        """Send a frame; where nobody takes it, this process is not wanted any more."""
        data = memoryview(_FRAME.pack(kind, number, len(content)) + content)
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._out, data) :]
            except OSError:
                os._exit(1)

    def tell(self, **message: Any) -> None:  # noqa: ANN401 - as JSON
        """Send a message about the job."""
        self.send(_TELL, 0, json.dumps(message).encode())

    def receive(self) -> tuple[int, int, bytes]:
        """The next frame; ends this process where there is none."""
        kind, number, length = _FRAME.unpack(self._exactly(_FRAME.size))
        return kind, number, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            chunk = os.read(self._in, size - len(content))
            if not chunk:
                os._exit(1)
            content += chunk
        return content


class Sink:
    """Writes to a job's standard input or a connection what arrives for it, at its own pace."""

    def __init__(self, descriptor: int, connection: socket.socket | None = None) -> None:
        self._descriptor, self._connection = descriptor, connection
        self._waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def put(self, content: bytes) -> None:
        """More to write; nothing is the end."""
        self._waiting.put(content)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while content := self._waiting.get():
                data = memoryview(content)
                while data:
                    data = data[os.write(self._descriptor, data) :]
        with contextlib.suppress(OSError):
            if self._connection is None:
                os.close(self._descriptor)
            else:
                self._connection.shutdown(socket.SHUT_WR)


class Job:
    """The job, its limits and what it has said."""

    def __init__(self, wire: Wire, order: dict[str, Any]) -> None:
        self._wire, self._order = wire, order
        self.verdict = "exited"
        self._sinks: dict[int, Sink] = {}
        self._numbers = itertools.count(_FIRST_CONNECTION)
        self._peak = self._told = 0
        self._listening = [_listen(port) for port in order["ports"]]
        pipes = [os.pipe() for _ in range(3)]
        self._child = os.fork()
        if not self._child:
            _become(order, pipes[0][0], pipes[1][1], pipes[2][1])
        for descriptor in (pipes[0][0], pipes[1][1], pipes[2][1]):
            os.close(descriptor)
        self._began = time.monotonic()
        wire.tell(started=True)
        self._sinks[_IN] = Sink(pipes[0][1])
        self._outputs = [self._pump(_OUT, pipes[1][0]), self._pump(_ERR, pipes[2][0])]
        for listening in self._listening:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        threading.Thread(target=self._receive, daemon=True).start()

    def follow(self) -> dict[str, Any]:
        """Until it ends: measure it, and end it where it exceeds a limit; leave no process behind."""
        ended = None
        while ended is None:
            try:
                gone, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if gone == self._child:
                ended = status, usage.ru_maxrss * 1024
            elif not gone:
                self._measure()
                time.sleep(_PERIOD)
        seconds = time.monotonic() - self._began
        with contextlib.suppress(OSError):
            os.kill(-1, signal.SIGKILL)  # every process but this one: pid_namespaces(7)
        for thread in self._outputs:
            thread.join(_GRACE)
        status, most = ended or (0, 0)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        self._peak = max(self._peak, most)
        if self.verdict == "exited" and self._over():
            self.verdict = "memory"  # it took and gave back more than it may between two looks
        return {"ended": code, "verdict": self.verdict, "seconds": seconds, "peak": self._peak}

    def _over(self) -> bool:
        return self._order["memory"] is not None and self._peak > self._order["memory"]

    def _measure(self) -> None:
        self._peak = max(self._peak, _resident())
        if self._peak > self._told + _TELL_FROM:
            self._told = self._peak
            self._wire.tell(peak=self._peak)
        if self._over():
            self._kill("memory")
        elif self._order["seconds"] is not None and time.monotonic() - self._began > self._order["seconds"]:
            self._kill("timeout")

    def _kill(self, verdict: str) -> None:
        if self.verdict == "exited":
            self.verdict = verdict
        with contextlib.suppress(OSError):
            os.kill(-1, signal.SIGKILL)

    def _receive(self) -> None:
        while True:
            kind, number, content = self._wire.receive()
            if kind == _TELL:
                self._kill("stopped")
            elif number in self._sinks:
                self._sinks[number].put(content if kind == _DATA else b"")

    def _pump(self, number: int, descriptor: int) -> threading.Thread:
        """Send on what comes from a descriptor, up to its end."""

        def pump() -> None:
            with contextlib.suppress(OSError):
                while chunk := os.read(descriptor, _CHUNK):
                    self._wire.send(_DATA, number, chunk)
            self._wire.send(_END, number)

        thread = threading.Thread(target=pump, daemon=True)
        thread.start()
        return thread

    def _accept(self, listening: socket.socket) -> None:
        port = listening.getsockname()[1]
        while True:
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                number = next(self._numbers)
                threading.Thread(target=self._carry, args=(connection, port, number), daemon=True).start()

    def _carry(self, connection: socket.socket, port: int, number: int) -> None:
        """Both ways of one connection of the job, each up to its own end."""
        with connection:
            sink = self._sinks[number] = Sink(connection.fileno(), connection)
            self._wire.send(_OPEN, number, str(port).encode())
            self._pump(number, connection.fileno()).join()
            sink.thread.join()
            del self._sinks[number]


def main() -> None:
    """Receive the order, run the job, tell how it ended."""
    wire = Wire()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    _, _, content = wire.receive()
    try:
        job = Job(wire, json.loads(content))
    except OSError as error:
        wire.tell(failed=f"{error.filename or 'it'}: {error.strerror}")
        os._exit(1)
    wire.tell(**job.follow())
    os._exit(0)


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    return listening


def _become(order: dict[str, Any], reading: int, out: int, err: int) -> None:
    """Become the job."""
    try:
        os.setsid()
        for descriptor, place in ((reading, 0), (out, 1), (err, 2)):
            os.dup2(descriptor, place)
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        os.chdir(order["folder"])
        os.execve(order["command"][0], order["command"], order["environment"])  # noqa: S606
    except OSError as error:
        os.write(2, f"{error.filename or order['command'][0]}: cannot be started: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _resident() -> int:
    """Resident memory in bytes of all processes of the container but the first and this one: proc_pid_statm(5)."""
    pages = 0
    ours = {"1", str(os.getpid())}
    for name in os.listdir("/proc"):  # noqa: PTH208 - a hundred times a second
        if name.isdigit() and name not in ours:
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/statm", "rb") as file:  # noqa: PTH123
                pages += int(file.read().split()[1])
    return pages * _PAGE


if __name__ == "__main__":
    main()
