"""Handlers as Lambda looks for them and calls them, told from source; what a correct one may look like, too."""

from __future__ import annotations

import ast
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.audit.model import Artefact, Item
from lamina.audit.modules import Modules
from lamina.findings import Finding
from lamina.function.bindings import definitions
from lamina.function.callables import refusal
from lamina.function.handler import check_handler
from lamina.function.judge import artefact_of
from lamina.function.pack import merge
from lamina.overlay import Generated, kind_of
from lamina.part.scan import scan
from lamina.target import target_for

TARGET = target_for("cp311", platform="manylinux2014_x86_64")
WAY = "Define it with the two positional arguments that Lambda gives: (event, context)."


def check(handler: str, /, *, layer: dict[str, str] | None = None, **sources: str | bytes) -> list[Finding]:
    """What is found; a keyword ``a__b`` is the module ``a/b.py``."""
    files = []
    for name, source in sources.items():
        content = source.encode() if isinstance(source, str) else source
        files.append(
            Generated(
                name.replace("__init__", "@").replace("__", "/").replace("@", "__init__") + ".py",
                content,
                kind_of(content),
                "f",
            )
        )
    packed = merge(files)
    items = [
        Item(f"python/{path}", f"/opt/python/{path}", len(text), source=scan(text.encode()))
        for path, text in (layer or {}).items()
    ]
    modules = Modules((Artefact("layer", "layer", tuple(items)), artefact_of("function", packed)), TARGET)
    contents = {f"/var/task/{file.path}": file.content for file in packed.files}
    return [*check_handler(handler, modules, contents.get)]


def told(handler: str, /, **sources: str) -> tuple[str, str, str]:
    [found] = check(handler, **sources)
    assert (found.code, found.severity) == ("handler-missing", "error")
    return found.path, found.message, found.hint


@pytest.mark.parametrize(
    "source",
    [
        "def h(event, context): pass",
        "def h(event, context=None): pass",
        "def h(event=None, context=None, more=1): pass",
        "def h(*args): pass",
        "def h(event, *rest, **keywords): pass",
        "def h(event, context, /, *, log=None): pass",
        "h = lambda event, context: 1",
        "h = lambda *a: 1",
        "h = make()",
        "h = app.handler",
        "a = b = h = f\ndef f(e, c): pass",
        "def real(e, c): pass\nh = real",
        "h: object = lambda e, c: 1",
        "@wrap\nasync def h(event): pass",
        "@app.route('/')\ndef h(): pass",
        "class H:\n    def __call__(self, event, context): pass\nh = H()",
        "class H(Base): pass\nh = H()",
        "class H:\n    __call__ = other\nh = H()",
        "class h:\n    def __new__(cls, event, context): return {}",
        "class h(dict): pass",
        "from other import h",
        "from other import *",
        "try:\n    from a import h\nexcept ImportError:\n    def h(e, c): pass",
        "if x:\n    def h(e): pass\nelse:\n    def h(e, c): pass",
        "async def h(e, c): pass\nh = wrap(h)",
        "def h(e): pass\ndef h(e, c): pass",
        "for h in things: pass",
        "with open('x') as h: pass",
        "(h, other) = pair()",
        "match x:\n    case 1:\n        def h(e, c): pass",
        "if (h := make()): pass",
        "globals()['h'] = 1",
        "def __getattr__(name): pass",
        "def f():\n    global h\n    h = 1",
        "exec('h = 1')",
        "vars()['h'] = 1",
        "import sys\nsetattr(sys.modules[__name__], 'h', 1)",
    ],
)
def test_what_lambda_can_call_or_nobody_can_tell(source: str) -> None:
    assert check("app.h", app=source, layer={"a.py": "", "other/__init__.py": ""}) == []


@pytest.mark.parametrize(
    "source",
    [
        "def load():\n    global _model\n    _model = 1",
        "def options(given):\n    return vars(given)",
        "def keep(self, value):\n    setattr(self, 'h', value)",
        "class Lazy:\n    def __getattr__(self, name): pass",
    ],
)
def test_what_fills_other_names_hides_no_missing_handler(source: str) -> None:
    path, message, hint = told("app.h", app=source)
    assert path == "app.py"
    assert message == "Runtime.HandlerNotFound: Handler 'h' missing on module 'app'"
    assert hint


@pytest.mark.parametrize(
    ("source", "what", "way"),
    [
        ("def h(): pass", "TypeError: h() takes 0 positional arguments but 2 were given", WAY),
        ("def h(event): pass", "TypeError: h() takes 1 positional argument but 2 were given", WAY),
        ("def h(event, *, context): pass", "TypeError: h() takes 1 positional argument but 2 were given", WAY),
        ("def h(a, b, c): pass", "TypeError: h() missing 1 required positional argument: 'c'", WAY),
        ("def h(a, b, c, d, e=1): pass", "TypeError: h() missing 2 required positional arguments: 'c', 'd'", WAY),
        ("def h(e, c, *, log): pass", "TypeError: h() missing 1 required keyword-only argument: 'log'", WAY),
        ("h = lambda event: 1", "TypeError: h takes 1 positional argument but 2 were given", WAY),
        (
            "async def h(e, c): pass",
            (
                "is an async def: Lambda's Python calls it, gets a coroutine that nobody awaits, and fails with "
                "Runtime.MarshalError: Unable to marshal response: Object of type coroutine is not JSON serializable"
            ),
            "Define def h(event, context) that runs it: return asyncio.run(...).",
        ),
        (
            "def h(e, c):\n    if e:\n        yield 1",
            (
                "is a generator: Lambda's Python calls it and fails with Runtime.MarshalError: Unable to marshal "
                "response: Object of type generator is not JSON serializable"
            ),
            "Return the whole answer instead of yielding it; Lambda's Python does not stream.",
        ),
        ("h = {}", "TypeError: 'dict' object is not callable", "Define def h(event, context) instead."),
        ("h = None", "TypeError: 'NoneType' object is not callable", "Define def h(event, context) instead."),
        ("import h", "h is a module, which Lambda cannot call", "Name a function of it in function.handler."),
        (
            "class H:\n    def __call__(self, event): pass\nh = H()",
            "TypeError: H.__call__() takes 1 positional argument but 2 were given",
            WAY,
        ),
        (
            "class H: pass\nh = H()",
            "TypeError: 'H' object is not callable",
            "Define __call__(self, event, context) in class H.",
        ),
        (
            "class h:\n    def __call__(self, event, context): pass",
            (
                "is a class: Lambda's Python makes an instance of it, and that is no answer which can be sent as JSON "
                "(Runtime.MarshalError)"
            ),
            "Make an instance in the module, handler = h(), and name that in function.handler.",
        ),
        ("def real(e): pass\nh = real", "TypeError: real() takes 1 positional argument but 2 were given", WAY),
    ],
)
def test_what_lambda_cannot_call(source: str, what: str, way: str) -> None:
    line = source.count("\n") if source.startswith("class H") else source.count("\n", 0, source.rfind("h =")) + 1
    path, message, hint = told("app.h", app=source)
    assert (path, hint) == ("app.py", way)
    start, _, rest = message.partition(": ")
    assert start in {f"app.h, line {number}" for number in (1, line, line + 1)}
    assert rest == what


def test_a_generator_inside_is_none() -> None:
    assert check("app.h", app="def h(e, c):\n    def inner():\n        yield 1\n    return list(inner())") == []


def test_the_last_definition_counts() -> None:
    _, message, _ = told("app.h", app="def h(e, c): pass\n\ndef h(e): pass\n")
    assert message == "app.h, line 3: TypeError: h() takes 1 positional argument but 2 were given"


def test_a_name_that_is_not_there() -> None:
    assert told("app.handle", app="def handler(e, c): pass\ndef other(e, c): pass") == (
        "app.py",
        "Runtime.HandlerNotFound: Handler 'handle' missing on module 'app'",
        'Did you mean handler = "app.handler"?',
    )
    assert told("app.main", app="def zzz(e, c): pass\ndef _main(e, c): pass")[2] == (
        "The functions of app are zzz: name one of them in function.handler."
    )
    assert told("pkg/app.main", pkg__app="class X:\n    def main(self, e, c): pass") == (
        "pkg/app.py",
        "Runtime.HandlerNotFound: Handler 'main' missing on module 'pkg.app'",
        "Define def main(event, context) in pkg.app, or name the module that has it in function.handler.",
    )
    # A folder is a package without content, which Lambda does import.
    assert told("pkg.main", pkg__app="")[1] == "Runtime.HandlerNotFound: Handler 'main' missing on module 'pkg'"


def test_a_module_that_is_not_there() -> None:
    assert told("handler.main", src__handler="def main(e, c): pass") == (
        "function.handler",
        "Runtime.ImportModuleError: Unable to import module 'handler': No module named 'handler'",
        (
            'src/handler.py is in the function: did you mean handler = "src.handler.main"? Or map its folder to '
            "another place by to."
        ),
    )
    assert told("hander.main", handler="")[2] == (
        'handler.py is in the function: did you mean handler = "handler.main"?'
    )
    assert told("x.main")[2] == (
        "Add the file to function.source, or correct function.handler: it is looked for from the root of the zip."
    )
    assert told("app/x.main", app="")[1] == (
        "Runtime.ImportModuleError: Unable to import module 'app/x': No module named 'app.x'; 'app' is not a package"
    )
    assert told("a..b.main", a="")[0] == "function.handler"


@pytest.mark.parametrize("handler", ["app.h", "pkg.app.h", "pkg/app.h", "pkg/sub/app.h", "pkg.h"])
def test_slashes_and_packages(handler: str) -> None:
    source = "def h(e, c): pass"
    assert check(handler, app=source, pkg____init__=source, pkg__app=source, pkg__sub__app=source) == []


def test_imports_are_followed_into_own_modules() -> None:
    good, bad = "def h(e, c): pass", "def h(e): pass"
    assert check("app.h", app="from core import h", core=good) == []
    assert check("pkg.app.run", pkg____init__="", pkg__app="from .core import h as run", pkg__core=good) == []
    assert check("app.h", app="from core import *", core=good) == []
    wrong = "app.h, line 1: TypeError: h() takes 1 positional argument but 2 were given"
    assert told("app.h", app="from core import h", core=bad)[:2] == ("core.py", wrong)
    assert told("app.h", app="from core import *", core=bad)[:2] == ("core.py", wrong)
    assert told("app.h", app="from core import h", core="def main(e, c): pass") == (
        "app.py",
        "Runtime.ImportModuleError: Unable to import module 'app': cannot import name 'h' from 'core'",
        "The functions of core are main: name one of them in function.handler.",
    )
    assert told("app.h", app="from core import *", core="")[:2] == (
        "app.py",
        "Runtime.HandlerNotFound: Handler 'h' missing on module 'app'",
    )
    assert told("app.h", app="from pkg import h", pkg____init__="", pkg__h="")[:2] == (
        "app.py",
        "app.h is the module pkg.h, which Lambda cannot call",
    )


def test_imports_in_a_circle_end() -> None:
    assert check("app.h", app="from core import h", core="from app import h") == []


def test_handlers_of_layers_and_of_the_runtime_are_taken_as_they_are() -> None:
    layer = {"vendor_lambda/handler.py": "", "vendor_lambda/__init__.py": ""}
    assert check("vendor_lambda.handler.handler", layer=layer) == []
    assert check("app.h", app="from vendor_lambda.handler import h", layer=layer) == []
    assert check("app.h", app="from boto3 import h") == []


def test_syntax_that_the_target_cannot_read_either() -> None:
    if sys.version_info[:2] < TARGET.runtime.python:
        pytest.skip("this Python cannot tell")
    path, message, hint = told("app.h", app="def h(e, c):\n    return (\n")
    assert path == "app.py"
    assert message == "Runtime.UserCodeSyntaxError: Syntax error in module 'app': '(' was never closed (line 2)"
    assert hint == "Correct it; python3.11 cannot import it."


def test_syntax_newer_than_the_python_that_runs_lamina(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 0))
    [found] = check("app.h", app="def h(e, c): $\n")
    assert (found.severity, found.path) == ("note", "app.py")
    assert found.message.startswith("whether 'h' is in module 'app' is not known: Python 3.8, which runs lamina: ")


@pytest.mark.parametrize(
    "content", [b"\x00", b"(" * 5000, b"-" * 50_000 + b"1", b"\xff\xfe", b"x = '\\d'\ndef h(e, c): 1"]
)
def test_no_content_breaks_it(content: bytes) -> None:
    found = check("app.h", app=content)
    assert [one.code for one in found] in ([], ["handler-missing"])


TWICE = "try:\n    from {0} import h\nexcept ImportError:\n    from {0} import h\n"


@pytest.mark.parametrize(
    "sources",
    [
        {f"m{number}": TWICE.format(f"m{number + 1}") for number in range(40)} | {"m40": "def h(e, c): pass"},
        {"m0": "if x:\n    h = y\n" * 20_000},
        {"m0": "h = a0\n" + "".join(f"if x:\n    a{n % 9} = a{n % 9 + 1}\n" for n in range(9_000))},
        {"m0": "if x:\n    pass\n" + "elif x:\n    pass\n" * 2_000},
        {"m0": "".join(f"def h{number}{'x' * 150}(e, c): pass\n" for number in range(5_000))},
        {f"m{number}": "" for number in range(3_000)},
    ],
    ids=["diamonds", "definitions", "aliases", "branches", "functions", "modules"],
)
def test_hostile_modules_cost_seconds_at_most(sources: dict[str, str]) -> None:
    started = time.process_time()
    assert len(check("m0.h", **sources)) <= 1
    assert len(check("mm.h", **sources)) <= 1
    assert time.process_time() - started < 10


def test_a_module_of_megabytes_is_not_parsed() -> None:
    [found] = check("app.h", app=b"#" * 1024**2 + b"\n")
    assert found.severity == "note"
    assert "it has 1,048,577 bytes, and lamina reads modules up to 1,048,576" in found.message


names = st.lists(st.sampled_from("abcdefg"), unique=True, max_size=5)


@given(
    found=names,
    positional=st.integers(0, 5),
    defaults=st.integers(0, 5),
    star=st.booleans(),
    keyword=st.booleans(),
)
def test_parameters_are_judged_as_python_does(
    *,
    found: list[str],
    positional: int,
    defaults: int,
    star: bool,
    keyword: bool,
) -> None:
    """The reference is the call itself."""
    parts = [f"{name}=0" if index >= len(found) - defaults else name for index, name in enumerate(found[: len(found)])]
    if positional and len(parts) >= positional:
        parts.insert(positional, "/")
    if star:
        parts.append("*more")
    if keyword:
        parts += (["*"] if not star else []) + ["needed"]
    source = f"def h({', '.join(parts)}): pass"
    tree = ast.parse(source)
    space: dict[str, object] = {}
    exec(source, space)  # noqa: S102 - the reference
    try:
        space["h"](1, 2)  # type: ignore[operator]
    except TypeError:
        works = False
    else:
        works = True
    [definition] = definitions(tree, "h")
    assert (refusal(definition.node, "h", tree) is None) == works
