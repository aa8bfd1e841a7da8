"""What a function reports is whatever it likes to send; what is made of it has a form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.prove.failure import died, reported
from lamina.prove.invocation import Failure
from lamina.prove.model import Ended, Outcome


@pytest.mark.parametrize(
    ("ended", "code", "kind", "message"),
    [
        ("exited", 3, "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("exited", 0, "Runtime.ExitError", "Runtime exited without providing a reason"),
        ("exited", -9, "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ("exited", -200, "Runtime.ExitError", "Runtime exited with error: signal: 200"),
        ("memory", -9, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
    ],
)
def test_ends_of_a_process_as_lambda_names_them(ended: Ended, code: int, kind: str, message: str) -> None:
    assert died("id-1", Outcome(ended, code, b"", b"", 1.0, 0)) == Failure(kind, f"RequestId: id-1 Error: {message}")


@pytest.mark.parametrize(
    ("payload", "header", "found"),
    [
        (b'{"errorMessage": "m", "errorType": "T", "stackTrace": ["a", 1, "b"]}', "H", Failure("T", "m", ("a", "b"))),
        (b"{}", "H", Failure("H", "")),
        (b"{}", "", Failure("Unhandled", "")),
        (b'{"errorType": 7}', "H", Failure("H", '{"errorType": 7}')),
        (b"\xff\x00", "", Failure("Unhandled", "\ufffd\x00")),
        (b"[" * 200_000, "H", Failure("H", "[" * 2000)),
    ],
)
def test_reports_of_any_form(payload: bytes, header: str, found: Failure) -> None:
    assert reported(payload, header) == found


@given(st.binary(max_size=100))
def test_no_report_breaks_it(payload: bytes) -> None:
    assert reported(payload, "H").error_type
