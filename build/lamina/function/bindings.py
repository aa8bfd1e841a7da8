"""What stands behind a name of a module when it has run, told from its statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

#: With these a module may define names that no statement spells: its namespace, code that is made, ``sys.modules``.
_WRITERS = frozenset({"globals", "exec", "modules"})
#: These are the module's namespace where they are called with nothing.
_BARE_WRITERS = frozenset({"vars", "locals"})

#: A definition, an import, or the value that is assigned; ``None`` where that cannot be told.
Node = ast.stmt | ast.expr | None


class Definition(NamedTuple):
    """One statement that binds a name; ``certain`` tells that it always runs, since it stands under no condition."""

    node: Node
    line: int
    certain: bool


def definitions(tree: ast.Module, name: str) -> list[Definition]:
    """What may stand behind a name when the module has run: the last certain definition, and those after it."""
    found = [*_bindings(tree.body, name, certain=True)]
    last = max((at for at, one in enumerate(found) if one.certain), default=0)
    return found[last:]


def writes_names(tree: ast.Module, name: str) -> bool:
    """Whether the module may define ``name`` in ways that no statement at its top shows."""
    if any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body):
        return True  # PEP 562
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=used) | ast.Attribute(attr=used) if used in _WRITERS:
                return True
            case ast.Call(func=ast.Name(id=used), args=[]) if used in _BARE_WRITERS:
                return True
            case ast.Global(names=names) if name in names:
                return True
    return False


def _bindings(body: list[ast.stmt], name: str, *, certain: bool) -> Iterator[Definition]:
    """Everything in the statements of a module that binds ``name``, in order; functions and classes are not entered."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if node.name == name:
                    yield Definition(node, node.lineno, certain)
            case ast.Assign():
                yield from _assigned(node.targets, node.value, name, certain=certain)
            case ast.AnnAssign(value=ast.expr() as value):
                yield from _assigned([node.target], value, name, certain=certain)
            case ast.Import() | ast.ImportFrom():
                yield from _imported(node, name, certain=certain)
            case _:
                if _stores(_heads(node), name):
                    yield Definition(None, node.lineno, certain=False)
                sure = certain and isinstance(node, ast.With)
                for block in _blocks(node):
                    yield from _bindings(block, name, certain=sure)


def _assigned(targets: list[ast.expr], value: ast.expr, name: str, *, certain: bool) -> Iterator[Definition]:
    for target in targets:
        if isinstance(target, ast.Name) and target.id == name:
            yield Definition(value, target.lineno, certain)
        elif _stores(ast.walk(target), name):
            yield Definition(None, target.lineno, certain)


def _imported(node: ast.Import | ast.ImportFrom, name: str, *, certain: bool) -> Iterator[Definition]:
    plain = isinstance(node, ast.Import)
    for alias in node.names:
        bound = alias.asname or (alias.name.partition(".")[0] if plain else alias.name)
        if bound == name:
            yield Definition(node, node.lineno, certain)
        elif bound == "*":
            yield Definition(node, node.lineno, certain=False)


def _stores(nodes: Iterator[ast.AST], name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store) for node in nodes)


def _heads(node: ast.stmt) -> Iterator[ast.AST]:
    """What a compound statement holds beside its blocks: targets, conditions, context managers."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from ast.walk(child)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a compound statement, in order."""
    for field in ("body", "handlers", "cases", "orelse", "finalbody"):
        for part in getattr(node, field, ()):
            if isinstance(part, ast.ExceptHandler | ast.match_case):
                yield part.body
            elif isinstance(part, ast.stmt):
                yield [part]
