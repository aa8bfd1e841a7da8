"""The budget at its edges, byte by byte, with whole messages."""

from __future__ import annotations

from lamina.audit.budget import Share, check_artefact, check_size, check_stack, check_zip
from lamina.audit.model import Artefact, ArtefactKind, Item
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
    hint = "Drop what the function never imports, require fewer packages, or ship an image instead of a layer: "
    hint += "lamina image makes one."
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


def test_compressing_again_is_named_where_it_may_suffice() -> None:
    plain = "Upload it to a bucket in the layer's region first; the commands stand at the end of the build."
    more = ' Or compress it harder, which may just suffice: [emit] compression = "small".'
    for zipped, small, hint in (
        (52_428_801, False, plain + more),
        (55_188_210, False, plain + more),
        (55_188_211, False, plain),
        (52_428_801, True, plain),
    ):
        (found,) = check_zip(ZIP, zipped, 1, quotas(), small=small)
        assert found.hint == hint


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


def artefact(name: str, size: int, kind: ArtefactKind = "layer", zipped: int | None = 1) -> Artefact:
    return Artefact(name, kind, (Item("a", "/opt/a", size), Item("b", "/opt/b", 0, kind="folder")), zipped=zipped)


def stack(*artefacts: Artefact) -> list[Finding]:
    return list(check_stack(artefacts, BUDGET, quotas()))


def test_a_stack_is_added_up() -> None:
    assert stack(artefact("a.zip", 300_000), artefact("f.zip", 600_000, "function")) == []
    hint = "Drop what the function never imports, require fewer packages, or ship an image instead of a layer: "
    hint += "lamina image makes one."
    message = "1,000,001 bytes unzipped (a.zip 300,000 + b.whl 1 + f.zip 700,000): 1 more than the budget of 1,000,000"
    found = stack(artefact("a.zip", 300_000), artefact("b.whl", 1, "wheel"), artefact("f.zip", 700_000, "function"))
    assert found == [Finding("over-budget", "error", "a.zip", message, hint)]


def test_a_function_takes_five_layers() -> None:
    layers = [artefact(f"{number}.zip", 1) for number in range(5)]
    assert stack(*layers, artefact("f.zip", 1, "function")) == []
    message, hint = "6 layers; a function takes 5", "Merge layers, or ship an image instead."
    assert stack(*layers, artefact("f.zip", 1, "function"), artefact("6.zip", 1)) == [
        Finding("over-budget", "error", "6.zip", message, hint)
    ]


def test_an_image_has_a_quota_of_its_own() -> None:
    limit = quotas().image
    assert stack(artefact("i.tar", limit, "image"), artefact("a.zip", 300_000)) == []
    assert list(check_artefact(artefact("i.tar", limit, "image", zipped=limit), quotas())) == []
    message = "10,737,418,241 bytes uncompressed: 1 more than the 10,737,418,240 that Lambda takes of an image"
    hint = "Leave out what the function never imports, or models that can be loaded from S3 or EFS."
    found = list(check_artefact(artefact("i.tar", limit + 1, "image"), quotas()))
    assert found == [Finding("over-budget", "error", "i.tar", message, hint)]


def test_each_zip_is_held_against_what_an_upload_takes() -> None:
    large = quotas().direct_upload + 1
    found = check_artefact(artefact("a.zip", 1, zipped=large), quotas())
    assert [(one.code, one.path) for one in found] == [("needs-s3-upload", "a.zip")]
    assert list(check_artefact(artefact("w.whl", 1, "wheel", zipped=large), quotas())) == []
    assert list(check_artefact(artefact("folder", 1, zipped=None), quotas())) == []
