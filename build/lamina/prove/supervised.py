"""A job under way: its output, its memory and its deadline watched from outside, its connections carried out.

The processes themselves are :mod:`lamina.prove.inside.supervise`'s: it ends them all as soon as the socket that leads
to it closes, be it that lamina closes it or that lamina is killed.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from lamina.engine.model import Ended, FailedToEnterError, Kept, Outcome
from lamina.errors import MissingToolError
from lamina.prove.memory import resident
from lamina.prove.relay import Relay

#: How often memory and deadline are looked at, in seconds.
_PERIOD = 0.01
#: How long a job may take to end once it is killed, in seconds, before its supervisor is.
_GRACE = 3.0

#: How long the supervisor may take to start a job, in seconds; an interpreter that hangs is none.
_SLOWEST_START = 60.0

_ROOM = socket.CMSG_SPACE(4) if hasattr(socket, "CMSG_SPACE") else 0


class Stream:
    """One output stream of a job, read as it comes, so that the job never waits for its reader."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._kept = Kept()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), 65536):
                self._kept.add(chunk)

    def content(self) -> bytes:
        """What came so far; at its end, where there was more than is kept, how much."""
        return self._kept.content()


class Supervised:
    """A job and its supervisor; :class:`~lamina.prove.model.Running`.

    ``order`` is what :mod:`lamina.prove.inside.supervise` is told. ``depth`` is how many processes stand between the
    one started here and the job: they do not count as the job's memory.

    Raises:
        FailedToEnterError: the namespaces cannot be made here.
    """

    def __init__(
        self,
        command: Sequence[str],
        order: Mapping[str, Any],
        *,
        stdin: bytes,
        memory: int | None,
        seconds: float | None,
        depth: int,
    ) -> None:
        self._memory, self._limit, self._depth = memory, seconds, depth
        self._peak = 0
        self._verdict: Ended = "exited"
        self._last: dict[str, Any] = {}
        self._seconds = self._began = self._ordered = 0.0
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._relays: list[Relay] = []
        self._control, inner = socket.socketpair()
        with inner:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the interpreter that lamina found
                    [*command, str(inner.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=[inner.fileno()],
                    start_new_session=True,
                    env={"LC_ALL": "C.UTF-8"},
                    cwd="/",
                )
            except OSError as error:
                self._control.close()
                message = f"{command[0]}: cannot be run: {error.strerror}"
                raise MissingToolError(message, hint="Check that interpreter, or name another.") from error
        self._out, self._err = Stream(_pipe(self._process.stdout)), Stream(_pipe(self._process.stderr))
        threading.Thread(target=self._feed, args=(_pipe(self._process.stdin), stdin), daemon=True).start()
        self._received = b""
        text = json.dumps(order).encode()
        with contextlib.suppress(OSError):
            self._control.sendall(struct.pack("!I", len(text)) + text)
        try:
            self._await_start()
        except BaseException:
            self._finish()
            raise
        self._began = time.monotonic()
        threading.Thread(target=self._watch, daemon=True).start()

    def wait(self, seconds: float | None = None) -> Outcome | None:
        """What came of it, or ``None`` if it is still under way after so many seconds."""
        return self._outcome() if self._done.wait(seconds) else None

    def stop(self) -> Outcome:
        """End it, with all processes that it started, and tell what came of it."""
        self._end("stopped")
        self._done.wait()
        return self._outcome()

    def peak(self) -> int:
        """The largest resident memory so far, in bytes."""
        return self._peak

    def output(self) -> tuple[bytes, bytes]:
        """Standard output and standard error so far."""
        return self._out.content(), self._err.content()

    def _outcome(self) -> Outcome:
        out, err = self.output()
        code = self._last.get("ended") if self._verdict == "exited" else None
        return Outcome(self._verdict, code, out, err, self._seconds, self._peak)

    @staticmethod
    def _feed(pipe: IO[bytes], content: bytes) -> None:
        with contextlib.suppress(OSError), pipe:  # a job need not read what it is given
            pipe.write(content)

    def _await_start(self) -> None:
        self._control.settimeout(_SLOWEST_START)
        while True:
            messages = self._receive()
            for message in messages or [{"failed": "its supervisor ended, or did not start"}]:
                if "failed" in message:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(_GRACE)
                    self._err.thread.join(_GRACE)
                    told = self._err.content().decode(errors="replace").strip().splitlines()
                    raise FailedToEnterError(": ".join([str(message["failed"]), *told[-1:]]))
            if any("started" in message for message in messages):
                self._last = next((message for message in messages if "ended" in message), {})
                self._control.settimeout(None)
                return

    def _receive(self) -> list[dict[str, Any]]:
        """The messages that arrived, sockets taken over; none at the end."""
        while True:
            try:
                data, extra, _, _ = self._control.recvmsg(65536, 16 * _ROOM)
            except OSError:
                return []
            descriptors = array.array("i")
            for _, _, content in extra:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
            self._received += data
            *lines, self._received = self._received.split(b"\n")
            messages: list[dict[str, Any]] = [json.loads(line) for line in lines]
            ports = [message["listening"] for message in messages if "listening" in message]
            self._relays += [Relay(descriptor, port) for descriptor, port in zip(descriptors, ports, strict=True)]
            if messages or not data:
                return messages

    def _watch(self) -> None:
        """Until the job ends: measure it, and end it where it exceeds a limit."""
        try:
            while "ended" not in self._last:
                ready, _, _ = select.select([self._control], [], [], _PERIOD)
                if ready:
                    messages = self._receive()
                    if not messages:
                        break
                    self._last = next((message for message in messages if "ended" in message), self._last)
                elif self._verdict == "exited":
                    self._measure()
                elif time.monotonic() - self._ordered > _GRACE:  # its supervisor hangs
                    break
        finally:
            self._finish()

    def _measure(self) -> None:
        self._peak = max(self._peak, resident(self._process.pid, self._depth))
        if self._memory is not None and self._peak > self._memory:
            self._end("memory")
        elif self._limit is not None and time.monotonic() - self._began > self._limit:
            self._end("timeout")

    def _end(self, verdict: Ended) -> None:
        """Have the job killed, for this reason; the first reason counts."""
        with self._lock:
            if self._verdict == "exited" and "ended" not in self._last:
                self._verdict = verdict
                with contextlib.suppress(OSError):
                    self._control.shutdown(socket.SHUT_WR)
                self._ordered = time.monotonic()

    def _finish(self) -> None:
        """Everything is over: collect what is left, and close what is open."""
        self._control.close()
        for relay in self._relays:
            relay.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._out.thread.join(_GRACE)
        self._err.thread.join(_GRACE)
        self._seconds = float(self._last.get("seconds", time.monotonic() - self._began))
        self._peak = max(self._peak, int(self._last.get("peak", 0)))
        if self._verdict == "exited" and self._memory is not None and self._peak > self._memory:
            self._verdict = "memory"  # it took and gave back more than it may between two looks
        self._done.set()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError
    return pipe
