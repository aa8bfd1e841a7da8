"""Extensions, symbols and bytecode of another Python: every branch, whole messages."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.audit.abi import check_abi, suffix_of
from lamina.audit.facts import exports, facts
from lamina.audit.model import Artefact, Item, Package
from lamina.audit.world import world_of
from lamina.binary.model import Binary, Elf
from lamina.findings import Finding
from lamina.target import Target, target_for

X86, ARM = 62, 183
TARGET = target_for("cp311", platform="manylinux2014_x86_64")


def elf(**facts: object) -> Binary:
    values: dict[str, Any] = {"machine": X86, "bits": 64, "little": True, "type": 3, **facts}
    return Binary(
        "elf", {X86: "x86_64", ARM: "aarch64"}.get(values["machine"], "i386"), library=True, elf=Elf(**values)
    )


def item(path: str, binary: Binary | None = None, **facts: object) -> Item:
    return Item(path, f"/opt/{path}", 1, binary=binary, **facts)


def layer(*items: Item, package: Package | None = None) -> Artefact:
    packages = (package._replace(files=frozenset(each.path for each in items)),) if package else ()
    return Artefact("layer.zip", "layer", items, packages)


def package(name: str, *tags: str) -> Package:
    return Package(name, "1.0", f"python/{name}-1.0.dist-info", tags, metadata=True, entry_points=(), files=frozenset())


OWN = "imports only .cpython-311-x86_64-linux-gnu.so, .abi3.so and .so"
TAKE = (
    "Take the cp311 wheel of pkg: lock and build with lamina for cp311-manylinux2014_x86_64, or "
    "pip install --python-version 3.11 --platform manylinux2014_x86_64 --only-binary=:all:."
)


def check(*items: Item, package: Package | None = None, target: Target = TARGET) -> list[Finding]:
    artefact = layer(*items, package=package)
    return list(check_abi(artefact, world_of([artefact], target)))


@pytest.mark.parametrize(
    ("tag", "what"),
    [
        ("cpython-312-x86_64-linux-gnu", "CPython 3.12"),
        ("cpython-39-x86_64-linux-gnu", "CPython 3.9"),
        ("cpython-37m-x86_64-linux-gnu", "CPython 3.7"),
        ("cpython-311d-x86_64-linux-gnu", "a debug build of CPython 3.11"),
        ("cpython-313t-x86_64-linux-gnu", "the free-threaded build of CPython 3.13"),
        ("cpython-311-aarch64-linux-gnu", "aarch64-linux-gnu, by its name"),
        ("cpython-311-x86_64-linux-musl", "x86_64-linux-musl, by its name"),
        ("cpython-311-darwin", "darwin, by its name"),
        ("abi3t", "the free-threaded build of CPython"),
        ("pypy39-pp73-x86_64-linux-gnu", "PyPy"),
        ("graalpy242-311-native-x86_64-linux", "GraalPy"),
    ],
)
def test_a_suffix_that_the_target_does_not_import(tag: str, what: str) -> None:
    path = f"python/pkg/x.{tag}.so"
    message = f"x.{tag}.so is an extension module for {what}; python3.11 on Lambda {OWN}"
    assert check(item(path, elf())) == [Finding("wrong-python-abi", "error", path, message, TAKE)]


@pytest.mark.parametrize(
    "name",
    [
        "x.cpython-311-x86_64-linux-gnu.so",
        "x.cpython-311.so",
        "x.abi3.so",
        "x.so",
        "libx.so",
        "libx-1.2.so",
        "x.so.1.2",
    ],
)
def test_a_suffix_that_fits(name: str) -> None:
    assert check(item(f"python/pkg/{name}", elf())) == []


def test_no_suffix_is_read_from_other_names() -> None:
    assert suffix_of("python/pkg/libgfortran-040039e1.so.5.0.0") is None
    assert suffix_of("python/pkg/x.cpython-311.pyc") is None
    assert suffix_of("python/a.b/x.abi3.so") == ("python/a.b/x", "abi3")


def test_another_python_beside_its_own_is_a_note() -> None:
    own = item("python/pkg/x.cpython-311-x86_64-linux-gnu.so", elf())
    other = item("python/pkg/x.cpython-312-x86_64-linux-gnu.so", elf())
    message = (
        "x.cpython-312-x86_64-linux-gnu.so is an extension module for CPython 3.12; python3.11 takes the module of its "
        "own beside it and never loads this file"
    )
    hint = 'Drop it: prune.drop = ["**/x.cpython-312-x86_64-linux-gnu.so"].'
    assert check(own, other) == [Finding("wrong-python-abi", "note", other.path, message, hint)]


def test_a_stable_abi_of_a_newer_minimum() -> None:
    found = check(item("python/pkg/x.abi3.so", elf()), package=package("pkg", "cp312-abi3-manylinux_2_17_x86_64"))
    message = (
        "x.abi3.so uses the stable ABI of CPython 3.12 and newer, as the wheel of pkg 1.0 says; python3.11 is older"
    )
    hint = "Take an older version of pkg, or build for cp312 or newer."
    assert found == [Finding("wrong-python-abi", "error", "python/pkg/x.abi3.so", message, hint)]


@pytest.mark.parametrize(
    "tags", [("cp311-abi3-linux_x86_64",), ("cp37-abi3-any", "cp312-abi3-any"), ("py3-none-any",), ()]
)
def test_a_stable_abi_that_fits(tags: tuple[str, ...]) -> None:
    assert check(item("python/pkg/x.abi3.so", elf()), package=package("pkg", *tags)) == []


def test_symbols_that_the_target_does_not_export() -> None:
    names = ("PyObject_Call", "PyCode_New", "_PyThreadState_UncheckedGet", "PyThreadState_GetUnchecked", "Py_Unheard")
    found = check(item("python/pkg/x.so", elf(python=names)))
    message = (
        "x.so needs PyThreadState_GetUnchecked (CPython 3.13-3.14), which CPython 3.11 does not export: "
        "it was built for another one"
    )
    assert found == [Finding("wrong-python-abi", "error", "python/pkg/x.so", message, TAKE)]


def test_three_symbols_are_named() -> None:
    names = ("PyAST_Compile", "PyAST_FromNode", "PyAST_Check", "PyAST_CompileEx")
    (found,) = check(item("python/pkg/x.so", elf(python=names)))
    assert found.message == (
        "x.so needs PyAST_Check (CPython 2.7-3.8), PyAST_Compile (CPython 2.7-3.8), PyAST_CompileEx (CPython 3.6-3.9) "
        "and 1 more, which CPython 3.11 does not export: it was built for another one"
    )


def test_symbols_that_a_library_of_the_stack_offers() -> None:
    shim = item("python/shim.so", elf(offers=("PyThreadState_GetUnchecked",)))
    assert check(item("python/pkg/x.so", elf(python=("PyThreadState_GetUnchecked",))), shim) == []


def test_one_finding_a_file() -> None:
    both = elf(python=("PyThreadState_GetUnchecked",), needed=("libpython3.13.so.1.0",))
    assert len(check(item("python/pkg/x.cpython-313-x86_64-linux-gnu.so", both))) == 1


def test_the_library_of_another_python() -> None:
    found = check(item("python/pkg/x.so", elf(needed=("libpython3.12.so.1.0",))))
    message = f"x.so needs libpython3.12.so.1.0, the library of another CPython; python3.11 on Lambda {OWN}"
    assert found == [Finding("wrong-python-abi", "error", "python/pkg/x.so", message, TAKE)]
    brought = item("lib/libpython3.12.so.1.0", elf())
    assert check(item("python/pkg/x.so", elf(needed=("libpython3.12.so.1.0",))), brought) == []
    assert check(item("python/pkg/x.so", elf(needed=("libpython3.11.so.1.0",)))) == []


def magic(version: str) -> bytes:
    return facts().pyc_magic[version].to_bytes(2, "little") + b"\r\n"


@pytest.mark.parametrize(
    ("start", "of"), [(magic("3.12"), "CPython 3.12"), (b"\x03\xf3\r\n", "another Python"), (b"junk", "another Python")]
)
def test_bytecode_without_source(start: bytes, of: str) -> None:
    found = check(item("python/pkg/x.pyc", magic=start))
    message = (
        f"x.pyc is bytecode of {of}, without its source: python3.11 on Lambda refuses it with "
        "ImportError: bad magic number"
    )
    hint = "Ship the source, or compile it with the target's CPython (cp311)."
    assert found == [Finding("wrong-python-abi", "error", "python/pkg/x.pyc", message, hint)]


def test_bytecode_that_is_never_refused() -> None:
    assert check(item("python/pkg/x.pyc", magic=magic("3.11"))) == []
    assert check(item("python/pkg/x.pyc", magic=magic("3.12")), item("python/pkg/x.py")) == []
    assert check(item("python/pkg/__pycache__/x.cpython-312.pyc", magic=magic("3.12"))) == []
    assert check(item("python/pkg/__pycache__/x.cpython-311.pyc", magic=magic("3.12"))) == []
    assert check(item("python/pkg/x.pyc")) == []


def test_the_facts_are_those_of_this_interpreter() -> None:
    import importlib.util
    import sys

    assert facts().pyc_magic["{}.{}".format(*sys.version_info)].to_bytes(2, "little") == importlib.util.MAGIC_NUMBER[:2]


def test_the_table_of_symbols() -> None:
    table = exports()
    assert table.versions == ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
    assert table.lacks("PyCode_New", "3.12")
    assert not table.lacks("PyCode_New", "3.11")
    assert not table.lacks("PyCode_New", "3.15")
    assert not table.lacks("PyObject_Call", "3.11")
    assert list(table.ranges) == sorted(table.ranges)
    for symbol, written in table.ranges.items():
        has = [version for version in table.versions if not table.lacks(symbol, version)]
        assert 0 < len(has) < len(table.versions), (symbol, written)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("x.cpython-311-aarch64-linux-gnu.so", {"machine": ARM}),
        ("x.cpython-311-x86_64-linux-musl.so", {"needed": ("libc.musl-x86_64.so.1",)}),
    ],
)
def test_what_the_bytes_tell_is_not_told_of_the_name(name: str, facts: dict[str, Any]) -> None:
    assert check(item(f"python/pkg/{name}", elf(**facts))) == []
    (found,) = check(item(f"python/pkg/{name.replace('311', '312')}", elf(**facts)))
    assert found.message.startswith(f"{name.replace('311', '312')} is an extension module for CPython 3.12; ")
