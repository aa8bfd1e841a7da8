"""Lambda's Invoke API on loopback, for one function: what ``curl`` and the AWS SDKs call with an endpoint override.

Source: AWS Lambda API reference, page API_Invoke. The emulator in AWS's base images offers the same path, with
``function`` as the name; here any name stands for the one function that is served.
"""

from __future__ import annotations

import base64
import json
import queue
import re
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, Self

import msgspec

from lamina.errors import UsageError
from lamina.prove import events
from lamina.prove.invocation import VERSION, Invocation
from lamina.prove.wire import Reply, Request, Server
from lamina.runtimes import quotas

_PATH = re.compile(r"/2015-03-31/functions/([A-Za-z0-9:%_$.-]{1,256})/invocations")
_TRACE = re.compile(r"[\x20-\x7e]{0,256}")
_JSON = {"Content-Type": "application/json"}
#: Events that wait for their turn. Lambda keeps them for hours; whoever sends more here is told to slow down.
_WAITING = 100
_CONTEXT = 3583  # bytes of a client context, as base64 in the header. Source: API_Invoke, X-Amz-Client-Context


class Invoke(Protocol):
    """What calls the function."""

    def __call__(self, event: bytes, *, client_context: str = "", trace_id: str = "") -> Invocation:
        """Call it with an event."""


class InvokeServer:
    """Serves ``invoke`` until it is closed: one invocation at a time, as one execution environment does.

    ``told`` is called with every invocation when it is over, on some thread, before its answer is sent.

    Raises:
        UsageError: the port is taken or may not be opened.
    """

    def __init__(self, invoke: Invoke, told: Callable[[Invocation], None] = lambda _: None, port: int = 0) -> None:
        self._invoke = invoke
        self._told = told
        self._turn = threading.Lock()
        self._closed = False
        self._later: queue.Queue[tuple[bytes, str, str] | None] = queue.Queue(_WAITING)
        try:
            self._server = Server(self._answer, body=quotas().event, port=port)
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be opened: {error.strerror}",
                hint="Name another one, or 0: then the system chooses one that is free.",
            ) from error
        self.port = self._server.port
        threading.Thread(target=self._work, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more; what is under way is not waited for, and what waits is forgotten."""
        self._closed = True
        self._server.close()
        while not self._later.empty():
            self._later.get_nowait()
        self._later.put(None)

    def _work(self) -> None:
        while (asked := self._later.get()) is not None:
            self._call(*asked)

    def _call(self, event: bytes, context: str, trace: str) -> Invocation | None:
        with self._turn:
            if self._closed:
                return None
            done = self._invoke(event, client_context=context, trace_id=trace)
            self._told(done)
            return done

    def _answer(self, request: Request) -> Reply:
        if _PATH.fullmatch(request.path) is None:
            known = "/2015-03-31/functions/function/invocations"
            return _refuse(404, "ResourceNotFoundException", f"nothing is served here but POST {known}")
        if request.method != "POST":
            return Reply(405, b"", {"Allow": "POST"})
        if request.body is None:
            limit = quotas().event
            message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
            return _refuse(413, "RequestTooLargeException", message)
        return self._invoked(request, request.body)

    def _invoked(self, request: Request, body: bytes) -> Reply:
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        trace = request.headers.get("x-amzn-trace-id", "")
        try:
            event = events.event(body or b"{}", "the event")
            context = _client_context(request.headers.get("x-amz-client-context", ""))
        except UsageError as error:
            return _refuse(400, "InvalidRequestContentException", error.message)
        asked = (event, context, trace if _TRACE.fullmatch(trace) else "")
        if kind == "DryRun":
            return Reply(204)
        if kind == "Event":
            return self._put(asked)
        if kind != "RequestResponse":
            message = f"{kind[:40]} is none of RequestResponse, Event and DryRun"
            return _refuse(400, "InvalidParameterValueException", message)
        done = self._call(*asked)
        if done is None:
            return _refuse(503, "ServiceException", "the server is closing")
        return Reply(200, done.payload, _headers(done, tail=request.headers.get("x-amz-log-type") == "Tail"))

    def _put(self, asked: tuple[bytes, str, str]) -> Reply:
        try:
            self._later.put_nowait(asked)
        except queue.Full:
            return _refuse(429, "TooManyRequestsException", f"{_WAITING} events wait already")
        return Reply(202, b"", {"X-Amz-Executed-Version": VERSION})


def _headers(done: Invocation, *, tail: bool) -> Mapping[str, str]:
    headers = {
        "Content-Type": "application/json",
        "X-Amzn-RequestId": done.request_id,
        "X-Amz-Executed-Version": VERSION,
    }
    if done.error is not None:
        headers["X-Amz-Function-Error"] = "Unhandled"
    if tail:
        last = done.logs.encode()[-quotas().log_tail :]
        headers["X-Amz-Log-Result"] = base64.b64encode(last).decode()
    return headers


def _client_context(header: str) -> str:
    """The JSON of a client context, on one line for the header that hands it on.

    Raises:
        UsageError: it is not base64 of a JSON object, or too large.
    """
    try:
        found = msgspec.json.decode(base64.b64decode(header, validate=True)) if header else None
    except (ValueError, msgspec.MsgspecError, RecursionError):
        found = None
    if header and (not isinstance(found, dict) or len(header) > _CONTEXT):
        message = f"the client context is not base64 of a JSON object in at most {_CONTEXT} bytes"
        raise UsageError(message, hint="Correct it.")
    return json.dumps(found) if found else ""  # in ASCII, since it goes on in a header


def _refuse(status: int, kind: str, message: str) -> Reply:
    body = msgspec.json.encode({"Type": "User", "message": message, "Message": message})
    return Reply(status, body, {**_JSON, "X-Amzn-ErrorType": kind})
