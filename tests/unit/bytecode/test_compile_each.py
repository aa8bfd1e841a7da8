"""The program that the target's CPython runs, in this one: what it writes, and for what it writes nothing."""

from __future__ import annotations

import importlib.util
import marshal
import struct
import types
from pathlib import Path

import pytest

from lamina.bytecode.inside import compile_each
from lamina.bytecode.inside.compile_each import compiled, main

SOURCE = b"def f(self, key='data'):\n    return {'a', 'b'} & {key}, 1.5, (1, 2)\n"


def test_a_pyc_is_named_by_the_hash_of_its_source_and_never_checked() -> None:
    made = compiled("/opt/python/x.py", SOURCE)
    magic, flags, digest = struct.unpack("<4sI8s", made[:16])
    assert (magic, flags, digest) == (importlib.util.MAGIC_NUMBER, 0b01, importlib.util.source_hash(SOURCE))
    code = marshal.loads(made[16:])  # noqa: S302 - made here
    assert code.co_filename == "/opt/python/x.py"
    space: dict[str, types.FunctionType] = {}
    exec(code, space)  # noqa: S102 - the test's own source
    assert space["f"](None, "b") == ({"b"}, 1.5, (1, 2))


def test_bytes_do_not_depend_on_what_else_the_process_holds() -> None:
    before = compiled("/opt/python/x.py", b"very_own_name_of_this_test = other_own_name_of_this_test")
    held = compile("very_own_name_of_this_test, other_own_name_of_this_test", "/opt/python/x.py", "exec")
    assert compiled("/opt/python/x.py", b"very_own_name_of_this_test = other_own_name_of_this_test") == before
    assert "very_own_name_of_this_test" in held.co_names


@pytest.mark.parametrize(
    "source", [b"print 'Python 2'", b"{% if x %}", b"# coding: no-such\n", b"a\x00b", b"\xff\xfe", b"(" * 1000]
)
def test_what_does_not_compile_has_no_bytecode(source: bytes) -> None:
    assert compiled("/opt/python/x.py", source) == b""


def test_bytecode_that_would_fill_its_reader_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled("/opt/python/x.py", SOURCE)
    content = len(made) - 16
    monkeypatch.setattr(compile_each, "MOST_BYTES", content)
    assert compiled("/opt/python/x.py", SOURCE) == made
    monkeypatch.setattr(compile_each, "MOST_BYTES", content - 1)
    assert compiled("/opt/python/x.py", SOURCE) == b""


def test_one_file_of_sources_becomes_one_of_results_in_their_order(tmp_path: Path) -> None:
    given = [(b"/opt/python/a.py", b"a = 1"), (b"/opt/python/b.py", b"b ="), (b"/opt/python/c.py", b"")]
    sources, results = tmp_path / "sources", tmp_path / "results"
    sources.write_bytes(b"".join(struct.pack("<I", len(piece)) + piece for pair in given for piece in pair))
    main(str(sources), str(results))
    wanted = [compiled(path.decode(), source) for path, source in given]
    assert [bool(content) for content in wanted] == [True, False, True]
    assert results.read_bytes() == b"".join(struct.pack("<I", len(content)) + content for content in wanted)
