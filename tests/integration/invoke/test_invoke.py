"""Functions in AWS's own runtime client, driven by our Runtime API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from lamina.prove.events import mismatches
from lamina.prove.failure import Told, told
from lamina.prove.invocation import Failure
from lamina.prove.invoke import Function
from lamina.prove.model import Running
from lamina.runtimes import quotas


class Plain(Protocol):
    """What the tests see of their sandbox."""

    folder: Path
    started: Sequence[Running]


Make = Callable[..., Function]


def test_a_function_is_initialized_once_and_called_many_times(function: Make) -> None:
    hello = function("""
import os
print("starting", os.environ["AWS_LAMBDA_FUNCTION_NAME"])
calls = 0
def lambda_handler(event, context):
    global calls
    calls += 1
    print("hello", event["name"])
    return {"greeting": f"hello {event['name']}", "calls": calls, "id": context.aws_request_id}
""")
    done = [hello.invoke(json.dumps({"name": name}).encode()) for name in ("ann", "bob", "cyd")]
    answers = [json.loads(one.payload) for one in done]
    assert answers == [
        {"greeting": f"hello {name}", "calls": calls, "id": one.request_id}
        for calls, (name, one) in enumerate(zip(("ann", "bob", "cyd"), done, strict=True), start=1)
    ]
    assert [one.error for one in done] == [None, None, None]
    assert [one.logs for one in done] == ["starting hello\nhello ann\n", "hello bob\n", "hello cyd\n"]
    assert [one.init_seconds is not None for one in done] == [True, False, False]
    assert [one.ended for one in done] == [None, None, None]


#: Name → source, settings, Lambda's error type, its message ({id} is the request's), our message and hint.
BROKEN: dict[str, tuple[str, dict[str, object], str, str, str, str]] = {
    "module missing": (
        "import pandas_is_not_here",
        {},
        "Runtime.ImportModuleError",
        "Unable to import module 'handler': No module named 'pandas_is_not_here'",
        (
            "the module of handler.lambda_handler does not import: "
            "Unable to import module 'handler': No module named 'pandas_is_not_here'"
        ),
        "Ship what is missing: a package in requirements, a module of your own with source in [function].",
    ),
    "raises at import": (
        "raise RuntimeError('no model')",
        {},
        "RuntimeError",
        "no model",
        (
            "the module of handler.lambda_handler raised while it was imported: RuntimeError: no model "
            '(File "{task}/handler.py", line 1, in <module>)'
        ),
        "The log has the whole traceback; nothing of the function can be called until its module imports.",
    ),
    "no Python": (
        "def lambda_handler(event, context):\n    return (\n",
        {},
        "Runtime.UserCodeSyntaxError",
        "Syntax error in module 'handler': '(' was never closed (handler.py, line 2)",
        (
            "the module of handler.lambda_handler is no Python that the target's interpreter reads: "
            "Syntax error in module 'handler': '(' was never closed (handler.py, line 2)"
        ),
        "Correct it there; the log has the line.",
    ),
    "no such handler": (
        "def handle(event, context): return 1",
        {},
        "Runtime.HandlerNotFound",
        "Handler 'lambda_handler' missing on module 'handler'",
        "handler.lambda_handler does not exist: Handler 'lambda_handler' missing on module 'handler'",
        "Write handler in [function] as module.function, and define that function at the top of the module.",
    ),
    "raises in the handler": (
        "def lambda_handler(event, context):\n    return event['missing']\n",
        {},
        "KeyError",
        "'missing'",
        "handler.lambda_handler raised KeyError: 'missing' (File \"{task}/handler.py\", line 2, in lambda_handler)",
        "The log has the whole traceback.",
    ),
    "sleeps past the deadline": (
        "import time\ndef lambda_handler(event, context):\n    print('begun')\n    time.sleep(60)\n",
        {"timeout": 1},
        "Sandbox.Timedout",
        "RequestId: {id} Error: Task timed out after 1.00 seconds",
        "handler.lambda_handler did not answer within 1 s, the function's timeout, and was ended",
        "Raise timeout in [function], or see in the log how far it came.",
    ),
    "exits": (
        "import sys\ndef lambda_handler(event, context):\n    sys.exit(3)\n",
        {},
        "Runtime.ExitError",
        "RequestId: {id} Error: Runtime exited with error: exit status 3",
        "the process ended while it handled the event: Runtime exited with error: exit status 3",
        "A handler returns or raises. Look for sys.exit, os._exit and exit() in the function and its modules.",
    ),
    "exits at import": (
        "import os\nos._exit(0)\n",
        {},
        "Runtime.ExitError",
        "RequestId: {id} Error: Runtime exited without providing a reason",
        "the process ended while it was initialized: Runtime exited without providing a reason",
        "A handler returns or raises. Look for sys.exit, os._exit and exit() in the function and its modules.",
    ),
    "crashes": (
        "import os, signal\ndef lambda_handler(event, context):\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
        {},
        "Runtime.ExitError",
        "RequestId: {id} Error: Runtime exited with error: signal: segmentation fault",
        "the process ended while it handled the event: Runtime exited with error: signal: segmentation fault",
        "A native library crashed or was killed; the last lines of the log show where the function was.",
    ),
    "answers 7 MB": (
        "def lambda_handler(event, context):\n    return 'x' * 7_000_000\n",
        {},
        "Function.ResponseSizeTooLarge",
        "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        (
            "the answer of handler.lambda_handler is larger than Lambda takes: "
            "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
        ),
        "Answer with less: pages, or a key of an object that the function wrote to S3.",
    ),
    "answers what is no JSON": (
        "def lambda_handler(event, context):\n    return {1, 2}\n",
        {},
        "Runtime.MarshalError",
        "Unable to marshal response: Object of type set is not JSON serializable",
        (
            "what handler.lambda_handler returned cannot be written as JSON: "
            "Unable to marshal response: Object of type set is not JSON serializable"
        ),
        "Return dicts, lists, strings, numbers, booleans and None; turn anything else into those.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_is_told_as_lambda_tells_it_and_in_plain_words(name: str, function: Make, plain: Plain) -> None:
    source, settings, kind, message, plainly, hint = BROKEN[name]
    broken = function(source, **settings)
    done = broken.invoke(b"{}")
    assert done.error is not None
    assert (done.error.error_type, done.error.message) == (kind, message.format(id=done.request_id))
    answer = json.loads(done.payload)
    assert (answer["errorType"], answer["errorMessage"]) == (kind, message.format(id=done.request_id))
    assert told(done, broken.setting) == Told(plainly.format(task=plain.folder), hint)


def test_memory_beyond_the_functions_ends_it(function: Make) -> None:
    hungry = function(
        "def lambda_handler(event, context):\n    x = b'x' * 400_000_000\n    import time; time.sleep(9)\n"
    )
    done = hungry.invoke(b"{}")
    assert done.ended == "memory"
    assert done.error == Failure(
        "Runtime.OutOfMemory", f"RequestId: {done.request_id} Error: Runtime exited with error: signal: killed"
    )
    assert done.peak > 256 * 1024**2
    said = told(done, hungry.setting)
    assert said is not None
    assert said.message == "the function needed more than its 256 MB of memory while it handled the event and was ended"


def test_the_log_of_an_error_has_its_traceback_on_lines(function: Make) -> None:
    done = function("def lambda_handler(event, context):\n    raise ValueError('bad input')\n").invoke(b"{}")
    lines = done.logs.splitlines()
    assert lines[:2] == ["[ERROR] ValueError: bad input", "Traceback (most recent call last):"]
    assert done.error is not None
    assert done.error.stack[0].endswith("raise ValueError('bad input')\n")


def test_both_streams_are_in_the_log_and_of_their_own_invocation(function: Make) -> None:
    source = """
import logging, os, sys
def lambda_handler(event, context):
    logging.getLogger().warning("%s of the logger", event)
    print(event, "to stderr", file=sys.stderr)
    os.write(1, b"no end")
"""
    talking = function(source)
    for event in (b"1", b"2"):
        done = talking.invoke(event)
        logged, out, err = done.logs.splitlines()
        number = event.decode()
        assert logged.startswith("[WARNING]\t")
        assert logged.endswith(f"Z\t{done.request_id}\t{number} of the logger")
        assert (out, err) == ("no end", f"{number} to stderr")


def test_an_event_that_is_no_json_is_told(function: Make) -> None:
    echo = function("def lambda_handler(event, context):\n    return event\n")
    done = echo.invoke(b"{'single': 'quotes'}")
    assert done.error is not None
    assert done.error.error_type == "Runtime.UnmarshalError"
    said = told(done, echo.setting)
    assert said is not None
    assert said.message.startswith("the event is not JSON: Unable to unmarshal input: ")
    assert json.loads(echo.invoke(b'{"double": "quotes"}').payload) == {"double": "quotes"}  # and it lives on


def test_an_answer_that_holds_nan_is_what_lambda_hands_on_and_no_json(function: Make) -> None:
    done = function("def lambda_handler(event, context):\n    return {'p': float('nan')}\n").invoke(b"{}")
    assert (done.payload, done.error) == (b'{"p": NaN}', None)
    [told_of] = mismatches(None, done.payload, failed=False)
    assert told_of.startswith("answer: not JSON: ")


@pytest.mark.parametrize(
    "body",
    ["import os; os._exit(1)", "import time; time.sleep(60)", "return 'x' * 7_000_000", "raise ValueError"],
    ids=["exit", "deadline", "too large", "raises"],
)
def test_after_any_end_the_next_event_is_answered(function: Make, body: str) -> None:
    source = f"def lambda_handler(event, context):\n    if event:\n        {body}\n    return 'fine'\n"
    again = function(source, timeout=2)
    assert again.invoke(b"1").error is not None
    done = again.invoke(b"0")
    assert (done.payload, done.error) == (b'"fine"', None)
    assert (done.init_seconds is None) == (body == "raise ValueError")


def test_an_initialization_beyond_its_limit_runs_again_in_the_first_invocation(
    function: Make, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = msgspec.structs.replace(quotas(), init=1)
    monkeypatch.setattr("lamina.prove.invoke.quotas", lambda: limits)
    source = "import time\nprint('loading')\ntime.sleep(2)\ndef lambda_handler(event, context):\n    return 'late'\n"
    done = function(source).invoke(b"{}")
    assert (done.payload, done.error, done.init_seconds) == (b'"late"', None, None)
    assert 2 < done.seconds < 10
    first, second, third = done.logs.splitlines()
    assert (first, third) == ("loading", "loading")
    assert re.fullmatch(r"INIT_REPORT Init Duration: 1\d\d\d\.\d\d ms\tPhase: init\tStatus: timeout", second)
    assert len(plain.started) == 2
    slow = function(source, timeout=1)
    done = slow.invoke(b"{}")
    assert done.error == Failure(
        "Sandbox.Timedout", f"RequestId: {done.request_id} Error: Task timed out after 1.00 seconds"
    )
    assert done.phase == "init"


def test_a_cause_for_xray_longer_than_a_line_of_the_standard_library_is_taken(function: Make) -> None:
    deep = function("def lambda_handler(event, context):\n    raise ValueError('x' * 200_000)\n")
    first = deep.invoke(b"{}")
    assert first.error is not None
    assert first.error.message == "x" * 200_000
    assert first.ended is None


def test_nothing_is_left_running(function: Make, plain: Plain) -> None:
    one = function("def lambda_handler(event, context): return 1")
    one.invoke(b"{}")
    one.close()
    outcome = plain.started[0].wait(0)
    assert outcome is not None
    assert outcome.ended == "stopped"
