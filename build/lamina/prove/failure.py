"""How an invocation failed: in Lambda's own words, as its callers get it, and in ours, with what to do about it."""

from __future__ import annotations

import signal
from typing import Any, NamedTuple

import msgspec

from lamina.prove.invocation import Failure, Invocation, Setting
from lamina.prove.model import Outcome
from lamina.runtimes import quotas

_MIB = 1024 * 1024
#: The most of a text by the function that one of our messages quotes, in characters, and of its stack, in lines.
_QUOTED = 2000
_FRAMES = 100


class Told(NamedTuple):
    """A failure for people: what happened, and what to do next."""

    message: str
    hint: str


class _Reported(msgspec.Struct):
    """What AWS's runtime client reports; whatever else a function sends is not looked at."""

    errorMessage: str = ""  # noqa: N815 - the name on the wire
    errorType: str = ""  # noqa: N815
    stackTrace: list[Any] = []  # noqa: N815


def timed_out(request_id: str, seconds: float) -> Failure:
    """The function was ended at its deadline, after so many seconds."""
    return Failure("Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds")


def too_large() -> Failure:
    """The answer is above Lambda's limit."""
    limit = quotas().answer
    return Failure(
        "Function.ResponseSizeTooLarge", f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
    )


def died(request_id: str, outcome: Outcome) -> Failure:
    """The process is gone: by its memory, by a signal, or by its own exit."""
    if outcome.ended == "memory":
        kind, why = "Runtime.OutOfMemory", "exited with error: signal: killed"
    elif not outcome.code:
        kind, why = "Runtime.ExitError", "exited without providing a reason"
    elif outcome.code < 0:
        kind, why = "Runtime.ExitError", f"exited with error: signal: {_signal(outcome.code)[1]}"
    else:
        kind, why = "Runtime.ExitError", f"exited with error: exit status {outcome.code}"
    return Failure(kind, f"RequestId: {request_id} Error: Runtime {why}")


def reported(payload: bytes, error_type: str) -> Failure:
    """An error that the function reported itself. ``error_type`` is that of the header, for a body that is none."""
    try:
        found = msgspec.json.decode(payload, type=_Reported)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return Failure(error_type or "Unhandled", payload[:_QUOTED].decode(errors="replace"))
    stack = tuple(str(frame) for frame in found.stackTrace[-_FRAMES:] if isinstance(frame, str))
    return Failure(found.errorType or error_type or "Unhandled", found.errorMessage, stack)


def payload_of(failure: Failure) -> bytes:
    """The failure as the Invoke API answers it."""
    return msgspec.json.encode({"errorType": failure.error_type, "errorMessage": failure.message})


def told(invocation: Invocation, setting: Setting) -> Told | None:
    """What went wrong in ``invocation``, in plain words, or ``None`` for one without an error."""
    error = invocation.error
    if error is None:
        return None
    doing = "while it was initialized" if invocation.phase == "init" else "while it handled the event"
    if error.error_type == "Sandbox.Timedout":
        within = f"{setting.timeout:g} s, the function's timeout,"
        hint = "Raise timeout in [function], or see in the log how far it came."
        return Told(f"{setting.handler} did not answer within {within} and was ended", hint)
    if error.error_type == "Runtime.OutOfMemory":
        message = f"the function needed more than its {setting.memory // _MIB} MB of memory {doing} and was ended"
        return Told(message, f"Raise memory in [function]; it held {_mib(invocation.peak)} MB when it was ended.")
    if error.error_type == "Runtime.ExitError":
        why = error.message.partition("Error: ")[2] or error.message
        return Told(f"the process ended {doing}: {why}", _KILLED if "signal:" in why else _EXITED)
    return _reported(error, invocation.phase, setting.handler)


def _reported(error: Failure, phase: str, handler: str) -> Told:
    """An error that AWS's runtime client or the function itself has reported."""
    text = error.message[:_QUOTED]
    if error.error_type in _SAID:
        said, hint = _SAID[error.error_type]
        return Told(f"{said.format(handler=handler)}: {text}", hint)
    own = [frame for frame in error.stack if not any(part in frame.partition("\n")[0] for part in _OF_OTHERS)]
    place = f" ({_place((own or error.stack)[-1])})" if error.stack else ""
    shown = f"{error.error_type}: {text}{place}" if text else f"{error.error_type}{place}"
    if phase == "init":
        hint = "The log has the whole traceback; nothing of the function can be called until its module imports."
        return Told(f"the module of {handler} raised while it was imported: {shown}", hint)
    return Told(f"{handler} raised {shown}", "The log has the whole traceback.")


_KILLED = "A native library crashed or was killed; the last lines of the log show where the function was."
_EXITED = "A handler returns or raises. Look for sys.exit, os._exit and exit() in the function and its modules."

#: Error types of AWS's runtime client (lambda_runtime_exception.py) and of Lambda: what they mean, and what to do.
_SAID = {
    "Runtime.ImportModuleError": (
        "the module of {handler} does not import",
        "Ship what is missing: a package in requirements, a module of your own with source in [function].",
    ),
    "Runtime.HandlerNotFound": (
        "{handler} does not exist",
        "Write handler in [function] as module.function, and define that function at the top of the module.",
    ),
    "Runtime.MalformedHandlerName": ("{handler} names no handler", "Write handler in [function] as module.function."),
    "Runtime.BuiltInModuleConflict": (
        "the module of {handler} is hidden by a built-in module of Python",
        "Give the module another name.",
    ),
    "Runtime.UserCodeSyntaxError": (
        "the module of {handler} is no Python that the target's interpreter reads",
        "Correct it there; the log has the line.",
    ),
    "Runtime.MarshalError": (
        "what {handler} returned cannot be written as JSON",
        "Return dicts, lists, strings, numbers, booleans and None; turn anything else into those.",
    ),
    "Runtime.UnmarshalError": ("the event is not JSON", "Correct the event."),
    "Function.ResponseSizeTooLarge": (
        "the answer of {handler} is larger than Lambda takes",
        "Answer with less: pages, or a key of an object that the function wrote to S3.",
    ),
}


#: In the path of a frame: the standard library, and packages. The function's own last frame says more.
_OF_OTHERS = ("/lib/python3", "/site-packages/", "/opt/python/")


def _place(frame: str) -> str:
    """A frame of a traceback on one line: ``File "/var/task/handler.py", line 3, in lambda_handler``."""
    return " ".join(frame.strip().partition("\n")[0].split())[:_QUOTED]


def _signal(code: int) -> tuple[str, str]:
    """The name of a signal and what the C library calls it: SIGKILL and killed."""
    try:
        found = signal.Signals(-code)
    except ValueError:
        return str(-code), str(-code)
    return found.name, (signal.strsignal(found) or found.name).lower()


def _mib(size: int) -> int:
    return -(-size // _MIB)
