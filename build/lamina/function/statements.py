"""The statements of one level of a module, a class or a function, as far as they run in one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TypeGuard

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def level(nodes: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of one level, with those inside ``if``, ``try``, ``with`` and loops, definitions not entered."""
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        if is_aside(node):
            waiting += node.orelse[::-1]
        elif isinstance(node, ast.If | ast.Try | ast.TryStar | ast.With | ast.For | ast.While):
            inner = [*node.body]
            if isinstance(node, ast.Try | ast.TryStar):
                inner += [one for handler in node.handlers for one in handler.body]
                inner += [*node.orelse, *node.finalbody]
            elif not isinstance(node, ast.With):
                inner += node.orelse
            waiting += inner[::-1]


def is_aside(node: ast.AST) -> TypeGuard[ast.If]:
    """Whether this is ``if TYPE_CHECKING:`` or ``if __name__ == "__main__":``, whose body no function runs."""
    if not isinstance(node, ast.If) or (isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)):
        return False
    text = {one.id for one in ast.walk(node.test) if isinstance(one, ast.Name)}
    text |= {one.attr for one in ast.walk(node.test) if isinstance(one, ast.Attribute)}
    return bool(text & {"TYPE_CHECKING", "__name__"})


def repeated(nodes: Iterable[ast.stmt]) -> frozenset[str]:
    """The names that statements of one level define more than once."""
    seen: set[str] = set()
    twice: set[str] = set()
    for node in level(nodes):
        names = [node.name] if isinstance(node, Definition | ast.ClassDef) else []
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        twice |= seen & set(names)
        seen |= set(names)
    return frozenset(twice)
