"""Which decision of pruning explains what is missing."""

from __future__ import annotations

import pytest

from lamina.prove.explain import explain, missing_in
from lamina.prune.model import Decision

DECISIONS = (
    Decision("python/numpy/testing/_private/utils.py", 5, "tests", dropped=True, reason="a folder of tests"),
    Decision("python/numpy/testing/__init__.py", 5, "tests", dropped=True, reason="a folder of tests"),
    Decision("python/numpy/core.py", 5, "tests", dropped=False, reason="imported by numpy"),
    Decision("python/numpy/_multi.cpython-311-x86_64-linux-gnu.so", 5, "drop", dropped=True, reason=""),
    Decision("python/numpy/data/table.json", 5, "metadata", dropped=True, reason=""),
    Decision("python/one.py", 5, "stubs", dropped=True, reason="x"),
    Decision("python/idle.py", 5, "untraced", dropped=True, reason="layers/x/trace.json does not name it"),
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
        ("idle", "idle was dropped by the recipe's prune.untraced: layers/x/trace.json does not name it"),
        ("numpy.core", ""),
        ("numpy.test", ""),
        ("numpy", ""),
        ("on", ""),
        ("", ""),
    ],
)
def test_the_decision_is_found(missing: str, told: str) -> None:
    assert explain(missing, DECISIONS) == told


def test_a_log_tells_what_is_missing() -> None:
    log = """Unable to import module 'handler': No module named 'numpy.testing'
    from numpy import core
ImportError: cannot import name 'core' from 'numpy' (/opt/python/numpy/__init__.py)
FileNotFoundError: [Errno 2] No such file or directory: '/tmp/lamina/stages/ab/python/numpy/python/table.json'
FileNotFoundError: [Errno 2] No such file or directory: '/etc/nothing'
ModuleNotFoundError: No module named 'numpy.testing'"""
    assert [*missing_in(log)] == [
        "numpy.testing",
        "numpy.core",
        "/opt/python/numpy/python/table.json",
        "/etc/nothing",
    ]
    assert [*missing_in("it failed")] == []
