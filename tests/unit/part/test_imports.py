"""Imports and the circumstances they run under, in every form that source code has."""

from __future__ import annotations

import ast
from textwrap import dedent, indent
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.part.scan import Import, Source, scan


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
        with suppress(ImportError): import p
        with (open(x), contextlib.suppress(KeyError,
                                           ModuleNotFoundError)) as y:
            import q
        with suppress(KeyError):
            import r
        with suppressed(ImportError):
            import s
        with open(x): raise suppress(ImportError)
        import t
        with open(ImportError):
            import u
        match x:
            case 1:
                import k
        match = case = 1
        import l
        try: import m; import n
        finally: pass
        import o
    """
    assert modules(source) == "a? b? c? d e? f? g? h i j p? q? r s t u k? l m? n? o".split()


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
    source = r"""
        lazy import a
        lazy from b import c
        type X[T: (int, str) = int] = list[T]
        def f[**P](x: X[P]) -> None: import d
        try:
            print f"{x["a"]} {", ".join(f"{y:{"w"}}" for y in z)}"  # PEP 701
            import e
        except* A, B:
            t"import {no:{w}} \N{DASH}"
        print >>stream, "Python 2", `x`, 0777L, ur"\\"
        exec "import no"
        import g
    """
    assert modules(source) == ["a~", "b~", "d~", "e?", "g"]
    assert "w" in facts(source).strings


# Generated programs


class Place(NamedTuple):
    """What holds for an import at a place of a program."""

    lazy: bool = False
    guarded: bool = False
    dead: bool = False


class Writer:
    """Writes a valid program and notes the imports in it: an oracle that knows them without reading."""

    NAMES = st.sampled_from(["a", "b.c", "imports", "from_", "lazy", "x1"])
    NOISE = st.sampled_from(
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

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.found: list[Import] = []

    def statement(self, place: Place) -> str:
        one, two = self.draw(self.NAMES), self.draw(self.NAMES)
        level = self.draw(st.integers(1, 3))
        dots = "." * level
        new: list[tuple[str, int, tuple[str, ...]]]
        text, new = self.draw(
            st.sampled_from(
                [
                    (f"import {one}", [(one, 0, ())]),
                    (f"import {one} as q , {two}", [(one, 0, ()), (two, 0, ())]),
                    (f"from {dots}{one} import (y as z,\n # else:\nw)", [(one, level, ("y", "w"))]),
                    (f"from {dots} import y;import {two}", [("", level, ("y",)), (two, 0, ())]),
                    (f"from {one} \\\n import *", [(one, 0, ("*",))]),
                ]
            )
        )
        if not place.dead:
            self.found.extend(Import(*item, place.lazy, place.guarded) for item in new)
        return text

    def body(self, depth: int, place: Place) -> str:
        lines = []
        for _ in range(self.draw(st.integers(1, 3))):
            kind = self.draw(st.sampled_from(["noise", "import", "import", "block"] if depth else ["noise", "import"]))
            if kind == "noise":
                lines.append(self.draw(self.NOISE))
            elif kind == "import":
                lines.append(self.statement(place))
            else:
                lines.append(self.block(depth - 1, place))
        return "\n".join([*lines, "pass"])

    def clause(self, header: str, depth: int, place: Place) -> str:
        if self.draw(st.booleans()):
            return f"{header}: {self.statement(place)}\n"
        margin = self.draw(st.sampled_from(["    ", " ", "\t"]))
        return f"{header}:  # else:\n{indent(self.body(depth, place), margin)}\n"

    def block(self, depth: int, place: Place) -> str:
        negated, name = self.draw(st.booleans()), self.draw(st.sampled_from(["TYPE_CHECKING", "t.TYPE_CHECKING"]))
        never, sometimes = place._replace(dead=True), place._replace(guarded=True)
        clauses = self.draw(
            st.sampled_from(
                [
                    [("def f(x=[\n1])", place._replace(lazy=True))],
                    [("async def f()", place._replace(lazy=True))],
                    [("class C(\nobject)", place)],
                    [("with x as (\ny)", place)],
                    [("with (x, a.suppress(A,\nImportError)) as y", sometimes)],
                    [("for x in {\n1}", place), ("else", place)],
                    [("try", sometimes), ("except (A,\nB)", sometimes), ("else", sometimes), ("finally", place)],
                    [("if (x and\ny)", sometimes), (f"elif {name}", never), ("else", sometimes)],
                    [(f"if not {name}" if negated else f"if {name}", place), ("else", place)],
                ]
            )
        )
        if clauses[0][0].endswith("TYPE_CHECKING"):
            clauses = [(clauses[0][0], place if negated else never), ("else", never if negated else place)]
        return "".join(self.clause(header, depth, inside) for header, inside in clauses)


@st.composite
def programs(draw: st.DrawFn) -> tuple[str, list[Import]]:
    writer = Writer(draw)
    source = writer.body(draw(st.integers(0, 3)), Place())
    return source, list(dict.fromkeys(writer.found))


@given(programs())
def test_generated_programs(program: tuple[str, list[Import]]) -> None:
    source, expected = program
    ast.parse(source)  # the writer writes valid programs only
    assert imports(source) == expected
