"""What a function reports is whatever it likes to send; what is made of it has a form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.prove.failure import died, reported, told
from lamina.prove.invocation import Failure, Invocation, Setting
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


def test_the_place_of_an_error_is_the_functions_own_where_it_has_one() -> None:
    frames = (
        '  File "/var/task/handler.py", line 4, in lambda_handler\n    work()\n',
        '  File "/var/task/work.py", line 9, in work\n    json.loads("x")\n',
        '  File "/var/lang/lib/python3.11/json/__init__.py", line 346, in loads\n    return x\n',
    )
    setting = Setting("x", "handler.lambda_handler", 2**28, 3, "python3.11")
    done = Invocation("id-1", b"{}", Failure("ValueError", "bad", frames), "", None, 0.1, 0, None)
    said = told(done, setting)
    assert said is not None
    assert said.message == 'handler.lambda_handler raised ValueError: bad (File "/var/task/work.py", line 9, in work)'
    said = told(done._replace(error=Failure("ValueError", "", frames[2:])), setting)
    assert said is not None
    place = 'File "/var/lang/lib/python3.11/json/__init__.py", line 346, in loads'
    assert said.message == f"handler.lambda_handler raised ValueError ({place})"
    assert told(done._replace(error=None), setting) is None
