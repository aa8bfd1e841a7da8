"""What names mean in a function's own modules: functions, methods, classes, and objects of those classes.

Only what the code plainly says is resolved: imports, definitions, one assignment of a name, annotations, ``self``.
Everything else is unknown, and nothing is concluded from it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lamina.function.sources import Module
from lamina.function.statements import Definition, level, repeated

_DEEPEST = 8


class Body(NamedTuple):
    """A function or method of the project. ``owner`` is the class of a method; ``alone`` that no other has its name."""

    module: Module
    name: str
    node: Definition
    owner: str
    alone: bool

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it distinct."""
        return (self.module.name, self.name, self.node.lineno)

    @property
    def shown(self) -> str:
        """How messages name it."""
        return f"{self.module.name}.{self.name}"


class Kind(NamedTuple):
    """A class of the project."""

    module: Module
    name: str
    node: ast.ClassDef
    methods: Mapping[str, Body]


class Place(NamedTuple):
    """A module, or a package that holds modules, by its dotted name."""

    name: str


class Thing(NamedTuple):
    """An object of a class of the project."""

    kind: Kind


class Value(NamedTuple):
    """Something that a name is assigned once, and where its own names are resolved."""

    module: Module
    node: ast.expr


class Foreign(NamedTuple):
    """Something that a library or the standard library brings, by its full dotted name."""

    name: str


Meaning = Body | Kind | Place | Thing | Value | Foreign | None
Scope = Mapping[str, Meaning]


class Names:
    """The names of all modules together."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        """Look at the top level of each module, and at the classes there."""
        self.modules = modules
        self._packages = {name[:at] for name in modules for at, sign in enumerate(name) if sign == "."}
        self._stars: dict[str, list[str]] = {}
        self._globals = {name: self._top(module) for name, module in modules.items()}
        held = (one for names in self._globals.values() for one in names.values())
        self._kinds = [one for one in held if isinstance(one, Kind)]
        self._below: dict[int, list[Kind]] | None = None
        self._attributes: dict[int, dict[str, Meaning]] = {}

    def is_own(self, name: str) -> bool:
        """Whether a dotted name is a module or a package of the project."""
        return name in self.modules or name in self._packages

    def top(self, module: str, name: str, depth: int = 0) -> Meaning:
        """What a name at the top level of a module means."""
        found = self._globals.get(module, {}).get(name)
        if isinstance(found, Foreign) and depth < _DEEPEST:
            return self._own(found.name, depth + 1)
        if found is None and self.is_own(f"{module}.{name}"):
            return Place(f"{module}.{name}")
        if found is None and depth < _DEEPEST:
            for star in self._stars.get(module, ()):
                found = found or self.top(star, name, depth + 1)
        return found

    def meaning(  # noqa: PLR0911 - one way out for each form of expression
        self, node: ast.expr, module: Module, scope: Scope, depth: int = 0
    ) -> Meaning:
        """What an expression means, as far as that is plain; ``scope`` are the local names."""
        if depth > _DEEPEST:
            return None
        if isinstance(node, ast.Name):
            near = node.id in scope
            found = scope[node.id] if near else self.top(module.name, node.id)
            if isinstance(found, Value):
                return self.meaning(found.node, found.module, scope if near else {}, depth + 1) or found
            return self._own(found.name, depth + 1) if isinstance(found, Foreign) else found
        if isinstance(node, ast.Attribute):
            return self.attribute(self.meaning(node.value, module, scope, depth + 1), node.attr, depth + 1)
        if isinstance(node, ast.Await):
            return self.meaning(node.value, module, scope, depth + 1)
        if isinstance(node, ast.Call):
            called = self.meaning(node.func, module, scope, depth + 1)
            if isinstance(called, Kind):
                return Thing(called)
            if isinstance(called, Body) and called.node.returns is not None:
                return self.annotated(called.node.returns, called.module, {})
        return None

    def annotated(self, node: ast.expr, module: Module, scope: Scope) -> Meaning:
        """The object that an annotation promises."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            node = ast.Name(node.value)
        found = self.meaning(node, module, scope)
        return Thing(found) if isinstance(found, Kind) else None

    def attribute(self, of: Meaning, name: str, depth: int = 0) -> Meaning:
        """What ``of.name`` means."""
        if depth > _DEEPEST:
            return None
        if isinstance(of, Place):
            return self.top(of.name, name, depth + 1)
        if isinstance(of, Foreign):
            return Foreign(f"{of.name}.{name}")
        if isinstance(of, Kind | Thing):
            kind = of if isinstance(of, Kind) else of.kind
            for one in self.lineage(kind):
                if name in one.methods:
                    return one.methods[name]
            for one in self.lineage(kind):
                if (held := self._held(one).get(name)) is not None:
                    return held
        return None

    def lineage(self, kind: Kind) -> tuple[Kind, ...]:
        """A class and those of the project that it inherits from, nearest first."""
        seen: dict[int, Kind] = {}
        waiting = [kind]
        while waiting and len(seen) < 50:  # noqa: PLR2004 - hostile code may inherit without end
            one = waiting.pop(0)
            if id(one.node) in seen:
                continue
            seen[id(one.node)] = one
            bases = (self.meaning(base, one.module, {}) for base in one.node.bases)
            waiting += [base for base in bases if isinstance(base, Kind)]
        return tuple(seen.values())

    def overriding(self, body: Body) -> tuple[Body, ...]:
        """The methods of subclasses that stand in for a method."""
        if not body.owner:
            return ()
        if self._below is None:
            self._below = {}
            for kind in self._kinds:
                for above in self.lineage(kind)[1:]:
                    self._below.setdefault(id(above.node), []).append(kind)
        owner = self.owner(body)
        below = self._below.get(id(owner.node), []) if owner is not None else []
        method = body.node.name
        return tuple(kind.methods[method] for kind in below if method in kind.methods)

    def owner(self, body: Body) -> Kind | None:
        """The class of a method."""
        found = self._globals[body.module.name].get(body.owner) if body.owner else None
        return found if isinstance(found, Kind) else None

    def locals(self, body: Body) -> dict[str, Meaning]:
        """The local names of a function: parameters, imports, and what is assigned."""
        node, module = body.node, body.module
        found: dict[str, Meaning] = {}
        arguments = node.args
        first = True
        static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            owner = self.owner(body) if first and not static else None
            first = False
            if owner is not None:
                found[argument.arg] = Thing(owner)
            else:
                promised = argument.annotation
                found[argument.arg] = self.annotated(promised, module, {}) if promised is not None else None
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                found[extra.arg] = None
        inside = [one for statement in node.body for one in ast.walk(statement)]
        found |= self._assigned(inside, module)
        for one in inside:
            if isinstance(one, Definition | ast.ClassDef):
                found[one.name] = None
            elif isinstance(one, ast.Global):
                for name in one.names:
                    found.pop(name, None)
        return found

    def imported(self, node: ast.Import | ast.ImportFrom, module: Module) -> Iterator[tuple[str, str]]:
        """The local name and the full dotted name of each thing that a statement imports."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
            return
        base = node.module or ""
        if node.level:
            parts = module.name.split(".") if module.name else []
            parts = parts[: len(parts) - node.level + (1 if module.package else 0)]
            base = ".".join([*parts, base] if base else parts)
        for alias in node.names:
            yield alias.asname or alias.name, f"{base}.{alias.name}" if base else alias.name

    def _own(self, name: str, depth: int) -> Meaning:
        if self.is_own(name):
            return Place(name)
        above, _, last = name.rpartition(".")
        if above in self.modules:
            return self.top(above, last, depth)
        return Foreign(name)

    def _top(self, module: Module) -> dict[str, Meaning]:
        found = self._assigned(level(module.tree.body), module)
        twice = repeated(module.tree.body)
        straight = {id(one) for one in module.tree.body}
        for node in level(module.tree.body):
            if isinstance(node, Definition):
                alone = node.name not in twice and id(node) in straight
                found[node.name] = Body(module, node.name, node, "", alone)
            elif isinstance(node, ast.ClassDef):
                found[node.name] = Kind(module, node.name, node, _methods(module, node))
            elif isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                star = next(iter(self.imported(node, module)))[1].removesuffix(".*")
                self._stars.setdefault(module.name, []).append(star)
        return found

    def _assigned(  # noqa: C901 - one branch for each statement that binds a name
        self, nodes: Iterable[ast.AST], module: Module
    ) -> dict[str, Meaning]:
        """Names that are imported or assigned; one assigned twice means nothing."""
        found: dict[str, Meaning] = {}

        def add(name: str, meaning: Meaning) -> None:
            found[name] = None if name in found and found[name] != meaning else meaning

        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for name, full in self.imported(node, module):
                    add(name, Foreign(full))
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        empty = isinstance(node.value, ast.Constant) and node.value.value is None
                        if not empty:  # a cache that is filled later: client = None
                            add(target.id, Value(module, node.value))
            elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                add(node.optional_vars.id, Value(module, node.context_expr))
            elif isinstance(node, ast.NamedExpr):
                add(node.target.id, Value(module, node.value))
            elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
                for inner in ast.walk(node.target):
                    if isinstance(inner, ast.Name):
                        add(inner.id, None)
        return found

    def _held(self, kind: Kind) -> dict[str, Meaning]:
        """What objects of a class hold: ``self.x = Storage()`` in its methods, ``x: Storage`` in its body."""
        key = id(kind.node)
        if key not in self._attributes:
            held: dict[str, Meaning] = {}
            self._attributes[key] = held
            for field in kind.node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    held[field.target.id] = self.annotated(field.annotation, kind.module, {})
            for method in kind.methods.values():
                scope = self.locals(method)
                for node in ast.walk(method.node):
                    if isinstance(node, ast.Assign):
                        for target in node.targets:
                            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                                found = self.meaning(node.value, kind.module, scope)
                                held[target.attr] = found if target.attr not in held else None
        return self._attributes[key]


def _methods(module: Module, node: ast.ClassDef) -> dict[str, Body]:
    twice = repeated(node.body)
    return {
        one.name: Body(module, f"{node.name}.{one.name}", one, node.name, one.name not in twice)
        for one in node.body
        if isinstance(one, Definition)
    }
