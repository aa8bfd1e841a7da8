"""The rules as data: what each proposes, and what none ever does."""

from __future__ import annotations

from typing import get_args

import pytest

from lamina.prune.rules import RULES, propose
from lamina.recipe import Rule

PROPOSED = {
    "tests": [
        "tests/__init__.py",
        "pkg/tests/test_x.py",
        "pkg/sub/tests/data/x.csv",
        "pkg/tests/LICENSE.txt",
        "conftest.py",
        "pkg/conftest.py",
    ],
    "docs": ["docs/index.md", "pkg/docs/__init__.py", "pkg/doc/x.png"],
    "examples": ["pkg/examples/a.py", "examples/data.txt"],
    "benchmarks": ["pkg/benchmarks/bench.py"],
    "caches": [
        "pkg/__pycache__/x.cpython-311.pyc",
        "pkg/mod.pyc",
        "pkg/mod.pyo",
        "pkg/.pytest_cache/README.md",
        "pkg/.mypy_cache/3.11/x.json",
        ".ruff_cache/x",
    ],
    "static-libraries": ["pkg/lib/libx.a", "pkg/libx.la", "pkg/x.lib"],
    "headers": ["pkg/include/x.h", "pkg/x.hpp", "pkg/x.hh", "pkg/x.hxx", "pkg/x.cuh", "pkg/x.pxd"],
    "stubs": ["pkg/py.typed", "pkg/mod.pyi", "pkg/__init__.pyi", "pkg/native.pyi", "pkg/windows.pyi"],
    "native-sources": [
        *(f"pkg/x{ending}" for ending in (".c", ".cc", ".cpp", ".cxx", ".cu", ".f", ".f77", ".f90", ".f95", ".for")),
        *(f"pkg/x{ending}" for ending in (".pyx", ".pxi", ".rs")),
    ],
}
KEPT = [
    "pkg/__init__.py",
    "pkg/mod.py",
    "pkg/native.cpython-311-x86_64-linux-gnu.so",
    "pkg/windows.pyd",
    "pkg/sourceless.pyc",
    "pkg/orphan.pyi",
    "pkg-stubs/mod.pyi",
    "pkg/typeshed/os.pyi",
    # Names that are close to a rule's, and are API: numpy.testing, django.test, torch.testing
    "pkg/test/__init__.py",
    "pkg/testing/__init__.py",
    "pkg/_tests/x.py",
    "pkg/benchmark/x.py",
    "pkg/example/x.py",
    "pkg/documents/x.py",
    "pkg/Tests/x.py",
    "pkg/tests.py",
    "pkg/test_x.py",
    "pkg/docs.py",
    "pkg/conftest.txt",
    # Nothing goes by these endings
    "pkg/data.txt",
    "pkg/README.md",
    "pkg/descr/iris.rst",
    "pkg/.hidden",
    "pkg/x.json",
    "pkg/libx.so.1",
    "pkg.libs/libgomp-1.so",
    "pkg/x.so",
    # Nothing reaches into metadata, also where it is vendored
    "pkg-1.0.dist-info/docs/x",
    "pkg-1.0.dist-info/tests/x.h",
    "pkg/_vendor/other-2.dist-info/tests/x.py",
]
ALL = [path for found in PROPOSED.values() for path in found] + KEPT


def test_rules_are_those_of_recipes() -> None:
    assert tuple(RULES) == get_args(Rule)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_proposes(rule: str) -> None:
    assert propose(ALL, [rule]) == dict.fromkeys(PROPOSED[rule], rule)


def test_all_rules_together() -> None:
    expected = {path: rule for rule, found in PROPOSED.items() for path in found}
    assert propose(ALL, RULES) == expected
    assert propose(ALL, reversed(RULES)) == expected
    assert propose(ALL, []) == {}


def test_the_first_rule_counts() -> None:
    path = "docs/tests/x.h"
    assert propose([path], RULES) == {path: "tests"}
    assert propose([path], ["headers", "docs"]) == {path: "docs"}


def test_a_stub_goes_only_where_its_module_stands() -> None:
    assert propose(["a/x.pyi", "b/x.py", "x.py"], ["stubs"]) == {}
    assert propose(["a/x.pyi", "a/x/__init__.py"], ["stubs"]) == {}
    assert propose(["x.pyi", "x.py"], ["stubs"]) == {"x.pyi": "stubs"}
    assert propose(["a/x.pyi", "a/x.abi3.so"], ["stubs"]) == {"a/x.pyi": "stubs"}
