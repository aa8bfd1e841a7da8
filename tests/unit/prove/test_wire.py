"""The reader of requests, fed with bytes as they may come: in any pieces, and of any kind."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.prove.wire import Request, _GoneError, _Reader, _RefusedError

LIMIT = 100
METHODS = st.sampled_from(["GET", "POST", "PUT"])
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=10).filter(
    lambda name: name not in {"content-length", "transfer-encoding", "expect", "connection"}
)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


class Wire:
    """A connection that delivers these pieces and then ends; what it is sent is kept."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.sent = b""

    def recv(self, most: int) -> bytes:
        if not self.pieces:
            return b""
        piece, rest = self.pieces[0][:most], self.pieces[0][most:]
        self.pieces[:1] = [rest] if rest else []
        return piece

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, _: float | None) -> None:
        pass


def reader(*pieces: bytes) -> _Reader:
    return _Reader(Wire(*pieces), LIMIT)  # type: ignore[arg-type]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[one:other] for one, other in itertools.pairwise(edges)]


@given(
    METHODS, NAMES, st.dictionaries(NAMES, VALUES, max_size=4), st.binary(max_size=LIMIT), st.lists(st.integers(0, 400))
)
def test_two_requests_are_read_from_any_pieces(
    method: str, name: str, headers: dict[str, str], body: bytes, places: list[int]
) -> None:
    lines = [f"{method} /{name}?q=1 HTTP/1.1", *(f"{key.upper()}: {value}" for key, value in headers.items())]
    one = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    expected = Request(method, f"/{name}", "q=1", {**headers, "content-length": str(len(body))}, body)
    read = reader(*cut(one + one, places))
    assert [read.request(), read.request()] == [expected, expected]
    with pytest.raises(_GoneError):
        read.request()


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=5), st.lists(st.integers(0, 400)))
def test_chunks_are_one_body_and_counted_together(chunks: list[bytes], places: list[int]) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    sent = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"GET /next HTTP/1.1\r\n\r\n"
    read = reader(*cut(sent, places))
    whole = b"".join(chunks)
    assert read.request().body == (whole if len(whole) <= LIMIT else None)
    assert read.request().path == "/next"


def test_a_body_above_the_limit_is_passed_over() -> None:
    read = reader(b"POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n" + b"x" * 101 + b"GET /next HTTP/1.1\r\n\r\n")
    assert read.request().body is None
    assert read.request() == Request("GET", "/next", "", {}, b"")


def test_who_asks_whether_to_go_on_is_told_so() -> None:
    wire = Wire(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", b"x")
    assert _Reader(wire, LIMIT).request().body == b"x"  # type: ignore[arg-type]
    assert wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"


WORDS = st.sampled_from(
    [b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"\n", b"Content-Length: ", b"Transfer-Encoding: chunked", b"5", b"0", b":"]
)


def drain(read: _Reader, most: int) -> None:
    for _ in range(most):
        request = read.request()
        assert request.path.startswith("/")
        assert request.body is None or len(request.body) <= LIMIT


@given(st.lists(WORDS | st.binary(max_size=5), max_size=30))
def test_any_bytes_are_requests_until_they_are_refused_or_end(pieces: list[bytes]) -> None:
    with pytest.raises((_RefusedError, _GoneError)) as caught:
        drain(reader(*pieces), len(pieces) + 1)
    assert not isinstance(caught.value, _RefusedError) or caught.value.status in {400, 413, 431, 501}
