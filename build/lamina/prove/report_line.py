"""The lines that Lambda writes around an invocation's own log, as CloudWatch shows them."""

from __future__ import annotations

from lamina.prove.invocation import VERSION, Invocation, Setting

_MIB = 1024 * 1024
#: What a REPORT line adds for an invocation that did not end well. Source: AWS Lambda developer guide, page
#: python-logging and telemetry-schema-reference (status and errorType of platform.report).
_STATUS = {"Sandbox.Timedout": "timeout"}


def report(invocation: Invocation, setting: Setting) -> str:
    """The REPORT line: durations in milliseconds, memory in MB (of 1,048,576 bytes, begun ones included)."""
    fields = [
        f"REPORT RequestId: {invocation.request_id}",
        f"Duration: {invocation.seconds * 1000:.2f} ms",
        f"Billed Duration: {invocation.billed} ms",
        f"Memory Size: {setting.memory // _MIB} MB",
        f"Max Memory Used: {max_memory(invocation, setting)} MB",
    ]
    if invocation.init_seconds is not None:
        fields.append(f"Init Duration: {invocation.init_seconds * 1000:.2f} ms")
    if invocation.error is not None and invocation.error.error_type in _STATUS:
        fields.append(f"Status: {_STATUS[invocation.error.error_type]}")
    elif invocation.ended is not None and invocation.error is not None:
        fields += ["Status: error", f"Error Type: {invocation.error.error_type}"]
    return "\t".join(fields)


def lines(invocation: Invocation, setting: Setting) -> list[str]:
    """All that CloudWatch would hold of this invocation: what Lambda writes, and between it what the function wrote."""
    told = [f"START RequestId: {invocation.request_id} Version: {VERSION}", *invocation.logs.splitlines()]
    if invocation.ended is not None and invocation.error is not None:
        told.append(invocation.error.message)
    return [*told, f"END RequestId: {invocation.request_id}", report(invocation, setting)]


def max_memory(invocation: Invocation, setting: Setting) -> int:
    """The memory that the function has used, in MB. Never above what it has, as Lambda reports it."""
    return min(-(-invocation.peak // _MIB), setting.memory // _MIB)
