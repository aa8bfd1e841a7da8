"""What is compiled of a part, and under which name."""

from __future__ import annotations

from lamina.bytecode.library import wanted
from lamina.part.model import PLAIN, Entry, Index

PYTHON = (3, 11)
PATHS = (
    "python/demo/__init__.py",
    "python/demo/data.txt",
    "python/demo/huge.py",
    "python/demo/main.py",
    "python/demo/tests/__init__.py",
    "python/demo/tests/test_main.py",
)


def index() -> Index:
    entries = tuple(
        Entry(path, 0, 1, 0, 0, 1, 17 * 1024**2 if "huge" in path else 1, PLAIN, path.encode()) for path in PATHS
    )
    return Index("demo", "1", "demo.whl", "", 0, "python/demo-1.dist-info", "", 0, entries)


def compiled(*shipping: str) -> list[list[str]]:
    about = index()
    found = wanted("part", about, [entry for entry in about.entries if entry.path in shipping])
    return [[entry.path.removeprefix("python/demo/") for entry in one.sources] for one in found]


def test_what_no_rule_would_drop_is_compiled_for_every_layer() -> None:
    assert compiled("python/demo/main.py") == [["__init__.py", "main.py"]]
    assert compiled(*PATHS[:4]) == [["__init__.py", "main.py"]]


def test_what_a_rule_would_drop_is_compiled_where_it_ships() -> None:
    assert compiled("python/demo/main.py", PATHS[4]) == [["__init__.py", "main.py"], ["tests/__init__.py"]]
    assert compiled(*PATHS) == [["__init__.py", "main.py"], ["tests/__init__.py", "tests/test_main.py"]]
    assert compiled("python/demo/data.txt", "python/demo/huge.py") == []


def test_names_tell_apart_what_was_compiled() -> None:
    about = index()
    usual, some = wanted("part", about, about.entries)
    [same, fewer] = wanted("part", about, [entry for entry in about.entries if "test_main" not in entry.path])
    [other, _] = wanted("another part", about, about.entries)
    names = {
        one.key(python, in_place=in_place)
        for one in (usual, some, fewer, other)
        for python in (PYTHON, (3, 12))
        for in_place in (False, True)
    }
    assert len(names) == 16
    assert same.key(PYTHON, in_place=False) == usual.key(PYTHON, in_place=False)
