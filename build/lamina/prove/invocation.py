"""One invocation of a function, as values: what the function is, what came of calling it, and what it gets to see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from lamina.prove.model import Ended

#: What a function sees of an account that is not there. Nothing is signed with these that leaves the machine.
REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "lamina",
    "AWS_SECRET_ACCESS_KEY": "lamina",
    "AWS_SESSION_TOKEN": "lamina",
}
VERSION = "$LATEST"

_MIB = 1024 * 1024


class Setting(NamedTuple):
    """What a function is, beside its code.

    ``memory`` is in bytes, ``timeout`` in seconds, ``runtime`` Lambda's name of it (``python3.11``). ``environment``
    are the recipe's variables and those of the services that stand in for AWS's. ``reach`` are the loopback ports of
    those services. ``client`` starts AWS's runtime client, to which the handler is added.
    """

    name: str
    handler: str
    memory: int
    timeout: float
    runtime: str
    environment: Mapping[str, str] = {}
    reach: Sequence[int] = ()
    client: Sequence[str] = ("-m", "awslambdaric")


class Failure(NamedTuple):
    """An error as Lambda names it: ``Runtime.ImportModuleError``, ``Sandbox.Timedout``, ``ValueError``."""

    error_type: str
    message: str
    stack: tuple[str, ...] = ()


class Invocation(NamedTuple):
    """What came of one invocation.

    ``payload`` is what Lambda's Invoke API answers: what the handler returned, as JSON, or the error's own JSON.
    ``phase`` tells an error of the initialization from one of the handler. ``init_seconds`` is there where this
    invocation started the function. ``seconds`` are wall time, ``peak`` is the largest resident memory of the
    environment so far, in bytes; ``ended`` tells how the process ended, ``None`` where it lives on.
    """

    request_id: str
    payload: bytes
    error: Failure | None
    logs: str
    init_seconds: float | None
    seconds: float
    peak: int
    ended: Ended | None
    phase: Literal["init", "invoke"] = "invoke"

    @property
    def billed(self) -> int:
        """The milliseconds that Lambda bills, begun ones included.

        Initialization is billed since August 2025 (AWS compute blog, "AWS Lambda standardizes billing for INIT Phase").
        """
        return math.ceil((self.seconds + (self.init_seconds or 0.0)) * 1000)


def arn(name: str) -> str:
    """The name that the function is told it was called by."""
    return f"arn:aws:lambda:{REGION}:123456789012:function:{name}"


def environment(setting: Setting, port: int) -> Mapping[str, str]:
    """The variables of the function: its own, and over them those that Lambda sets and does not let be overridden.

    Source: AWS Lambda developer guide, page configuration-envvars, reserved environment variables. ``AWS_REGION`` is
    the one that stands for an account here; credentials of the function's own go before ours, which nobody checks.
    """
    return {
        **CREDENTIALS,
        **setting.environment,
        "_HANDLER": setting.handler,
        "_X_AMZN_TRACE_ID": "",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{setting.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(setting.memory // _MIB),
        "AWS_LAMBDA_FUNCTION_NAME": setting.name,
        "AWS_LAMBDA_FUNCTION_VERSION": VERSION,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{setting.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"[{VERSION}]lamina",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_REGION": REGION,
    }
