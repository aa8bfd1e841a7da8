"""Runtimes that Lambda no longer supports, or soon will not."""

from __future__ import annotations

import datetime as dt

from lamina.audit.runtime import check_runtime
from lamina.target import target_for

CP310 = target_for("cp310", architecture="x86_64")
END = dt.date(2026, 10, 31)


def test_nothing_is_said_of_a_runtime_with_much_time_left() -> None:
    assert list(check_runtime(CP310, END - dt.timedelta(days=181))) == []


def test_before_its_end() -> None:
    [finding] = check_runtime(CP310, END - dt.timedelta(days=180))
    assert (finding.code, finding.severity, finding.path) == (
        "deprecated-runtime",
        "warning",
        "cp310-manylinux_2_26_x86_64",
    )
    assert finding.message == (
        "python3.10 will be deprecated on 2026-10-31: Lambda stops patching it, and later refuses to create and to "
        "update its functions"
    )
    assert finding.hint == "Move to cp311 or newer."


def test_on_the_day_and_after() -> None:
    [finding] = check_runtime(CP310, END)
    assert finding.message.startswith("python3.10 is deprecated since 2026-10-31: ")
    assert finding.hint == "Move to cp311 or newer."


def test_where_no_known_runtime_is_newer() -> None:
    [finding] = check_runtime(CP310, dt.date(2040, 1, 1))
    assert finding.hint == "Move to a newer runtime."
