"""The Runtime API itself: what it answers to a client that does as it should, and to one that does not."""

from __future__ import annotations

import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from lamina.prove.runtime_api import Answered, Failed, Ready, RuntimeApi, Work
from lamina.runtimes import quotas

RUNTIME = "/2018-06-01/runtime"
WORK = Work("id-1", b'{"a": 1}', 1_700_000_000_123, "arn:aws:lambda:x", "Root=1-2-3")


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as server:
        yield server


def ask(api: RuntimeApi, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)
    connection.request(method, RUNTIME + path, body, {key.replace("_", "-"): value for key, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def next_of(api: RuntimeApi, work: Work = WORK) -> tuple[dict[str, str], bytes]:
    """Ask for work while there is none yet, and get it when it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)
    connection.request("GET", f"{RUNTIME}/invocation/next")
    assert isinstance(api.said(10), Ready)
    api.hand(work)
    answer = connection.getresponse()
    assert answer.status == 200
    found = dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def raw(api: RuntimeApi, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while data := connection.recv(65536):
            found += data
        return found


def test_an_invocation_from_next_to_its_answer(api: RuntimeApi) -> None:
    headers, body = next_of(api)
    assert body == b'{"a": 1}'
    del headers["Content-Length"]
    assert headers == {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": "id-1",
        "Lambda-Runtime-Deadline-Ms": "1700000000123",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:x",
        "Lambda-Runtime-Trace-Id": "Root=1-2-3",
    }
    assert ask(api, "POST", "/invocation/id-1/response", b"7")[0] == 202
    assert api.said(1) == Answered(b"7")
    next_of(api, WORK._replace(request_id="id-2"))
    error = {"Lambda_Runtime_Function_Error_Type": "Mine"}
    assert ask(api, "POST", "/invocation/id-2/error", b"{}", **error)[0] == 202
    assert api.said(1) == Failed(b"{}", "Mine", at_init=False)
    assert api.said(0) is None


def test_errors_of_the_initialization_and_of_a_restore(api: RuntimeApi) -> None:
    assert ask(api, "GET", "/restore/next") == (200, b"")
    assert ask(api, "POST", "/restore/error", b'{"a": 1}', Lambda_Runtime_Function_Error_Type="R")[0] == 202
    assert api.said(1) == Failed(b'{"a": 1}', "R", at_init=True)
    status, body = ask(api, "POST", "/init/error", b"{}")
    assert (status, json.loads(body)["errorType"]) == (403, "InvalidStateTransition")
    assert ask(api, "GET", "/invocation/next")[0] == 403


def test_what_does_not_fit_the_state_or_the_id(api: RuntimeApi) -> None:
    assert ask(api, "POST", "/invocation/id-1/response", b"1")[0] == 400
    next_of(api)
    assert ask(api, "GET", "/invocation/next")[0] == 403
    assert ask(api, "POST", "/init/error", b"{}")[0] == 403
    status, body = ask(api, "POST", "/invocation/id-9/response", b"1")
    assert (status, json.loads(body)) == (400, {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"})
    assert ask(api, "POST", "/invocation/id-1/response", b"1")[0] == 202
    assert ask(api, "POST", "/invocation/id-1/response", b"2")[0] == 400  # answered already
    assert api.said(1) == Answered(b"1")
    assert api.said(0) is None


def test_places_and_methods_that_are_none(api: RuntimeApi) -> None:
    for path in ("/ping", "/invocation/", "/invocation/a/b/response", "/invocation/next/", "/../runtime/init/error"):
        assert ask(api, "POST", path)[0] == 404
    assert ask(api, "POST", "/invocation/next")[0] == 405
    assert ask(api, "GET", "/init/error")[0] == 405
    assert api.said(0) is None


def test_an_answer_may_be_as_large_as_lambda_takes_and_not_larger(api: RuntimeApi) -> None:
    limit = quotas().answer
    next_of(api)
    assert ask(api, "POST", "/invocation/id-1/response", b"x" * limit)[0] == 202
    assert api.said(1) == Answered(b"x" * limit)
    next_of(api)
    status, body = ask(api, "POST", "/invocation/id-1/response", b"x" * (limit + 1))
    assert status == 413
    assert json.loads(body) == {
        "errorMessage": f"Exceeded maximum allowed payload size ({limit} bytes).",
        "errorType": "RequestEntityTooLarge",
    }
    assert api.said(1) == Answered(None)


def test_answers_in_chunks_are_counted_as_they_come(api: RuntimeApi) -> None:
    head = f"POST {RUNTIME}/invocation/id-1/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    next_of(api)
    assert raw(api, head + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n").startswith(b"HTTP/1.1 202 ")
    assert api.said(1) == Answered(b"abcde")
    next_of(api)
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    assert raw(api, head + chunk * 7 + b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert api.said(1) == Answered(None)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\x01\x02\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: empty\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000, 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n", 400),
        (b"GET /" + b"x" * 3_000_000, 431),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 3_000_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: x\r\n" * 600_000, 431),
        (b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", 404),
    ],
)
def test_what_is_no_request_is_refused_and_its_connection_closed(api: RuntimeApi, sent: bytes, status: int) -> None:
    found = raw(api, sent)
    assert found.startswith(f"HTTP/1.1 {status} ".encode())
    assert found.count(b"HTTP/1.1 ") == 1


def test_a_request_that_ends_too_early_is_nothing(api: RuntimeApi) -> None:
    next_of(api)
    assert raw(api, f"POST {RUNTIME}/invocation/id-1/response HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc".encode()) == b""
    assert api.said(0.2) is None
    assert ask(api, "POST", "/invocation/id-1/response", b"abcde")[0] == 202


def test_more_connections_than_a_function_needs_are_refused(api: RuntimeApi) -> None:
    several = [socket.create_connection(("127.0.0.1", api.port), timeout=30) for _ in range(70)]
    refused: set[socket.socket] = set()
    until = time.monotonic() + 20
    while len(refused) < 6 and time.monotonic() < until:
        refused |= set(select.select(several, [], [], 0.1)[0])
    time.sleep(0.2)  # for one refused too many
    refused |= set(select.select(several, [], [], 0)[0])
    for connection in several:
        connection.close()
    assert len(refused) == 6
    time.sleep(0.1)
    assert ask(api, "GET", "/restore/next")[0] == 200


def test_closing_it_wakes_whoever_waits_for_work() -> None:
    api = RuntimeApi()
    before = threading.active_count()
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as waiting:
        waiting.sendall(f"GET {RUNTIME}/invocation/next HTTP/1.1\r\n\r\n".encode())
        assert isinstance(api.said(10), Ready)
        api.close()
        assert b"200 OK" not in waiting.recv(100)
    until = time.monotonic() + 10
    while threading.active_count() >= before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() < before
