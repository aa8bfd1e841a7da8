"""What a function's body does, told from its statements alone: nothing, a constant, an error that says unfinished.

Only bodies that run straight from top to bottom are told of; one with a branch, a loop or a call of anything that could
matter does something, whatever it answers.
"""

from __future__ import annotations

import ast
from typing import Literal, NamedTuple

from lamina.function.facts import facts
from lamina.function.scope import Body
from lamina.function.sources import marked_lines

_DEEPEST = 20


class Shape(NamedTuple):
    """What a body comes to.

    ``takes`` tells that it has parameters, ``touched`` that it uses one. ``success`` is a constant answer that claims
    it. ``waits`` sleeps first. ``marked`` has a comment that says it is still to be done, or an error that does.
    """

    kind: Literal["raises", "empty", "constant", "random"]
    takes: bool = False
    success: bool = False
    waits: bool = False
    marked: bool = False
    number: bool = False


def shape_of(body: Body) -> Shape | None:
    """The shape of a body that does nothing of its own; ``None`` of one that does something."""
    statements = _without_docstring(body.node.body)
    takes = bool(_parameters(body))
    if _raises_unfinished(statements):
        return Shape("raises", takes)
    if all(_is_nothing(one) for one in statements):
        return Shape("empty", takes, marked=_is_marked(body))
    return _straight(body, statements, takes=takes)


def _straight(body: Body, statements: list[ast.stmt], *, takes: bool) -> Shape | None:
    idle = facts().idle
    constants: dict[str, ast.expr] = {}
    waits = False
    for one in statements:
        if _is_nothing(one):
            continue
        if isinstance(one, ast.Expr) and (name := _called(one.value)) and _is_idle(one.value, name):
            waits = waits or name in idle.waits
        elif isinstance(one, ast.Delete) and all(isinstance(target, ast.Name) for target in one.targets):
            continue
        elif isinstance(one, ast.Assign) and len(one.targets) == 1 and isinstance(one.targets[0], ast.Name):
            if one.targets[0].id != "_" and not _is_constant(one.value, constants):
                return None
            constants[one.targets[0].id] = one.value
        elif isinstance(one, ast.Return):
            return _answer(body, one.value, constants, takes=takes, waits=waits)
        else:
            return None
    return Shape("empty", takes, waits=waits, marked=_is_marked(body))


def _answer(
    body: Body, value: ast.expr | None, constants: dict[str, ast.expr], *, takes: bool, waits: bool
) -> Shape | None:
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return Shape("empty", takes, waits=waits, marked=_is_marked(body))
    if not _is_constant(value, constants):
        return None
    random = any(_is_chance(one) for one in (value, *constants.values()))
    success = _succeeds(value, constants)
    number = _has_number(value)
    kind: Literal["random", "constant"] = "random" if random else "constant"
    return Shape(kind, takes, success=success, waits=waits, marked=_is_marked(body), number=number)


def _without_docstring(statements: list[ast.stmt]) -> list[ast.stmt]:
    return statements[1:] if _is_text(statements[0]) else statements


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _parameters(body: Body) -> tuple[str, ...]:
    arguments = body.node.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    names += [one.arg for one in (arguments.vararg, arguments.kwarg) if one is not None]
    decorators = {one.id for one in body.node.decorator_list if isinstance(one, ast.Name)}
    return tuple(names[1:] if body.owner and "staticmethod" not in decorators else names)


def _raises_unfinished(statements: list[ast.stmt]) -> bool:
    """Whether every way through ends in ``raise NotImplementedError``: no way to return, branch or catch before it."""
    for one in statements:
        if isinstance(one, ast.Raise) and one.exc is not None:
            raised = one.exc.func if isinstance(one.exc, ast.Call) else one.exc
            return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
        if not isinstance(one, ast.Pass | ast.Expr | ast.Assign | ast.AnnAssign | ast.Delete):
            return False
    return False


def _is_marked(body: Body) -> bool:
    lines = marked_lines(body.module.data)
    last = body.node.end_lineno or body.node.lineno
    return any(body.node.lineno <= line <= last for line in lines)


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of an expression that is one, else nothing."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < _DEEPEST:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *parts[::-1]]) if isinstance(node, ast.Name) else ""


def _called(node: ast.expr) -> str:
    if isinstance(node, ast.Await):
        node = node.value
    return dotted(node.func) if isinstance(node, ast.Call) else ""


def _is_idle(node: ast.expr, name: str) -> bool:
    """Whether a call only waits or tells what it claims to do; one that writes out what it is given does something."""
    idle = facts().idle
    call = node.value if isinstance(node, ast.Await) else node
    if not isinstance(call, ast.Call) or any(isinstance(one, ast.Call) for part in call.args for one in ast.walk(part)):
        return False
    if name == "print" or name.rpartition(".")[0].rpartition(".")[2] in idle.loggers:
        return bool(call.args) and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    return name in idle.calls


def _is_constant(  # noqa: PLR0911 - one way out for each form of expression
    node: ast.expr, constants: dict[str, ast.expr], depth: int = 0
) -> bool:
    if depth > _DEEPEST:
        return False
    deeper = depth + 1
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Name):
        return node.id in constants
    if isinstance(node, ast.Dict):
        parts = [*(key for key in node.keys if key is not None), *node.values]
        return None not in node.keys and all(_is_constant(one, constants, deeper) for one in parts)
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return all(_is_constant(one, constants, deeper) for one in node.elts)
    if isinstance(node, ast.UnaryOp):
        return _is_constant(node.operand, constants, deeper)
    if isinstance(node, ast.BinOp):
        return _is_constant(node.left, constants, deeper) and _is_constant(node.right, constants, deeper)
    if isinstance(node, ast.Call):
        arguments = (*node.args, *(one.value for one in node.keywords))
        known = _is_chance(node) or _called(node) in facts().idle.calls or dotted(node.func) == "round"
        return known and all(_is_constant(one, constants, deeper) for one in arguments)
    return False


def _is_chance(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Call) and dotted(one.func) in facts().idle.chances for one in ast.walk(node))


def _has_number(node: ast.expr) -> bool:
    return any(
        isinstance(one, ast.Constant) and isinstance(one.value, int | float) and not isinstance(one.value, bool)
        for one in ast.walk(node)
    )


def _succeeds(node: ast.expr, constants: dict[str, ast.expr], depth: int = 0) -> bool:
    """Whether an answer claims success: ``True``, ``"ok"``, ``{"status": "ok"}``, ``{"statusCode": 200}``."""
    if depth > _DEEPEST:
        return False
    if isinstance(node, ast.Name):
        held = constants.get(node.id)
        return held is not None and _succeeds(held, constants, depth + 1)
    if isinstance(node, ast.Call):
        return len(node.args) == 1 and _succeeds(node.args[0], constants, depth + 1)
    if isinstance(node, ast.Tuple) and node.elts:
        return _succeeds(node.elts[0], constants, depth + 1)
    if isinstance(node, ast.Dict):
        keys = facts().success.keys
        pairs = zip(node.keys, node.values, strict=True)
        return any(isinstance(key, ast.Constant) and key.value in keys and _is_good(value) for key, value in pairs)
    return isinstance(node, ast.Constant) and (node.value is True or _is_good_text(node.value))


def _is_good(node: ast.expr) -> bool:
    if isinstance(node, ast.List):
        return not node.elts  # {"batchItemFailures": []}
    if not isinstance(node, ast.Constant):
        return False
    value = node.value
    good_code = isinstance(value, int) and not isinstance(value, bool) and 200 <= value < 300  # noqa: PLR2004 - HTTP's
    return value is True or good_code or _is_good_text(value)


def _is_good_text(value: object) -> bool:
    return isinstance(value, str) and value.lower().strip(" .!") in facts().success.values
