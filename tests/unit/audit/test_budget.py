"""The budget at its edges, byte by byte, with whole messages."""

from __future__ import annotations

from lamina.audit.budget import Share, check_size, check_zip
from lamina.findings import Finding
from lamina.recipe import Budget
from lamina.runtimes import quotas

ZIP = "x-cp311-manylinux2014_x86_64.zip"
BUDGET = Budget(unzipped=1_000_000, warn=900_000)


def size(unzipped: int, *others: Share) -> list[Finding]:
    return list(check_size(ZIP, unzipped, others, BUDGET))


def test_fine_up_to_the_warning() -> None:
    assert size(0) == []
    assert size(900_000) == []
    assert size(400_000, Share("a", 300_000), Share("b", 200_000)) == []


def test_near_the_budget() -> None:
    hint = "The function and its other layers must fit into what is left; name them in budget.stack."
    message = "900,001 bytes unzipped: 99,999 below the budget of 1,000,000"
    assert size(900_001) == [Finding("near-budget", "warning", ZIP, message, hint)]
    message = "1,000,000 bytes unzipped: 0 below the budget of 1,000,000"
    assert size(1_000_000) == [Finding("near-budget", "warning", ZIP, message, hint)]


def test_over_the_budget() -> None:
    hint = "Drop what the function never imports, require fewer packages, or ship an image instead of a layer."
    message = "1,000,001 bytes unzipped: 1 more than the budget of 1,000,000"
    assert size(1_000_001) == [Finding("over-budget", "error", ZIP, message, hint)]
    message = (
        "1,200,000 bytes unzipped (this layer 500,000 + pandas 600,000 + the function 100,000): "
        "200,000 more than the budget of 1,000,000"
    )
    shares = (Share("pandas", 600_000), Share("the function", 100_000))
    assert size(500_000, *shares) == [Finding("over-budget", "error", ZIP, message, hint)]


def test_the_default_budget_is_the_quota() -> None:
    assert Budget().unzipped == quotas().unzipped == 262_144_000
    assert [found.code for found in check_size(ZIP, 262_144_000, (), Budget())] == ["near-budget"]
    assert [found.code for found in check_size(ZIP, 262_144_001, (), Budget())] == ["over-budget"]


def test_direct_upload() -> None:
    assert list(check_zip(ZIP, 52_428_800, 1, quotas())) == []
    (found,) = check_zip(ZIP, 52_428_801, 1, quotas())
    assert found == Finding(
        "needs-s3-upload",
        "note",
        ZIP,
        "52,428,801 bytes zipped: a direct upload takes 52,428,800 and ends otherwise in "
        "RequestEntityTooLargeException (Request must be smaller than 70167211 bytes)",
        "Upload it to a bucket in the layer's region first; the commands stand at the end of the build.",
    )


def test_number_of_entries() -> None:
    assert list(check_zip(ZIP, 1, 65_534, quotas())) == []
    (found,) = check_zip(ZIP, 1, 65_535, quotas())
    assert found == Finding(
        "too-many-entries",
        "error",
        ZIP,
        "65,535 files; a zip that every reader understands stays below 65,535",
        "Drop data files that the function does not read (prune.drop), or ship an image.",
    )
    both = [found.code for found in check_zip(ZIP, 10**9, 10**6, quotas())]
    assert both == ["needs-s3-upload", "too-many-entries"]
