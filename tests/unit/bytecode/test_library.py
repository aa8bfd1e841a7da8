"""What is compiled of a part, and under which name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from lamina.bytecode.library import wanted
from lamina.bytecode.model import Compiled
from lamina.part.library import data_path, load_derived
from lamina.part.model import PLAIN, Entry, Index
from lamina.store import Store

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


@pytest.mark.parametrize("folder", ["demo/", "long/" * 196])
def test_what_would_have_a_longer_name_than_linux_unpacks_is_not_compiled(folder: str) -> None:
    """Bytecode of such a name would make a layer that Lambda cannot unpack; the longest that fits is compiled."""
    room = min(255 - len(".cpython-311.pyc"), 1024 - len(f"python/{folder}__pycache__/.cpython-311.pyc"))
    paths = [f"python/{folder}{'n' * length}.py" for length in (room, room + 1)]
    entries = tuple(Entry(path, 0, 1, 0, 0, 1, 1, PLAIN, path.encode()) for path in paths)
    about = Index("demo", "1", "demo.whl", "", 0, "python/demo-1.dist-info", "", 0, entries)
    [one] = wanted("part", about, about.entries)
    assert [entry.path for entry in one.sources] == paths[:1]


@pytest.mark.parametrize(("count", "compiled"), [(16, [16]), (17, [])])
def test_more_sources_than_a_layer_can_hold_are_not_compiled(count: int, compiled: list[int]) -> None:
    entries = tuple(
        Entry(f"python/demo/m{number}.py", 0, 1, 0, 0, 1, 16 * 1024**2, PLAIN, b"") for number in range(count)
    )
    about = Index("demo", "1", "demo.whl", "", 0, "python/demo-1.dist-info", "", 0, entries)
    assert [len(one.sources) for one in wanted("part", about, entries)] == compiled


def test_what_stands_under_the_name_of_another_is_not_taken(tmp_path: Path) -> None:
    """As where files of a store were swapped, or copied from another: each is whole, and not what it should be."""
    store = Store(tmp_path)
    data = b"bytes"
    made = Compiled("3.11.7", hashlib.sha256(data).hexdigest(), len(data), (), (), "ab" * 32)
    for key in ("ab" * 32, "cd" * 32):
        store.save(store.path("parts", key, ".index"), msgspec.msgpack.encode(made))
        data_path(store, key).write_bytes(data)
    assert load_derived(store, "ab" * 32, Compiled) == made
    assert load_derived(store, "cd" * 32, Compiled) is None


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
