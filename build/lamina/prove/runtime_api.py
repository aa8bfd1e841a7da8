"""Lambda's Runtime API for one function, on loopback: what AWS's runtime client asks for work and brings answers to.

Source: AWS Lambda developer guide, page runtimes-api; states, status codes and error types as in AWS's own runtime
interface emulator (aws/aws-lambda-runtime-interface-emulator, lambda/rapi and lambda/core).
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Mapping
from typing import Literal, NamedTuple, Self, TypeAlias

import msgspec

from lamina.prove.wire import Reply, Request, Server
from lamina.runtimes import quotas

_PREFIX = "/2018-06-01/runtime/"
_INVOCATION = re.compile(r"invocation/([^/]{1,64})/(response|error)")
_METHODS = {"invocation/next": "GET", "init/error": "POST", "restore/next": "GET", "restore/error": "POST"}
_JSON = {"Content-Type": "application/json"}
_ACCEPTED = Reply(202, b'{"status":"OK"}\n', _JSON)
_ERROR_TYPE = "lambda-runtime-function-error-type"

#: What the function is at: starting up, waiting for work, at work, or done with an answer and not yet back for more.
_State = Literal["starting", "waiting", "working", "answered", "failed"]


class Work(NamedTuple):
    """One invocation as the function gets it. ``deadline`` is in milliseconds since the epoch."""

    request_id: str
    event: bytes
    deadline: int
    arn: str
    trace_id: str
    client_context: str = ""


class Ready(NamedTuple):
    """The function asks for work: its initialization, or the invocation before, is over."""


class Answered(NamedTuple):
    """The function's answer; ``payload`` is ``None`` where it is larger than Lambda takes."""

    payload: bytes | None


class Failed(NamedTuple):
    """The function reports an error: of an invocation, or of its initialization."""

    payload: bytes
    error_type: str
    at_init: bool


#: What the function has said.
Said: TypeAlias = Ready | Answered | Failed


class RuntimeApi:
    """Hands out work and takes answers. What the function says comes out of :meth:`said`, in its order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._state: _State = "starting"
        self._work: Work | None = None
        self._closed = False
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._server = Server(self._answer, body=quotas().answer)
        self.port = self._server.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections; a function that waits for work gets none."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.close()

    def hand(self, work: Work) -> None:
        """Give the function its next invocation. It must have said that it is :class:`Ready`."""
        with self._changed:
            self._work = work
            self._changed.notify_all()

    def said(self, seconds: float) -> Said | None:
        """The next thing that the function says, or ``None`` if it says nothing for so many seconds."""
        try:
            return self._said.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None

    def _answer(self, request: Request) -> Reply:
        place = request.path.removeprefix(_PREFIX) if request.path.startswith(_PREFIX) else ""
        of_one = _INVOCATION.fullmatch(place)
        method = "POST" if of_one is not None else _METHODS.get(place)
        if method is None:
            return _refuse(404, "ResourceNotFound", f"the Runtime API has no {request.path[:200]}")
        if request.method != method:
            return Reply(405, b"", {"Allow": method})
        if of_one is not None:
            return self._finish(of_one[1], of_one[2], request)
        if place == "invocation/next":
            return self._next()
        # Functions with SnapStart wait here to be restored: there is no snapshot, so they go on at once.
        return Reply(200, b"", _JSON) if place == "restore/next" else self._init_error(request)

    def _next(self) -> Reply:
        with self._changed:
            if self._state in {"working", "failed"}:
                return _forbidden(self._state, "Ready")
            if self._state != "waiting":
                self._state = "waiting"
                self._said.put(Ready())
            # A second connection that asks meanwhile waits as well, and only one of them gets the work.
            self._changed.wait_for(lambda: self._closed or (self._work is not None and self._state == "waiting"))
            if self._closed or self._work is None:
                return _refuse(500, "InternalServerError", "the function is ended")
            self._state = "working"
            return Reply(200, self._work.event, _headers(self._work))

    def _finish(self, request_id: str, kind: str, request: Request) -> Reply:
        with self._changed:
            if self._work is None or request_id != self._work.request_id:
                return _refuse(400, "InvalidRequestID", "Invalid request ID")
            if self._state != "working":
                return _forbidden(
                    self._state, "InvocationResponse" if kind == "response" else "InvocationErrorResponse"
                )
            self._state, self._work = "answered", None
            if request.body is None:
                self._said.put(Answered(None))
                return _too_large()
            if kind == "response":
                self._said.put(Answered(request.body))
            else:
                self._said.put(Failed(request.body, _error_type(request), at_init=False))
            return _ACCEPTED

    def _init_error(self, request: Request) -> Reply:
        with self._changed:
            if self._state != "starting":
                return _forbidden(self._state, "InitError")
            if request.body is None:
                return _too_large()
            self._state = "failed"
            self._said.put(Failed(request.body, _error_type(request), at_init=True))
            return _ACCEPTED


def _headers(work: Work) -> Mapping[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": work.request_id,
        "Lambda-Runtime-Deadline-Ms": str(work.deadline),
        "Lambda-Runtime-Invoked-Function-Arn": work.arn,
        "Lambda-Runtime-Trace-Id": work.trace_id,
    }
    return headers | ({"Lambda-Runtime-Client-Context": work.client_context} if work.client_context else {})


def _error_type(request: Request) -> str:
    return request.headers.get(_ERROR_TYPE, "")[:200]


def _refuse(status: int, kind: str, message: str) -> Reply:
    return Reply(status, msgspec.json.encode({"errorMessage": message, "errorType": kind}), _JSON)


def _forbidden(state: _State, wanted: str) -> Reply:
    return _refuse(403, "InvalidStateTransition", f"the function is {state} and cannot do {wanted}")


def _too_large() -> Reply:
    limit = quotas().answer
    return _refuse(413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({limit} bytes).")
