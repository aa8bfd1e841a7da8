"""The 250 MB quota, and what else Lambda counts: everything that shares the function, in exact file bytes.

Sources: Lambda developer guide, page gettingstarted-limits; the figures themselves are data in ``runtimes.toml``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lamina.findings import Finding, make
from lamina.recipe import Budget
from lamina.runtimes import Quotas


class Share(NamedTuple):
    """Something beside this layer that counts against the same quota; ``bytes`` is its size unpacked."""

    label: str
    bytes: int


def check_size(artefact: str, unzipped: int, others: Sequence[Share], budget: Budget) -> Iterator[Finding]:
    """``over-budget`` or ``near-budget`` for the whole function; all figures are bytes."""
    limit = budget.unzipped
    total = unzipped + sum(share.bytes for share in others)
    stack = "".join(f" + {share.label} {share.bytes:,}" for share in others)
    sum_of = f"{total:,} bytes unzipped" + (f" (this layer {unzipped:,}{stack})" if others else "")
    if total > limit:
        yield make(
            "over-budget",
            artefact,
            f"{sum_of}: {total - limit:,} more than the budget of {limit:,}",
            "Drop what the function never imports, require fewer packages, or ship an image instead of a layer.",
        )
    elif total > budget.warn:
        yield make(
            "near-budget",
            artefact,
            f"{sum_of}: {limit - total:,} below the budget of {limit:,}",
            "The function and its other layers must fit into what is left; name them in budget.stack.",
        )


def check_zip(artefact: str, zipped: int, entries: int, quotas: Quotas) -> Iterator[Finding]:
    """``needs-s3-upload`` above what a direct upload takes; ``too-many-entries`` above what any reader takes."""
    if zipped > quotas.direct_upload:
        yield make(
            "needs-s3-upload",
            artefact,
            f"{zipped:,} bytes zipped: a direct upload takes {quotas.direct_upload:,} and ends otherwise in "
            f"RequestEntityTooLargeException (Request must be smaller than {quotas.request} bytes)",
            "Upload it to a bucket in the layer's region first; the commands stand at the end of the build.",
        )
    if entries >= quotas.entries:
        yield make(
            "too-many-entries",
            artefact,
            f"{entries:,} files; a zip that every reader understands stays below {quotas.entries:,}",
            "Drop data files that the function does not read (prune.drop), or ship an image.",
        )
