"""What only stands for unfinished code is told with the way that leads there; what is meant as it is passes."""

from __future__ import annotations

import time

import pytest

from lamina.findings import Finding
from lamina.function.code import check_function
from lamina.recipe.model import Function, Source

FUNCTION = Function(handler="handler.lambda_handler", source=(Source("function"),))


def _stubs(files: dict[str, str | bytes], function: Function = FUNCTION) -> list[Finding]:
    data = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    return [finding for finding in check_function(data, function) if finding.code == "stub-code"]


def _handler(body: str, head: str = "") -> dict[str, str]:
    return {"handler.py": f"{head}\ndef lambda_handler(event, context):\n    {body}\n"}


def test_way_from_the_handler_is_told() -> None:
    files = {
        "handler.py": "from worker import process\n\ndef lambda_handler(event, context):\n    return process(event)\n",
        "worker/__init__.py": "from . import storage\n\ndef process(event):\n    return storage.save(event['key'])\n",
        "worker/storage.py": "\ndef save(item):\n    print('saving', item)\n    return {'status': 'ok'}\n",
    }
    [finding] = _stubs(files)
    assert (finding.severity, finding.path) == ("error", "worker/storage.py")
    assert finding.message == (
        "handler.lambda_handler → worker.process → worker.storage.save (line 2): "
        "returns a constant success without touching its arguments"
    )
    assert finding.hint == (
        "Write what it stands for, or take it out of the handler's way; if it is meant as it is, "
        "accept the finding in the recipe with the reason."
    )


UNFINISHED = {
    "true": ("def save(x):\n    return True", "returns a constant success without touching its arguments"),
    "code": ("def go(x):\n    r = {'statusCode': 200}\n    return r", "returns a constant success without touching"),
    "batch": ("def go(x):\n    return {'batchItemFailures': []}", "returns a constant success without touching"),
    "sleep": (
        "import time\ndef go(x):\n    time.sleep(2)\n    return {'pages': 3}",
        "waits and returns a constant without touching its arguments",
    ),
    "error": ("def go(x):\n    raise NotImplementedError('later')", "raises NotImplementedError whenever it is called"),
    "after": (
        "def go(x):\n    y = 1\n    raise NotImplementedError",
        "raises NotImplementedError whenever it is called",
    ),
    "todo": ("def go(x):\n    # TODO: write it\n    pass", "has no body but a comment that it is still to be done"),
    "none": ("def go(x):\n    '''Read x.'''", "does nothing, and its result, always None, is used"),
    "random": (
        "import random\ndef predict(x):\n    return {'probability': random.random()}",
        "returns a random result without touching its arguments",
    ),
    "number": ("def score(x):\n    return 0.87", "returns a constant result without touching its arguments"),
    "zeros": ("def embed(text):\n    return [0.0] * 768", "returns a constant result without touching its arguments"),
    "async": ("async def save(x):\n    return True", "returns a constant success without touching its arguments"),
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_unfinished_bodies_are_errors(case: str) -> None:
    head, says = UNFINISHED[case]
    name = head.partition("def ")[2].partition("(")[0]
    [finding] = _stubs(_handler(f"return {name}(event)", head))
    assert finding.severity == "error"
    assert f"): {says}" in finding.message


WAYS = {
    "method": ("class A:\n    def save(self, x):\n        return True", "a = A()\n    return a.save(event)"),
    "self": (
        "class A:\n    def run(self, x):\n        return self.save(x)\n    def save(self, x):\n        return True",
        "return A().run(event)",
    ),
    "held": (
        (
            "class A:\n    def save(self, x):\n        return True\nclass B:\n    def __init__(self):\n"
            "        self.a = A()\n"
            "    def run(self, x):\n        return self.a.save(x)"
        ),
        "return B().run(event)",
    ),
    "annotated": (
        "class A:\n    def save(self, x):\n        return True\ndef run(a: A, x):\n    return a.save(x)",
        "return run(make(), event)",
    ),
    "dispatch": ("def save(x):\n    return True\nDO = {'save': save}", "return DO[event['do']](event)"),
    "alias": ("def _save(x):\n    return True\nsave = _save", "return save(event)"),
    "with": (
        "class A:\n    def save(self, x):\n        return True",
        "with A() as a:\n        return a.save(event)",
    ),
    "lambda": ("def save(x):\n    return True", "return (lambda e: save(e))(event)"),
}


@pytest.mark.parametrize("case", WAYS)
def test_ways_that_are_followed(case: str) -> None:
    head, body = WAYS[case]
    [finding] = _stubs(_handler(body, head))
    assert "returns a constant success without touching its arguments" in finding.message


FINE = {
    "health": ("def health(event):\n    return {'statusCode': 200}", "return health(event)"),
    "route": (
        "def answer(event):\n    return {'statusCode': 200}\nROUTES = {'/health': answer}",
        "return ROUTES[event['path']](event)",
    ),
    "guarded": (
        "def answer(event):\n    return {'statusCode': 200}",
        "if event.get('path') == '/ping':\n        return answer(event)\n    return event['x']",
    ),
    "branch": ("", "if event.get('warm'):\n        return {'statusCode': 200}\n    return event['x']"),
    "version": ("def version():\n    return '1.0'", "return version()"),
    "headers": ("def headers():\n    return {'status': 'ok'}", "return headers()"),
    "predicate": ("def is_known(x):\n    return True", "return is_known(event)"),
    "callback": ("def on_progress(done):\n    pass", "import lib\n    return lib.run(event, on_progress)"),
    "refusal": ("def not_found(event):\n    return {'statusCode': 404}", "return not_found(event)"),
    "guard": (
        "def read(x):\n    if x == 1:\n        return x\n    raise NotImplementedError(x)",
        "return read(event)",
    ),
    "abstract": (
        "import abc\nclass A(abc.ABC):\n    def save(self, x):\n        raise NotImplementedError\n",
        "import lib\n    a: A = lib.make()\n    return A.save(a, event)",
    ),
    "overridden": (
        (
            "class A:\n    def run(self, x):\n        return self.save(x)\n    def save(self, x):\n"
            "        raise NotImplementedError\nclass B(A):\n    def save(self, x):\n        return x + 1"
        ),
        "return B().run(event)",
    ),
    "expected": (
        "def read(x):\n    raise NotImplementedError",
        "try:\n        return read(event)\n    except NotImplementedError:\n        return None",
    ),
    "fallback": (
        "try:\n    from lib import save\nexcept ImportError:\n    def save(x):\n        return True",
        "return save(event)",
    ),
    "writer": ("import logging\nlogger = logging.getLogger()\ndef write(m):\n    logger.info(m)", "write(event)"),
    "unreached": ("def save(x):\n    return True", "return event['x']"),
    "main": ("def save(x):\n    return True\nif __name__ == '__main__':\n    save(1)", "return event['x']"),
    "typing": ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import moto", "return event['x']"),
    "overload": (
        (
            "from typing import overload\n@overload\ndef f(x: int) -> int: ...\n@overload\ndef f(x: str) -> str: ...\n"
            "def f(x):\n    return x"
        ),
        "return f(event)",
    ),
}


@pytest.mark.parametrize("case", FINE)
def test_what_is_meant_as_it_is_passes(case: str) -> None:
    head, body = FINE[case]
    assert _stubs(_handler(body, head)) == []


def test_handler_that_answers_the_same_to_every_event() -> None:
    [finding] = _stubs(_handler("return {'statusCode': 200, 'body': json.dumps('Hello from Lambda!')}", "import json"))
    assert finding.message == (
        "handler.lambda_handler (line 2): returns a constant success without touching its arguments"
    )
    [finding] = _stubs(_handler("pass"))
    assert finding.message == (
        "handler.lambda_handler (line 2): is the handler and does nothing: every event is answered with null"
    )


def test_mock_libraries_in_modules_that_the_handler_imports() -> None:
    files = {
        "handler.py": "import worker.s3\n\ndef lambda_handler(event, context):\n    return worker.s3.get(event)\n",
        "worker/__init__.py": "",
        "worker/s3.py": "from unittest import mock\n\ndef get(x):\n    import moto\n    return mock, moto, x\n",
        "tools/seed.py": "import pytest\n",
    }
    mocks, moto = _stubs(files)
    assert mocks.message == (
        "handler (imported) → worker.s3 (line 1): imports unittest.mock, "
        "which stands in for other objects in tests (library reference, unittest.mock)"
    )
    assert moto.message == (
        "handler.lambda_handler → worker.s3.get (line 4): imports moto, "
        "which stands in for AWS services (docs.getmoto.org)"
    )
    assert (mocks.path, moto.hint) == ("worker/s3.py", "Use the real thing here and leave moto to the tests.")


def test_a_module_of_the_project_is_no_mock_library_for_its_name() -> None:
    files = {
        **_handler("return responses.make(event)", "import responses"),
        "responses.py": "def make(x):\n  return [x]",
    }
    assert _stubs(files) == []


def test_a_name_that_pretends_over_a_body_that_works_is_a_note() -> None:
    [finding] = _stubs(_handler("return predict_mock(event)", "def predict_mock(x):\n    return x['a'] * 2"))
    assert (finding.severity, finding.message) == (
        "note",
        (
            "handler.lambda_handler → handler.predict_mock (line 1): "
            "the name says that it stands for something else, though its body does real work"
        ),
    )


def test_routes_that_a_decorator_registers_are_reached() -> None:
    head = (
        "from aws_lambda_powertools.event_handler import APIGatewayRestResolver\napp = APIGatewayRestResolver()\n"
        "@app.post('/orders')\ndef create(order):\n    return {'status': 'created'}\n"
        "@app.get('/health')\ndef state(order):\n    return {'status': 'ok'}\n"
    )
    [finding] = _stubs(_handler("return app.resolve(event, context)", head))
    assert finding.message == (
        "handler (registered) → handler.create (line 4): returns a constant success without touching its arguments"
    )


def test_handlers_are_named_in_both_ways() -> None:
    files: dict[str, str | bytes] = {"api/orders.py": "def handle(event, context):\n    return True\n"}
    for handler in ("api.orders.handle", "api/orders.handle"):
        assert len(_stubs(files, Function(handler=handler, source=(Source("x"),)))) == 1
    assert _stubs(files, Function(handler="api.other.handle", source=(Source("x"),))) == []


def test_what_the_host_cannot_parse_is_a_note() -> None:
    [finding] = _stubs({"handler.py": "def lambda_handler(event, context)\n    return True\n"})
    assert (finding.severity, finding.path) == ("note", "handler.py")
    assert finding.message.startswith("not looked at for unfinished code: the Python that runs lamina cannot read it (")


HOSTILE = {
    "nul": b"\0",
    "encoding": b"# coding: nope\n",
    "brackets": b"(" * 100_000,
    "minus": b"x = " + b"-" * 400_000 + b"1",
    "attributes": b"def lambda_handler(event, context):\n    return event" + b".a" * 5_000,
    "itself": b"from handler import *\nfrom handler import lambda_handler\nlambda_handler = lambda_handler\n",
    "inherits": b"class A(A): pass\nclass B(C): pass\nclass C(B): x = 1\ndef lambda_handler(e, c): return B().y\n",
    "many": b"def lambda_handler(e, c):\n" + b"    f(e, H)\n" * 20_000 + b"H = {" + b"'a': g," * 20_000 + b"}\n",
    "sites": b"def f(x):\n  return True\ndef lambda_handler(e, c):\n" + b"    if e == 'a': f(e)\n" * 10_000,
    "large": b"#" * 3_000_000,
    "elif": b"def lambda_handler(e, c):\n    if e: pass\n" + b"    elif e: pass\n" * 2_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_sources_neither_crash_nor_hang(case: str) -> None:
    start = time.process_time()
    list(check_function({"handler.py": HOSTILE[case]}, FUNCTION))
    assert time.process_time() - start < 10
