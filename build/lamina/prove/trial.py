"""One event, what the function made of it, and whether that was what was expected: plain values for reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lamina.errors import UsageError
from lamina.prove import events
from lamina.prove.events import Expectation
from lamina.prove.failure import told
from lamina.prove.invocation import Invocation, Setting
from lamina.prove.report_line import lines
from lamina.runtimes import quotas


class Event(NamedTuple):
    """An event and what is expected of its answer; ``where`` is its path, as messages show it."""

    where: str
    data: bytes
    expected: Expectation | None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one event.

    ``passed`` tells that the answer was as expected, and without an expectation that it was JSON and no error;
    ``mismatches`` are where it was not. ``answer`` is the answer as JSON, or its text where it is none. ``message`` and
    ``hint`` explain an error, also one that was expected. ``log`` are the lines that CloudWatch would hold.
    Durations are in milliseconds; ``init_ms`` is null where the function ran already. ``peak_bytes`` is the largest
    resident memory so far.
    """

    event: str
    passed: bool
    mismatches: tuple[str, ...]
    answer: Any
    error_type: str | None
    message: str
    hint: str
    log: tuple[str, ...]
    request_id: str
    duration_ms: float
    billed_ms: int
    init_ms: float | None
    peak_bytes: int


def load(path: Path, where: str) -> Event:
    """Read an event, and the expectation beside it where there is one.

    Raises:
        UsageError: the event cannot be read, is not JSON or too large.
        RecipeError: the expectation is not as it must be.
    """
    data = events.event(_read(path, where, quotas().event + 1), where)
    beside = events.expectation_path(path)
    if not beside.is_file():
        return Event(where, data, None)
    shown = str(Path(where).with_name(beside.name))
    return Event(where, data, events.expectation(_read(beside, shown, quotas().answer), shown))


def judge(event: Event, invocation: Invocation, setting: Setting) -> Trial:
    """What came of ``event``."""
    mismatches = events.mismatches(event.expected, invocation.payload, failed=invocation.error is not None)
    said = told(invocation, setting)
    try:
        answer = msgspec.json.decode(invocation.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        answer = invocation.payload.decode(errors="replace")
    return Trial(
        event=event.where,
        passed=not mismatches,
        mismatches=tuple(mismatches),
        answer=answer,
        error_type=None if invocation.error is None else invocation.error.error_type,
        message=said.message if said is not None else "",
        hint=said.hint if said is not None else "",
        log=tuple(lines(invocation, setting)),
        request_id=invocation.request_id,
        duration_ms=round(invocation.seconds * 1000, 2),
        billed_ms=invocation.billed,
        init_ms=None if invocation.init_seconds is None else round(invocation.init_seconds * 1000, 2),
        peak_bytes=invocation.peak,
    )


def _read(path: Path, where: str, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        hint = "Name a file that holds the event as JSON, or - to read it from standard input."
        raise UsageError(f"{where}: {error.strerror}", hint=hint) from error
