"""How imports are judged."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lamina.prove.imports import Import, Proof, prove
from lamina.prune.model import Decision

GOOD = Import("good", passed=True)
LACKING = Import("numpy", passed=False, message="ModuleNotFoundError: no", missing="numpy.testing")
OTHER = Import("odd", passed=False, message="ImportError: no display")
DROPPED = Decision("python/numpy/testing.py", 1, "tests", dropped=True, reason="")


def test_a_declared_import_that_fails_is_a_failure_with_its_reason() -> None:
    def unpruned(names: Sequence[str]) -> Sequence[Import]:
        raise AssertionError(names)

    assert prove([GOOD, LACKING], ["numpy"], [DROPPED], unpruned) == (
        Proof(GOOD, declared=False, verdict="passed"),
        Proof(LACKING, declared=True, verdict="failed", because='numpy.testing was dropped by rule "tests"'),
    )


def test_one_that_never_imports_is_a_note_and_one_that_pruning_broke_is_not() -> None:
    asked = []

    def unpruned(names: Sequence[str]) -> Sequence[Import]:
        asked.append(names)
        return [Import("numpy", passed=True), OTHER]

    proofs = prove([GOOD, LACKING, OTHER], [], [DROPPED], unpruned)
    assert [proof.verdict for proof in proofs] == ["passed", "failed", "note"]
    assert [proof.because for proof in proofs] == ["", 'numpy.testing was dropped by rule "tests"', ""]
    assert asked == [["numpy", "odd"]]


def test_what_no_trace_touched_is_missed_by_what_the_recipe_names_alone() -> None:
    untraced = Decision("python/numpy/testing.py", 1, "untraced", dropped=True, reason="not in the trace")
    because = "numpy.testing was dropped by the recipe's prune.untraced: not in the trace"
    for declared, verdict in (("numpy", "failed"), ("other", "note")):
        [proof] = prove([LACKING], [declared], [untraced], lambda names: [Import(name, passed=True) for name in names])
        assert (proof.verdict, proof.because) == (verdict, because)


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (OTHER, "ImportError: no display"),
        (Import("x", passed=False, code=-11), "crashed: SIGSEGV"),
        (Import("x", passed=False, code=-99), "crashed: signal 99"),
        (Import("x", passed=False, code=3), "ended its process with exit code 3"),
        (Import("x", passed=False, ended="memory", code=-9), "took more memory than the function has, and was ended"),
        (Import("x", passed=False, ended="timeout", seconds=3.04), "was still importing after 3.0 s, and was ended"),
    ],
)
def test_a_failure_is_told_in_a_line(one: Import, told: str) -> None:
    assert one.what() == told
