"""Carries the connections of a job without a network to a port of this machine's loopback.

The socket that listens was made inside, and handed out: accepting on it needs no way in, nor a file.
"""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK = 65536


class Relay:
    """One port of the job's loopback, answered by the same port of ours. It takes over the descriptor."""

    def __init__(self, descriptor: int, port: int) -> None:
        self._listening = socket.socket(fileno=descriptor)
        self._port = port
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept nothing more, and end what is connected."""
        with self._lock:
            self._closed = True
            for one in (self._listening, *self._open):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with self._listening:
            while True:
                try:
                    inner, _ = self._listening.accept()
                except OSError:
                    return
                threading.Thread(target=self._carry, args=(inner,), daemon=True).start()

    def _carry(self, inner: socket.socket) -> None:
        with inner:
            try:
                outer = socket.create_connection(("127.0.0.1", self._port), timeout=5)
            except OSError:  # nobody listens there: the job sees its connection end
                return
            with outer:
                outer.settimeout(None)
                with self._lock:
                    if self._closed:
                        return
                    self._open |= {inner, outer}
                back = threading.Thread(target=_pump, args=(outer, inner), daemon=True)
                back.start()
                _pump(inner, outer)
                back.join()
                with self._lock:
                    self._open -= {inner, outer}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Bytes from one to the other until there are no more; then the other learns that."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
