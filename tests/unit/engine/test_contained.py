"""What a container says, taken apart: whole frames, torn ones, and what no job of ours would ever say."""

from __future__ import annotations

import json
import queue
import struct
import threading
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.engine.contained import Contained, Container
from lamina.engine.model import FailedToEnterError
from lamina.prove.model import Outcome

_OUT, _ERR, _TELL = 1, 2, 3


class Said:
    """A stream that says what it was given, in the order of the chunks, and then ends."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        for chunk in (*chunks, b""):
            self._chunks.put(chunk)
        self._rest = b""
        self.sent: list[bytes] = []
        self.closed = False

    def recv(self, size: int, /) -> bytes:
        if not self._rest:
            self._rest = self._chunks.get()
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def sendall(self, data: bytes, /) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


def frame(kind: int, number: int, content: bytes = b"") -> bytes:
    return struct.pack("!BII", kind, number, len(content)) + content


def tell(**message: object) -> bytes:
    return frame(_TELL, 0, json.dumps(message).encode())


def by_engine(content: bytes, stream: int = 1) -> bytes:
    return struct.pack("!B3xI", stream, len(content)) + content


def run(*chunks: bytes) -> tuple[Outcome, Said, list[str]]:
    stream, removed = Said(*chunks), []
    container = Container(stream, lambda: None, lambda: removed.append("removed"))
    outcome = Contained(container, {}, b"", (), None).wait(10)
    assert outcome is not None
    return outcome, stream, removed


ENDED = tell(ended=3, verdict="exited", seconds=1.5, peak=4096)


@given(st.integers(1, 40), st.integers(1, 40))
def test_frames_arrive_whole_however_they_are_cut(engine: int, size: int) -> None:
    said = tell(started=True) + frame(0, _OUT, b"one") + frame(0, _ERR, b"two") + frame(0, _OUT, b"three") + ENDED
    framed = b"".join(by_engine(said[start : start + engine]) for start in range(0, len(said), engine))
    outcome, stream, removed = run(*(framed[start : start + size] for start in range(0, len(framed), size)))
    assert outcome == Outcome("exited", 3, b"onethree", b"two", 1.5, 4096)
    assert stream.closed
    assert removed


@pytest.mark.parametrize("verdict", ["timeout", "memory", "stopped"])
def test_a_verdict_takes_the_exit_code_away(verdict: str) -> None:
    outcome, _, _ = run(by_engine(tell(started=True) + tell(ended=-9, verdict=verdict, seconds=1, peak=5)))
    assert outcome == Outcome(verdict, None, b"", b"", 1.0, 5)  # type: ignore[arg-type]


def test_an_end_without_a_word_is_told_as_killed() -> None:
    outcome, _, _ = run(by_engine(tell(started=True)))
    assert (outcome.ended, outcome.code) == ("exited", -9)


def test_what_no_job_ever_says_changes_nothing() -> None:
    said = tell(started=True) + frame(0, 999, b"nobody's") + frame(1, 999) + frame(2, 77, b"80") + ENDED
    outcome, _, _ = run(by_engine(said))
    assert outcome.code == 3


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (by_engine(b"hello, here is no Python\n"), "its Python answers with something else than was sent to it"),
        (by_engine(struct.pack("!BII", 0, 1, 1 << 31)), "its Python answers with something else than was sent to it"),
        (by_engine(frame(_TELL, 0, b"{")), "its Python answers with something else than was sent to it"),
        (by_engine(frame(_TELL, 0, b"[]")), "its Python answers with something else than was sent to it"),
        (by_engine(tell(started=True, peak=[])), "its Python answers with something else than was sent to it"),
        (by_engine(frame(2, 20, b"port")), "its Python answers with something else than was sent to it"),
        (b"\x01", "its Python ended before it ran anything"),
        (by_engine(b"SyntaxError: invalid\n", 2), "its Python ended before it ran anything: SyntaxError: invalid"),
        (by_engine(tell(failed="port 80: Permission denied")), "port 80: Permission denied"),
    ],
)
def test_a_container_that_runs_no_job_is_told(said: bytes, message: str) -> None:
    stream = Said(said)
    with pytest.raises(FailedToEnterError) as caught:
        Contained(Container(stream, lambda: None, lambda: None), {}, b"", (), None)
    assert str(caught.value) == message
    assert stream.closed


def test_a_container_that_does_not_start_is_removed() -> None:
    removed = []

    def start() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Contained(Container(Said(), start, lambda: removed.append(1)), {}, b"", (), None)
    assert removed


class Deaf:
    """What a connection leads to that takes nothing."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def settimeout(self, seconds: float | None) -> None:
        pass

    def sendall(self, _: bytes) -> None:
        self._over.wait(30)
        raise BrokenPipeError

    def recv(self, _: int) -> bytes:
        self._over.wait(30)
        return b""

    def shutdown(self, _: int) -> None:
        self._over.set()


def test_a_container_that_floods_a_connection_is_no_longer_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamina.engine.contained._GRACE", 0.2)
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: Deaf())
    flood = by_engine(frame(0, 20, bytes(1 << 20)))
    stream = Said(by_engine(tell(started=True) + frame(2, 20, b"80")), *[flood] * 64)
    running = Contained(Container(stream, lambda: None, lambda: None), {}, b"", (80,), None)
    assert running.wait(0.5) is None
    left = stream._chunks.qsize()
    outcome = running.stop()
    assert outcome.ended == "stopped"
    assert 64 - left <= 20  # MiB that were taken, of the 64


def test_more_connections_than_anybody_needs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamina.engine.contained._MOST_CONNECTIONS", 3)
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: Deaf())
    opened = b"".join(frame(2, number, b"80") for number in range(16, 26))
    stream = Said(by_engine(tell(started=True) + opened + ENDED))
    outcome = Contained(Container(stream, lambda: None, lambda: None), {}, b"", (80,), None).wait(10)
    assert outcome is not None
    assert outcome.code == 3
    assert {struct.pack("!BII", 1, number, 0) for number in range(19, 26)} <= {*stream.sent}


def test_a_message_without_end_is_no_message() -> None:
    with pytest.raises(FailedToEnterError) as caught:
        run(by_engine(frame(_TELL, 0, b'{"x": ' + b"[" * 200_000)))
    assert str(caught.value) == "its Python answers with something else than was sent to it"
