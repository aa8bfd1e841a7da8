"""A function as Lambda runs it: initialized once, invoked many times, ended by its deadline, its memory or itself.

Drives AWS's own runtime client in a sandbox. Source of the phases, limits and error types: AWS Lambda developer guide,
pages lambda-runtime-environment and runtimes-api.
"""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Self, TypeAlias

from lamina.prove.failure import died, payload_of, reported, timed_out, too_large
from lamina.prove.invocation import Failure, Invocation, Setting, arn, environment
from lamina.prove.model import Job, Outcome, Sandbox
from lamina.prove.runtime_api import Answered, Failed, Ready, RuntimeApi, Said, Work
from lamina.runtimes import quotas

#: Seconds between two looks at whether the process still lives. What the function says is taken at once.
_LOOK = 0.02
#: Seconds for a function that has answered to ask for more; after them it is ended, and started for the next event.
_RETURN = 1.0
#: Seconds that output gets to arrive once the function has answered, and between two looks at it.
_SETTLE = 0.1
_SETTLED = 0.005

#: What comes next of a function: what it says, its end, or nothing in time.
_Heard: TypeAlias = Said | Outcome | None


class Function:
    """One execution environment. Not for several threads at once: an environment does one invocation at a time."""

    def __init__(self, sandbox: Sandbox, setting: Setting) -> None:
        self.setting = setting
        self._sandbox = sandbox
        self._process: _Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def invoke(self, event: bytes, *, client_context: str = "", trace_id: str = "") -> Invocation:
        """Call the handler with ``event``, starting the function first where it does not run.

        An initialization beyond Lambda's 10 seconds is ended and runs again on the time of the invocation, without
        that limit. One that fails is told at once: Lambda runs it again too, and then tells the same.
        Whatever the function does is an :class:`Invocation`; nothing of it is raised.
        """
        request_id = str(uuid.uuid4())
        earlier, init = "", None
        began = time.monotonic()
        if self._process is None:
            process, heard = self._start(began + quotas().init)
            init = time.monotonic() - began
            if heard is None:
                process.end()
                earlier = (
                    f"{process.logs()}INIT_REPORT Init Duration: {init * 1000:.2f} ms\tPhase: init\tStatus: timeout\n"
                )
                init, began = None, time.monotonic()
                process, heard = self._start(began + self.setting.timeout)
            if not isinstance(heard, Ready):
                seconds = 0.0 if init is not None else time.monotonic() - began
                done = self._concluded(process, request_id, heard, init, seconds)
                return done._replace(logs=earlier + done.logs, phase="init")
            self._process = process
            began = time.monotonic() if init is not None else began
        process = self._process
        deadline = began + self.setting.timeout
        trace_id = trace_id or f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Sampled=0"
        until = int((time.time() + deadline - time.monotonic()) * 1000)
        process.api.hand(Work(request_id, event, until, arn(self.setting.name), trace_id, client_context))
        heard = process.listen(deadline)
        done = self._concluded(process, request_id, heard, init, time.monotonic() - began)
        return done._replace(logs=earlier + done.logs)

    def _start(self, until: float) -> tuple[_Process, _Heard]:
        process = _Process(self._sandbox, self.setting)
        try:
            return process, process.listen(until)
        except BaseException:  # Ctrl-C: no process is left behind
            process.end()
            raise

    def _concluded(
        self, process: _Process, request_id: str, heard: _Heard, init: float | None, seconds: float
    ) -> Invocation:
        """The invocation that ends with what was heard; the process goes on only if it comes back for more."""
        payload, error = _outcome(request_id, heard, self.setting.timeout)
        if not (isinstance(heard, Answered | Failed) and isinstance(process.listen(time.monotonic() + _RETURN), Ready)):
            process.end()
            self._process = None
        gone = process.outcome
        # A function that ran out of memory while its answer was on the way has answered all the same.
        ended = None if gone is None else ("timeout" if heard is None else gone.ended)
        return Invocation(request_id, payload, error, process.logs(), init, seconds, process.peak(), ended)


class _Process:
    """A process of the function, from its start to its end, with the Runtime API that it talks to."""

    def __init__(self, sandbox: Sandbox, setting: Setting) -> None:
        self.api = RuntimeApi()
        self.outcome: Outcome | None = None
        self._read = (0, 0)
        port = self.api.port
        job = Job(
            (*setting.client, setting.handler),
            environment(setting, port),
            reach=(port, *setting.reach),
            memory=setting.memory,
        )
        try:
            self._running = sandbox.start(job)
        except BaseException:
            self.api.close()
            raise

    def listen(self, until: float) -> _Heard:
        """What comes next, up to the monotonic time ``until``."""
        while True:
            left = until - time.monotonic()
            if (said := self.api.said(min(_LOOK, left))) is not None:
                return said
            self.outcome = self._running.wait(0)
            if self.outcome is not None:
                return self.api.said(0) or self.outcome  # its last words, where there were some
            if left <= 0:
                return None

    def end(self) -> None:
        """End it, with whatever it has started."""
        if self.outcome is None:
            self.outcome = self._running.stop()
        self.api.close()

    def peak(self) -> int:
        """The largest resident memory so far, in bytes."""
        return self.outcome.peak if self.outcome is not None else self._running.peak()

    def logs(self) -> str:
        """Standard output and then standard error since the last call, each in its own order.

        What the function has written before it answered is in the pipe already, but perhaps not read yet: hence two
        looks that must agree.
        """
        output = self._output()
        until = time.monotonic() + _SETTLE
        while self.outcome is None and time.monotonic() < until:
            time.sleep(_SETTLED)
            before, output = output, self._output()
            if [len(stream) for stream in before] == [len(stream) for stream in output]:
                break
        out, err = (stream[seen:] for stream, seen in zip(output, self._read, strict=True))
        new = out + (b"\n" if out and err and not out.endswith(b"\n") else b"") + err
        self._read = (len(output[0]), len(output[1]))
        # AWS's runtime client ends the lines of a traceback with a carriage return, so that it is one log event.
        return new.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")

    def _output(self) -> tuple[bytes, bytes]:
        if self.outcome is not None:
            return self.outcome.stdout, self.outcome.stderr
        return self._running.output()


def _outcome(request_id: str, heard: _Heard, timeout: float) -> tuple[bytes, Failure | None]:
    """What the Invoke API answers, and the error that it is, if it is one."""
    if isinstance(heard, Answered) and heard.payload is not None:
        return heard.payload, None
    if isinstance(heard, Failed):
        return heard.payload, reported(heard.payload, heard.error_type)
    if isinstance(heard, Answered):
        failure = too_large()
    elif isinstance(heard, Outcome):
        failure = died(request_id, heard)
    else:
        failure = timed_out(request_id, timeout)
    return payload_of(failure), failure
