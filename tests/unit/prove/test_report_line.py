"""Lines as CloudWatch shows them, and what is billed."""

from __future__ import annotations

from lamina.prove.failure import died, timed_out
from lamina.prove.invocation import Failure, Invocation, Setting, environment
from lamina.prove.model import Outcome
from lamina.prove.report_line import lines, report

MIB = 1024 * 1024
SETTING = Setting("churn", "handler.lambda_handler", 512 * MIB, 3, "python3.11", {"STAGE": "x", "AWS_REGION": "y"})
DONE = Invocation("id-1", b"1", None, "hello\n", 0.8121, 0.01234, 87 * MIB - 5, None)


def test_the_report_of_a_first_invocation_bills_its_initialization() -> None:
    assert report(DONE, SETTING) == (
        "REPORT RequestId: id-1\tDuration: 12.34 ms\tBilled Duration: 825 ms\tMemory Size: 512 MB\t"
        "Max Memory Used: 87 MB\tInit Duration: 812.10 ms"
    )


def test_the_report_of_a_later_one() -> None:
    assert report(DONE._replace(init_seconds=None), SETTING) == (
        "REPORT RequestId: id-1\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\t"
        "Max Memory Used: 87 MB"
    )


def test_the_report_of_one_that_did_not_end_well() -> None:
    late = DONE._replace(init_seconds=None, error=timed_out("id-1", 3), seconds=3.0, ended="timeout")
    assert report(late, SETTING).endswith("\tMax Memory Used: 87 MB\tStatus: timeout")
    gone = DONE._replace(error=died("id-1", Outcome("memory", -9, b"", b"", 1.0, 600 * MIB)), ended="memory")
    gone = gone._replace(peak=600 * MIB)
    assert report(gone, SETTING).endswith(
        "\tMax Memory Used: 512 MB\tInit Duration: 812.10 ms\tStatus: error\tError Type: Runtime.OutOfMemory"
    )
    raised = DONE._replace(error=Failure("ValueError", "x"))
    assert report(raised, SETTING) == report(DONE, SETTING)


def test_the_log_stands_between_start_and_end() -> None:
    told = lines(DONE, SETTING)
    assert told[:3] == ["START RequestId: id-1 Version: $LATEST", "hello", "END RequestId: id-1"]
    assert told[3].startswith("REPORT RequestId: id-1\t")
    late = lines(DONE._replace(error=timed_out("id-1", 3), ended="timeout"), SETTING)
    assert late[2] == "RequestId: id-1 Error: Task timed out after 3.00 seconds"


def test_variables_that_lambda_reserves_are_lambdas() -> None:
    found = environment(SETTING, 4567)
    assert (found["STAGE"], found["AWS_REGION"]) == ("x", "us-east-1")
    assert found["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:4567"
    assert (found["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], found["AWS_EXECUTION_ENV"]) == ("512", "AWS_Lambda_python3.11")
