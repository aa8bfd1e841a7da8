"""Which functions of the project the handler reaches, by which way, and how each is called there.

Followed are calls and mentions of functions that :mod:`lamina.function.scope` can tell: a function that is only passed
on, or that stands in a dict to be chosen from, counts as reached too, and so does one that a decorator registers with
an object of the module (``@app.get("/x")``). What runs when modules are imported is followed as well.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lamina.function.scope import Body, Kind, Meaning, Names, Place, Thing, Value
from lamina.function.sources import Module
from lamina.function.statements import Definition, is_aside

_MOST = 20_000  # functions; no project that fits Lambda has as many
_MOST_SITES = 200
_CREATION = ("__init__", "__post_init__", "__new__")


class Site(NamedTuple):
    """One place that leads to a function.

    ``called`` is false where it is only mentioned, ``used`` tells that its result is. ``words`` are the strings that
    decide whether the place is come to: of the ``if`` around it, of the key it stands under. ``caught`` tells that a
    ``NotImplementedError`` is expected.
    """

    called: bool = True
    used: bool = True
    words: frozenset[str] = frozenset()
    caught: bool = False


class Reached(NamedTuple):
    """A function that is reached: the way to it, itself last, and all places that lead there."""

    body: Body
    way: tuple[str, ...]
    sites: list[Site]


class Calls(NamedTuple):
    """What the handler reaches: functions in the order they are found, and modules with the way to them."""

    bodies: tuple[Reached, ...]
    modules: dict[str, tuple[str, ...]]


def follow(names: Names, handler: str) -> Calls:
    """Follow the calls from a handler (``module.function``, also ``folder/module.function``)."""
    return _Walk(names).run(handler)


class _Walk:
    def __init__(self, names: Names) -> None:
        self._names = names
        self._found: dict[tuple[str, str, int], Reached] = {}
        self._modules: dict[str, tuple[str, ...]] = {}
        self._opened: set[int] = set()
        self._waiting: deque[Reached | tuple[Module, tuple[str, ...]]] = deque()

    def run(self, handler: str) -> Calls:
        name, _, function = handler.replace("/", ".").rpartition(".")
        module = self._names.modules.get(name)
        if module is not None:
            self._into(self._names.meaning(ast.Name(function), module, {}), Site(), ())
            self._import(name, ())
        while self._waiting and len(self._found) < _MOST:
            one = self._waiting.popleft()
            if isinstance(one, Reached):
                scope = self._names.locals(one.body)
                self._mentions(one.body.node.body, one.body.module, scope, one.way, every=True)
            else:
                self._top(*one)
        return Calls(tuple(self._found.values()), self._modules)

    def _import(self, name: str, way: tuple[str, ...]) -> None:
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            above = ".".join(parts[:end])
            if above in self._names.modules and above not in self._modules:
                self._modules[above] = (*way, above)
                self._waiting.append((self._names.modules[above], (*way, above)))

    def _top(self, module: Module, way: tuple[str, ...]) -> None:
        """What importing a module runs, and what its decorators register."""
        steps = (*way[:-1], f"{module.name} (imported)")
        self._mentions(module.tree.body, module, {}, steps, every=False)
        for node in module.tree.body:
            if isinstance(node, Definition):
                for decorator in node.decorator_list:
                    found = self._names.top(module.name, node.name)
                    if isinstance(found, Body) and self._registers(decorator, module):
                        words = frozenset(_strings(decorator))
                        self._into(found, Site(words=words), (*way[:-1], f"{module.name} (registered)"))

    def _registers(self, node: ast.expr, module: Module) -> bool:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        base = node.func.value
        return isinstance(base, ast.Name) and isinstance(self._names.top(module.name, base.id), Value)

    def _mentions(
        self, nodes: Iterable[ast.stmt], module: Module, scope: dict[str, Meaning], way: tuple[str, ...], *, every: bool
    ) -> None:
        for node, site in mentions(nodes, inner=every):
            if isinstance(node, ast.Import | ast.ImportFrom):
                plain = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for full in plain or [full for _, full in self._names.imported(node, module)]:
                    self._import(full, way)
            elif every or site.called:
                self._into(self._names.meaning(node, module, scope), site, way)

    def _into(self, meaning: Meaning, site: Site, way: tuple[str, ...], depth: int = 0) -> None:
        if isinstance(meaning, Place):
            self._import(meaning.name, way)
        elif isinstance(meaning, Kind | Thing):
            kind = meaning if isinstance(meaning, Kind) else meaning.kind
            self._import(kind.module.name, way)
            methods = (self._names.attribute(kind, one) for one in _CREATION if isinstance(meaning, Kind))
            for method in methods:
                if isinstance(method, Body):
                    self._add(method, site, way)
        elif isinstance(meaning, Body):
            self._import(meaning.module.name, way)
            self._add(meaning, site, way)
            for method in self._names.overriding(meaning):
                self._add(method, site, way)
        elif isinstance(meaning, Value) and depth == 0 and id(meaning.node) not in self._opened:
            self._opened.add(id(meaning.node))
            # HANDLERS = {"a": do_a}; handler = wrap(inner): what stands there is reached through the name.
            holder = [ast.Expr(meaning.node)]
            for node, inner in mentions(holder, inner=True):
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    found = self._names.meaning(node, meaning.module, {})
                    joined = inner._replace(words=inner.words | site.words, used=True, caught=site.caught)
                    self._into(found, joined, way, depth + 1)

    def _add(self, body: Body, site: Site, way: tuple[str, ...]) -> None:
        known = self._found.get(body.key)
        if known is None:
            known = self._found[body.key] = Reached(body, (*way, body.shown), [])
            self._waiting.append(known)
        if len(known.sites) < _MOST_SITES and site not in known.sites:
            known.sites.append(site)


Mentioned = ast.Name | ast.Attribute | ast.Import | ast.ImportFrom


def mentions(nodes: Iterable[ast.stmt], *, inner: bool) -> Iterator[tuple[Mentioned, Site]]:
    """Each name, dotted name and import in statements, with how it stands there.

    ``inner`` enters definitions inside functions, which belong to the function that holds them.
    """
    waiting: list[tuple[ast.AST, Site]] = [(node, Site(called=False, used=False)) for node in nodes]
    waiting.reverse()
    while waiting:
        node, site = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, site
        elif isinstance(node, ast.Name | ast.Attribute):
            if isinstance(node.ctx, ast.Load):
                yield node, site
            if isinstance(node, ast.Attribute):
                waiting.append((node.value, site._replace(called=False, used=True)))
        elif is_aside(node):
            waiting += [(one, site) for one in node.orelse[::-1]]
        elif inner or not isinstance(node, Definition | ast.Lambda):
            waiting += list(_inside(node, site))[::-1]


def _inside(node: ast.AST, site: Site) -> Iterator[tuple[ast.AST, Site]]:  # noqa: C901 - a branch for each statement
    plain = site._replace(called=False, used=True)
    if isinstance(node, ast.Expr):
        yield node.value, site._replace(called=False, used=False)
    elif isinstance(node, ast.Await):
        yield node.value, site
    elif isinstance(node, ast.Call):
        yield node.func, site._replace(called=True)
        yield from ((one, plain) for one in (*node.args, *(keyword.value for keyword in node.keywords)))
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            words = site.words | frozenset(_strings(key) if key is not None else ())
            # A function in a dict is there to be chosen and called.
            yield value, Site(called=isinstance(value, ast.Name | ast.Attribute), words=words, caught=site.caught)
    elif isinstance(node, ast.If | ast.IfExp | ast.match_case):
        test = node.pattern if isinstance(node, ast.match_case) else node.test
        if not isinstance(node, ast.match_case):
            yield test, plain
        inside = site._replace(words=site.words | frozenset(_strings(test)))
        below = node.body if isinstance(node.body, list) else [node.body]
        others = [] if isinstance(node, ast.match_case) else node.orelse
        yield from ((one, inside) for one in below)
        yield from ((one, site) for one in (others if isinstance(others, list) else [others]))
    elif isinstance(node, ast.Try | ast.TryStar):
        expected = any(one.type is not None and _expects(one.type) for one in node.handlers)
        yield from ((one, site._replace(caught=site.caught or expected)) for one in node.body)
        yield from ((one, site) for one in (*node.handlers, *node.orelse, *node.finalbody))
    elif isinstance(node, Definition):
        yield from ((one, site) for one in (*node.decorator_list, *node.args.defaults, *node.body))
    elif isinstance(node, ast.AnnAssign):
        yield from ((one, plain) for one in (node.value,) if one is not None)
    elif isinstance(node, ast.stmt | ast.excepthandler):
        yield from ((one, plain if isinstance(one, ast.expr) else site) for one in ast.iter_child_nodes(node))
    else:
        yield from ((one, plain) for one in ast.iter_child_nodes(node))


def _strings(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value[:200].lower()


def _expects(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "NotImplementedError" for one in ast.walk(node))
