"""What a module names and calls. Each case is a way in which real packages refer to what looks droppable."""

from __future__ import annotations

import time
from textwrap import dedent

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.part.scan import UNREADABLE, Dynamic, Import, Source, scan


def plain(module: str) -> Import:
    return Import(module, 0, (), lazy=False, guarded=False)


def facts(source: str) -> Source:
    found = scan(dedent(source).encode())
    assert found.readable
    return found


# Strings


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("open(os.path.join(os.path.dirname(__file__), 'tlds-alpha.txt'))", ["tlds-alpha.txt"]),
        ("importlib.resources.files('pkg.data') / 'iris.csv'", ["iris.csv", "pkg.data"]),
        ("pkgutil.get_data('pkg', \"vendor/x.txt\")", ["pkg", "vendor/x.txt"]),
        ("'Lorem ipsum.txt'", ["Lorem ipsum.txt"]),
        ("'not a name', 'a  b.txt', ' b.txt', 'b.txt ', '', '---', 'a\\nb'", []),
        ("'''tests'''", ["tests"]),
        ("'''\n    tests\n    '''", []),
        ("'a' 'b'  # c\n'd', 'e'", ["a", "ab", "abd", "b", "d", "e"]),
        ("'a' 'b'\n'docstring.of.ab'", ["a", "ab", "abdocstring.of.ab", "b", "docstring.of.ab"]),
        ("'a' \\\n  'b'", ["a", "ab", "b"]),
        (r"'data\\x.txt', r'data\x.txt', 'caf\u00e9', 'a\x2eb', 'a\056c', '\'q\''", None),
        (r"'\udc80', '\N{DASH}'", ["\\N{DASH}"]),
        ("rb'a.b', BR'c.d', u'e', Rb'f'", ["a.b", "c.d", "e", "f"]),
        ("f'{here}/data.txt'", ["/data.txt"]),
        ("f'{os.path.join(here, \"x.txt\")!r:>{w}}/tests'", ["/tests", ">", "x.txt"]),
        ("f'{{a}}{b}'", ["{a}"]),
        ("'{}.txt'.format(x), 'y%s.txt' % z", ["y%s.txt", "{}.txt"]),
        ("'" + "x" * 200 + "', '" + "y" * 201 + "'", ["x" * 200]),
    ],
)
def test_literals_that_could_be_names(source: str, expected: list[str] | None) -> None:
    if expected is None:
        expected = sorted(["data\\x.txt", "café", "a.b", "a.c", "'q'"])
    assert [name for name in facts(source).strings if name != ">"] == [name for name in expected if name != ">"]


# Calls


def test_calls_are_found_as_names_only() -> None:
    source = """
        import lazy_loader as lazy
        __getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
        "iter_modules"  # walk_packages
        my_iter_modules = entry_points_ = 1
    """
    assert facts(source).calls == ("__file__", "__getattr__", "attach_stub")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import_module('pkg.tests')", []),
        ("import_module(\n    # why\n    'pkg.tests',\n    package)", []),
        ("import_module(name='a' 'b')", []),
        ("import_module()", []),
        ("def import_module(name): pass", []),
        ("class LazyLoader(object): pass", []),
        ("import_module(name)", [Dynamic("import_module", "", "")]),
        ("import_module(f'pkg.{name}.tests')", [Dynamic("import_module", "pkg.", ".tests")]),
        ("import_module(name=f'pkg.{name}' '.t' '.s')", [Dynamic("import_module", "pkg.", ".t.s")]),
        ("import_module('.' + name, __package__)", [Dynamic("import_module", ".", "")]),
        ("import_module('a' '.' + f(x, '}') + '.b')", [Dynamic("import_module", "a.", ".b")]),
        ("import_module('pkg.%s.%d.x' % (a, b))", [Dynamic("import_module", "pkg.", ".x")]),
        ("import_module('{0}.x'.format(a))", [Dynamic("import_module", "", ".x")]),
        ("import_module('pkg.%s' % a + '.x')", [Dynamic("import_module", "pkg.", ".x")]),
        ("import_module('.'.join(parts))", [Dynamic("import_module", "", "")]),
        ("import_module(a if b else 'c')", [Dynamic("import_module", "", "")]),
        ("__import__ (x) ; my__import__(f'a{b}')", [Dynamic("__import__", "", "")]),
        ("x.files(__package__ + '.data')", [Dynamic("files", "", ".data")]),
        ("import_module('\\udc80' + x)", [Dynamic("import_module", "", "")]),
        ("import_module(" + "x." * 300 + "y)", [Dynamic("import_module", "", "")]),
        ("f'{import_module(f\"a.{b}\")}'", [Dynamic("import_module", "a.", "")]),
    ],
)
def test_computed_names_of_modules(source: str, expected: list[Dynamic]) -> None:
    assert list(facts(source).dynamic) == expected


# Sources that are none


@pytest.mark.parametrize(
    "source",
    [
        b"import a\0",
        b"'\xff'",
        b"# coding: no-such-codec\n",
        b"# coding: unicode_escape\n",
        b"# coding: mbcs\n",
        b"x = 'open\n",
        b'"""open',
        b"f'{open'",
        b"f'{x!r:'",
        b"f'}'",
        b"f'{(}'",
        b"(",
        b"x = {% raw %}]",
    ],
)
def test_sources_that_make_no_sense_have_no_facts(source: bytes) -> None:
    assert scan(b"import a\n'b'\n" + source if not source.startswith(b"#") else source) == UNREADABLE
    assert Source((), (), (), (), readable=False) == UNREADABLE


@pytest.mark.parametrize(
    "source",
    [
        b"\xef\xbb\xbfimport a; 'caf\xc3\xa9'",
        b"import a; 'caf\xc3\xa9'",
        b"# -*- coding: latin-1 -*-\nimport a; 'caf\xe9'",
        b"#!/usr/bin/python\r\n# vim: set fileencoding=iso-8859-15 :\r\nimport a; 'caf\xe9'",
        b"\n#coding=cp1252\nimport a; 'caf\xe9'",
        b"# coding: utf-8-unix\nimport a; 'caf\xc3\xa9'",
        b"# coding: latin-1-mac\nimport a; 'caf\xe9'",
        b"'''\n# coding: latin-1\n'''; import a; 'caf\xc3\xa9'",
        b"# a\n# b\n# coding: latin-1\nimport a; 'caf\xc3\xa9'",
    ],
)
def test_encodings_by_declaration(source: bytes) -> None:
    assert scan(source).imports == (plain("a"),)
    assert "café" in scan(source).strings


def test_a_trail_byte_that_looks_like_ascii_is_read_by_its_encoding() -> None:
    assert scan("# coding: shift_jis\nx = '表'\nimport a\n".encode("shift_jis")).imports == (plain("a"),)


# Any input


def test_facts_survive_storing() -> None:
    found = facts("from a import b\nimport_module(f'x.{y}')\n'tests'\n")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Source) == found
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Source) == found


@given(st.binary())
def test_any_bytes_are_scanned(source: bytes) -> None:
    msgspec.json.encode(scan(source))


@given(st.text("'\"\\#{}()[]:;,.=+% \n\tfrbtNximportefdsTYPE_CHKGéß\udc80", max_size=200))
def test_any_text_is_scanned(source: str) -> None:
    msgspec.json.encode(scan(source.encode("utf-8", "surrogatepass")))
    msgspec.json.encode(scan(b"# coding: latin-1\n" + source.encode("latin-1", "ignore")))


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "'",
            '"',
            "\\",
            "(",
            "[",
            "{",
            "#",
            "\n",
            " ",
            "\t",
            ":",
            ";",
            'f"',
            "f'{",
            'f"""{',
            '"\\"',
            '"""\\',
            "f'{x:",
        ),
        *("import ", "from ", "import a;", "import a\n", "if x: import a\n", "if a:\n import b\n", "else: import b\n"),
        *("if TYPE_CHECKING:\n import x\n", "TYPE_CHECKING:", "if not (", "from . import (", "from . import (a);"),
        *("import_module(", "import_module(f'{a}' + ", "'a' ", "'a'\n", "f'{a}b' ", "'" + "a " * 50 + "b.c' ", "\\\n"),
    ],
)
def test_time_is_linear(piece: str) -> None:
    def seconds(size: int) -> float:
        source = (piece * (size // len(piece))).encode()
        started = time.process_time()
        for text in (source, b"x = '''\n" + source, b"def f():\n" + source + b"\n)))]]]}}}" + b"\n import a"):
            scan(text)
        return time.process_time() - started

    # A factor of 8 in size; quadratic time would show as one of 64. Small times are noise.
    assert seconds(160_000) < 24 * max(seconds(20_000), 0.01)
