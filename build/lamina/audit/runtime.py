"""The runtime itself: whether Lambda still takes it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from lamina.findings import Finding, make
from lamina.runtimes import runtimes
from lamina.target import Target

#: How long before its end a runtime is spoken of: time enough to move a function. Lambda itself tells 180 days before.
_AHEAD = dt.timedelta(days=180)


def check_runtime(target: Target, today: dt.date) -> Iterator[Finding]:
    """``deprecated-runtime``, from 180 days before the date on; behind it Lambda blocks creation, then updates.

    Source: Lambda developer guide, page lambda-runtimes, "Runtime deprecation policy".
    """
    runtime = target.runtime
    if today < runtime.deprecated - _AHEAD:
        return
    newer = [other.abi for other in runtimes() if other.deprecated - _AHEAD > today]
    when = "is deprecated since" if today >= runtime.deprecated else "will be deprecated on"
    yield make(
        "deprecated-runtime",
        target.name,
        f"{runtime.name} {when} {runtime.deprecated.isoformat()}: Lambda stops patching it, and later refuses to "
        "create and to update its functions",
        f"Move to {newer[0]} or newer." if newer else "Move to a newer runtime.",
    )
