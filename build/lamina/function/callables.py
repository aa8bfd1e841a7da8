"""Whether what stands behind a name can be called as ``handler(event, context)``, as far as its definition tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from lamina.function.bindings import Node, definitions

#: Lambda calls ``handler(event, context)``.
_GIVEN = 2
#: So many other names are followed, and so many definitions of each.
_MOST_STEPS, _MOST_CANDIDATES = 3, 4
_FUNCTION_INSTEAD = "Define def {name}(event, context) instead."
_FUNCTION_OF_IT = "Name a function of it in function.handler."


class Refusal(NamedTuple):
    """Why something cannot be called as Lambda does, and what to write instead."""

    what: str
    way: str


def refusal(node: Node, name: str, tree: ast.Module, steps: int = 0) -> Refusal | None:
    """Why ``name(event, context)`` fails, if it can be told that it does; ``node`` is what stands behind the name."""
    wrong = None
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            wrong = None if node.decorator_list else _of_function(node, name)
        case ast.Lambda():
            wrong = _of_parameters(node.args, name, bound=0)
        case ast.ClassDef():
            wrong = _of_class(node, name)
        case ast.Import():
            wrong = Refusal(f"{name} is a module, which Lambda cannot call", _FUNCTION_OF_IT)
        case ast.Call(func=ast.Name(id=called)):
            wrong = _of_instance(called, tree)
        case ast.Name(id=other) if other != name and steps < _MOST_STEPS:
            behind = definitions(tree, other)
            few = behind if len(behind) <= _MOST_CANDIDATES else []
            known = [refusal(one.node, other, tree, steps + 1) for one in few]
            wrong = known[0] if known and all(known) else None
        case ast.Constant() | ast.Dict() | ast.List() | ast.Set() | ast.Tuple() | ast.JoinedStr():
            wrong = Refusal(f"TypeError: {_kind(node)!r} object is not callable", _FUNCTION_INSTEAD.format(name=name))
    return wrong


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, bound: int = 0) -> Refusal | None:
    if isinstance(node, ast.AsyncFunctionDef):
        return Refusal(
            "is an async def: Lambda's Python calls it, gets a coroutine that nobody awaits, and fails with "
            "Runtime.MarshalError: Unable to marshal response: Object of type coroutine is not JSON serializable",
            f"Define def {name}(event, context) that runs it: return asyncio.run(...).",
        )
    if any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in _own_nodes(node)):
        return Refusal(
            "is a generator: Lambda's Python calls it and fails with Runtime.MarshalError: Unable to marshal response: "
            "Object of type generator is not JSON serializable",
            "Return the whole answer instead of yielding it; Lambda's Python does not stream.",
        )
    return _of_parameters(node.args, f"{name}()", bound=bound)


def _of_parameters(arguments: ast.arguments, called: str, *, bound: int) -> Refusal | None:
    """Hold parameters against two positional arguments; the first ``bound`` are given already (``self``)."""
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = [one.arg for one in positional[: len(positional) - len(arguments.defaults)]][bound + _GIVEN :]
    defaults = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    keywords = [one.arg for one, default in defaults if default is None]
    takes = len(positional) - bound
    what = ""
    if needed:
        what = f"missing {_counted(len(needed), 'required positional argument')}: {_quoted(needed)}"
    elif takes < _GIVEN and arguments.vararg is None:
        what = f"takes {_counted(max(takes, 0), 'positional argument')} but 2 were given"
    elif keywords:
        what = f"missing {_counted(len(keywords), 'required keyword-only argument')}: {_quoted(keywords)}"
    way = "Define it with the two positional arguments that Lambda gives: (event, context)."
    return Refusal(f"TypeError: {called} {what}", way) if what else None


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _quoted(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _of_class(node: ast.ClassDef, name: str) -> Refusal | None:
    if _is_open(node):
        return None
    way = f"Define a function (event, context) that uses {name}, and name that in function.handler."
    if _method(node, "__call__"):
        way = f"Make an instance in the module, handler = {name}(), and name that in function.handler."
    return Refusal(
        "is a class: Lambda's Python makes an instance of it, and that is no answer which can be sent as JSON "
        "(Runtime.MarshalError)",
        way,
    )


def _of_instance(called: str, tree: ast.Module) -> Refusal | None:
    """Of ``handler = Handler()``, where the class is the module's own and tells all."""
    classes = [one.node for one in definitions(tree, called)]
    node = classes[0] if len(classes) == 1 else None
    if not isinstance(node, ast.ClassDef) or _is_open(node):
        return None
    call = _method(node, "__call__")
    if call is None:
        # __call__ may be among what is assigned.
        if any(isinstance(statement, ast.Assign | ast.AnnAssign) for statement in node.body):
            return None
        way = f"Define __call__(self, event, context) in class {called}."
        return Refusal(f"TypeError: {called!r} object is not callable", way)
    return None if call.decorator_list else _of_function(call, f"{called}.__call__", bound=1)


def _is_open(node: ast.ClassDef) -> bool:
    """Whether what a class does is decided elsewhere: by a base, a metaclass, a decorator."""
    return bool(node.decorator_list or node.bases or node.keywords or _method(node, "__new__"))


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return next((each for each in reversed(methods) if each.name == name), None)


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """What a function's own body holds, without functions and classes inside it."""
    queue: list[ast.AST] = [*function.body]
    while queue:
        node = queue.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            queue += ast.iter_child_nodes(node)


def _kind(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return type(node.value).__name__
    return "str" if isinstance(node, ast.JoinedStr) else type(node).__name__.lower()
