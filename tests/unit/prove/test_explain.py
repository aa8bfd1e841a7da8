"""Which decision of pruning explains what is missing."""

from __future__ import annotations

import pytest

from lamina.prove.explain import explain
from lamina.prune.model import Decision

DECISIONS = (
    Decision("python/numpy/testing/_private/utils.py", 5, "tests", dropped=True, reason="a folder of tests"),
    Decision("python/numpy/testing/__init__.py", 5, "tests", dropped=True, reason="a folder of tests"),
    Decision("python/numpy/core.py", 5, "tests", dropped=False, reason="imported by numpy"),
    Decision("python/numpy/_multi.cpython-311-x86_64-linux-gnu.so", 5, "drop", dropped=True, reason=""),
    Decision("python/numpy/data/table.json", 5, "metadata", dropped=True, reason=""),
    Decision("python/one.py", 5, "stubs", dropped=True, reason="x"),
)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("numpy.testing", 'numpy.testing was dropped by rule "tests": a folder of tests'),
        ("one", 'one was dropped by rule "stubs": x'),
        ("numpy._multi", "numpy._multi was dropped by the recipe's prune.drop"),
        (
            "/opt/python/numpy/data/table.json",
            "/opt/python/numpy/data/table.json was dropped as metadata that nothing reads",
        ),
        ("numpy.core", ""),
        ("numpy.test", ""),
        ("numpy", ""),
        ("on", ""),
        ("", ""),
    ],
)
def test_the_decision_is_found(missing: str, told: str) -> None:
    assert explain(missing, DECISIONS) == told
