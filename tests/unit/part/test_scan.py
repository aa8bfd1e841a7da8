"""What a module imports, names and calls. Each case is a way in which real packages refer to what looks droppable."""

from __future__ import annotations

import ast
import time
from textwrap import dedent, indent

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.part.scan import UNREADABLE, Dynamic, Import, Source, resolve, scan


def facts(source: str) -> Source:
    found = scan(dedent(source).encode())
    assert found.readable
    return found


def imports(source: str) -> list[Import]:
    return list(facts(source).imports)


def plain(module: str, *, lazy: bool = False, guarded: bool = False) -> Import:
    return Import(module, 0, (), lazy, guarded)


def modules(source: str) -> list[str]:
    """The imported modules, with ``?`` for a guarded one and ``~`` for a lazy one."""
    return [("." * i.level + i.module) + "?" * i.guarded + "~" * i.lazy for i in imports(source)]


# Statements


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a", [plain("a")]),
        ("import a.b.c", [plain("a.b.c")]),
        ("import a, b as c,d . e", [plain("a"), plain("b"), plain("d.e")]),
        ("import a; import b", [plain("a"), plain("b")]),
        ("import a\nimport a\n", [plain("a")]),
        ("import a, \\\n  b", [plain("a"), plain("b")]),
        ("\\\nimport a", [plain("a")]),
        ("\x0cimport a", [plain("a")]),
        ("import\ta # noqa: F401", [plain("a")]),
        ("from a import b", [Import("a", 0, ("b",), lazy=False, guarded=False)]),
        ("from a import b as c, d", [Import("a", 0, ("b", "d"), lazy=False, guarded=False)]),
        ("from a import *", [Import("a", 0, ("*",), lazy=False, guarded=False)]),
        ("from a import*", [Import("a", 0, ("*",), lazy=False, guarded=False)]),
        ("from . import a", [Import("", 1, ("a",), lazy=False, guarded=False)]),
        ("from.import a", [Import("", 1, ("a",), lazy=False, guarded=False)]),
        ("from .a import b", [Import("a", 1, ("b",), lazy=False, guarded=False)]),
        ("from ... a . b import c", [Import("a.b", 3, ("c",), lazy=False, guarded=False)]),
        ("from importer import imports", [Import("importer", 0, ("imports",), lazy=False, guarded=False)]),
        ("from a import (b)", [Import("a", 0, ("b",), lazy=False, guarded=False)]),
        (
            "from a import (  # why\n    b as x,\n\n    # from q import r\n    c,  # 'd',\n)\nimport e",
            [Import("a", 0, ("b", "c"), lazy=False, guarded=False), plain("e")],
        ),
        ("from a \\\n  import b", [Import("a", 0, ("b",), lazy=False, guarded=False)]),
        ("import größe", [plain("größe")]),
    ],
)
def test_every_form_of_import_statement(source: str, expected: list[Import]) -> None:
    assert imports(source) == expected


def test_what_is_no_import_statement() -> None:
    source = '''
        """Docstring.

        >>> import doctest_only
        from prose import nothing
        """
        # import commented
        text = "import quoted"
        importer = reimport = imports = important.importance
        yield_ = lambda: (yield
            from_)
        raise ValueError from error
        f"""
        import {within} formatted
        """
    '''
    assert imports(source) == []


def test_imports_are_told_lazy_inside_functions_only() -> None:
    source = """
        import a
        class C:
            import b
            def f(self, x=[
        1]):
                import c
            import d
        @decorator(
            argument)
        async def g(): import e; from f import (g,
        h)
        async  \\
          def h():
            if 1:
                class D:
                    import i
        for x in y:
            import j
        k = lambda: 1
        import k
    """
    assert modules(source) == ["a", "b", "c~", "d", "e~", "f~", "i?~", "j", "k"]


def test_imports_are_told_guarded_where_they_may_be_left_out() -> None:
    source = """
        try:
            import a
        except ImportError:
            import b
        else:
            import c
        finally:
            import d
        if x: import e
        elif (y and
              z): import f
        else:
            import g
        while x:
            import h
        else:
            import i
        with x:
            import j
        match x:
            case 1:
                import k
        match = case = 1
        import l
        try: import m; import n
        finally: pass
        import o
    """
    assert modules(source) == "a? b? c? d e? f? g? h i j k? l m? n? o".split()


def test_brackets_hide_what_looks_like_a_block() -> None:
    source = """
        def f():
            x = [
        a
        if b
        else c
        for d in e
        if TYPE_CHECKING:
        ]
            import a
        import b
    """
    assert modules(source) == ["a~", "b"]


def test_indentation_by_tabs_and_form_feeds() -> None:
    assert modules("if x:\n\tdef f():\n        \timport a\n\timport b\nimport c\n") == ["a?~", "b?", "c"]
    assert modules("def f():\n  \x0c  import a\n  import b\n") == ["a~", "b~"]
    assert modules("def f():\n    pass\n\\\nimport a\n") == ["a"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(end: str) -> None:
    source = end.join(["# c", "def f():", "    '''", "    import no", "    '''", "    import a", "import b", ""])
    assert scan(source.encode()).imports == (plain("a", lazy=True), plain("b"))


# Type checking


@pytest.mark.parametrize(
    "condition",
    ["TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING", "(TYPE_CHECKING)", "( # c\n  TYPE_CHECKING\n)"],
)
def test_what_only_a_type_checker_sees_is_left_out(condition: str) -> None:
    then = f"if {condition}:  # pragma: no cover\n    import a\n    def f():\n        import b\nelse:\n    import c\n"
    assert modules(then) == ["c"]
    unless = f"if not {condition}:\n    import a\nelse:\n    import b\n"
    assert modules(unless) == ["a"]
    assert modules(f"if {condition}: import a; import b\nimport c") == ["c"]
    chain = f"if x:\n    import a\nelif {condition}:\n    import b\nelse:\n    import c\n"
    assert modules(chain) == ["a?", "c?"]


@pytest.mark.parametrize(
    "condition",
    ["TYPE_CHECKING or x", "x or TYPE_CHECKING", "MYPY", "False", "0", "TYPE_CHECKING_MODE", "not TYPE_CHECKING or x"],
)
def test_other_conditions_count(condition: str) -> None:
    assert modules(f"if {condition}:\n    import a\nelse:\n    import b\n") == ["a?", "b?"]


def test_the_else_of_another_block_is_not_that_of_type_checking() -> None:
    source = """
        if not TYPE_CHECKING:
            import a
        for x in y:
            pass
        else:
            import b
        if TYPE_CHECKING:
            if x:
                import no
            else:
                import no
        else:
            import c
    """
    assert modules(source) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("TYPE_CHECKING = False", []),
        ("TYPE_CHECKING: bool = False  # not typing's: it costs start-up", []),
        ("if TYPE_CHECKING == x: pass", []),
        ("TYPE_CHECKING = True", ["a?"]),
        ("TYPE_CHECKING = False or debug()", ["a?"]),
        ("typing.TYPE_CHECKING = True", ["a?"]),
    ],
)
def test_a_module_that_sets_type_checking_itself(definition: str, expected: list[str]) -> None:
    assert modules(f"{definition}\nif TYPE_CHECKING:\n    import a\n") == expected


# Syntax of other versions


def test_syntax_newer_and_older_than_any_host() -> None:
    source = """
        lazy import a
        lazy from b import c
        type X[T: (int, str) = int] = list[T]
        def f[**P](x: X[P]) -> None: import d
        try:
            print f"{x["a"]} {", ".join(f"{y:{"w"}}" for y in z)}"  # PEP 701
            import e
        except* A, B:
            t"import {no:{w}} \\N{DASH}"
        print >>stream, "Python 2", `x`, 0777L, ur"\\"
        exec "import no"
        import g
    """
    assert modules(source) == ["a~", "b~", "d~", "e?", "g"]
    assert "w" in facts(source).strings


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


# Resolution


@pytest.mark.parametrize(
    ("imported", "module", "is_package", "expected"),
    [
        (Import("a.b", 0, (), lazy=False, guarded=False), "x", False, ("a.b",)),
        (Import("a", 0, ("b", "c"), lazy=False, guarded=False), "x", False, ("a", "a.b", "a.c")),
        (Import("a", 0, ("*",), lazy=False, guarded=False), "x", False, ("a",)),
        (Import("", 1, ("b",), lazy=False, guarded=False), "p.q.m", False, ("p.q", "p.q.b")),
        (Import("", 1, ("b",), lazy=False, guarded=False), "p.q", True, ("p.q", "p.q.b")),
        (Import("a", 2, ("b",), lazy=False, guarded=False), "p.q.m", False, ("p.a", "p.a.b")),
        (Import("a", 2, ("b",), lazy=False, guarded=False), "p.q", True, ("p.a", "p.a.b")),
        (Import("a", 3, ("b",), lazy=False, guarded=False), "p.q.m", False, ()),
        (Import("a", 2, ("b",), lazy=False, guarded=False), "p", True, ()),
        (Import("a", 1, ("b",), lazy=False, guarded=False), "m", False, ()),
        (Import("a", 1, ("b",), lazy=False, guarded=False), "", True, ()),
        (Import("", 0, ("b",), lazy=False, guarded=False), "m", False, ()),
    ],
)
def test_resolution(imported: Import, module: str, is_package: bool, expected: tuple[str, ...]) -> None:  # noqa: FBT001
    assert resolve(imported, module, is_package) == expected


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


@st.composite
def programs(draw: st.DrawFn) -> tuple[str, list[Import]]:
    """A valid program and the imports in it, as the grammar nests them: an oracle that shares nothing with the scanner."""
    found: list[Import] = []
    names = st.sampled_from(["a", "b.c", "imports", "from_", "lazy", "x1"])
    noise = st.sampled_from(
        [
            "x = [\n1,\nlambda: 2 if 3 else 4]",
            "'import no'",
            '"""\nimport no\nelse:\n"""',
            "# import no",
            "f'''{x:{\"}\"}}\nimport no'''",
            "x = 'a' \\\n  'b'",
            "y = {1: (2,\n\n# else:\n3)}",
            "pass; z = x[1:2]",
            "match = case = 'def f():'",
        ]
    )

    def statement(*, lazy: bool, guarded: bool, dead: bool) -> str:
        one, two = draw(names), draw(names)
        form = draw(st.integers(0, 4))
        level = draw(st.integers(1, 3))
        text, new = (
            (f"import {one}", [(one, 0, ())]),
            (f"import {one} as q , {two}", [(one, 0, ()), (two, 0, ())]),
            (f"from {'.' * level}{one} import (y as z,\n # else:\nw)", [(one, level, ("y", "w"))]),
            (f"from {'.' * level} import y;import {two}", [("", level, ("y",)), (two, 0, ())]),
            (f"from {one} \\\n import *", [(one, 0, ("*",))]),
        )[form]
        if form == 4 and lazy:
            text, new = f"import {one}", [(one, 0, ())]
        if not dead:
            found.extend(Import(*item, lazy, guarded) for item in new)
        return text

    def body(depth: int, *, lazy: bool, guarded: bool, dead: bool) -> str:
        lines = []
        for _ in range(draw(st.integers(1, 3))):
            kind = draw(st.integers(0, 9 if depth else 1))
            if kind == 0:
                lines.append(draw(noise))
            elif kind <= 3:
                lines.append(statement(lazy=lazy, guarded=guarded, dead=dead))
            else:
                lines.append(block(depth - 1, kind, lazy=lazy, guarded=guarded, dead=dead))
        return "\n".join([*lines, "pass"])

    def clause(header: str, depth: int, *, lazy: bool, guarded: bool, dead: bool) -> str:
        if draw(st.booleans()):
            return f"{header}: {statement(lazy=lazy, guarded=guarded, dead=dead)}\n"
        margin = draw(st.sampled_from(["    ", " ", "\t"]))
        inner = body(depth, lazy=lazy, guarded=guarded, dead=dead)
        # Only what stands outside of literals and brackets has to be indented, and all of it may be.
        return f"{header}:  # else:\n{indent(inner, margin)}\n"

    def block(depth: int, kind: int, *, lazy: bool, guarded: bool, dead: bool) -> str:
        if kind == 4:
            header = draw(st.sampled_from(["def f(x=[\n1])", "async def f()", "def if_() -> 'x'"]))
            return clause(header, depth, lazy=True, guarded=guarded, dead=dead)
        if kind == 5:
            header = draw(st.sampled_from(["class C(\nobject)", "with x as (\ny)"]))
            return clause(header, depth, lazy=lazy, guarded=guarded, dead=dead)
        if kind == 6:
            text = clause("for x in {\n1}", depth, lazy=lazy, guarded=guarded, dead=dead)
            return text + clause("else", depth, lazy=lazy, guarded=guarded, dead=dead)
        if kind == 7:
            text = clause("try", depth, lazy=lazy, guarded=True, dead=dead)
            text += clause("except (A,\nB)", depth, lazy=lazy, guarded=True, dead=dead)
            text += clause("else", depth, lazy=lazy, guarded=True, dead=dead)
            return text + clause("finally", depth, lazy=lazy, guarded=guarded, dead=dead)
        if kind == 8:
            text = clause("if (x and\ny)", depth, lazy=lazy, guarded=True, dead=dead)
            text += clause("elif t.TYPE_CHECKING", depth, lazy=lazy, guarded=True, dead=True)
            return text + clause("else", depth, lazy=lazy, guarded=True, dead=dead)
        negated = draw(st.booleans())
        header = f"if {'not ' * negated}{draw(st.sampled_from(['TYPE_CHECKING', 'typing.TYPE_CHECKING']))}"
        text = clause(header, depth, lazy=lazy, guarded=guarded, dead=dead or not negated)
        return text + clause("else", depth, lazy=lazy, guarded=guarded, dead=dead or negated)

    text = body(draw(st.integers(0, 3)), lazy=False, guarded=False, dead=False)
    return text, list(dict.fromkeys(found))


@given(programs())
def test_generated_programs_agree_with_the_grammar(program: tuple[str, list[Import]]) -> None:
    source, expected = program
    ast.parse(source)  # the generator writes valid programs only
    assert imports(source) == expected
