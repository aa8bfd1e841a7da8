"""``undeclared-variable``: environment variables that the code reads and the recipe does not declare, and the reverse.

Seen are ``os.environ["X"]``, ``.get``, ``.pop``, ``.setdefault``, ``"X" in os.environ`` and ``os.getenv``, under any
name that an import or an assignment at the top of a module gives them; the fields of pydantic's ``BaseSettings``; and
calls of the project's own functions that read the variable they are given the name of. The name may be a constant of
the module; one that is computed is passed over, and then nothing is said of variables that seem unread.
"""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lamina.findings import Finding, make
from lamina.function.bodies import dotted
from lamina.function.facts import facts
from lamina.function.sources import Module
from lamina.function.statements import Definition
from lamina.recipe.model import Variable

_METHODS = frozenset({"get", "pop", "setdefault"})


class Read(NamedTuple):
    """One place that reads a variable. ``needs`` tells that a missing one raises; ``default`` is a literal one."""

    name: str
    path: str
    line: int
    needs: bool
    default: str | None = None


class Reads(NamedTuple):
    """What modules read, which names they set themselves, every text in them, and whether names are computed."""

    reads: tuple[Read, ...]
    sets: frozenset[str]
    texts: frozenset[str]
    computed: bool
    imports: frozenset[str]


def reads_of(modules: Iterable[Module]) -> Reads:
    """Gather what modules read of the environment."""
    modules = tuple(modules)
    readers: dict[str, int] = {}
    for module in modules:
        readers |= _Finder(module).readers()
    finders = [_Finder(module, readers) for module in modules]
    for finder in finders:
        finder.run()
    return Reads(
        tuple(read for finder in finders for read in finder.found),
        frozenset[str]().union(*(finder.sets for finder in finders)),
        frozenset[str]().union(*(finder.texts for finder in finders)),
        any(finder.computed for finder in finders),
        frozenset[str]().union(*(finder.imports for finder in finders)),
    )


def check_environment(declared: Mapping[str, Variable], reached: Reads, whole: Reads) -> Iterator[Finding]:
    """Hold what the handler's modules read against what the recipe declares, and that against all modules."""
    known = {name.upper() for name in declared} | facts().runtime.variables
    told: set[str] = set()
    for read in sorted(reached.reads, key=lambda one: (not one.needs, one.path, one.line)):
        if read.name in declared or read.name.upper() in known or read.name in reached.sets or read.name in told:
            continue
        if _reader(read.name, frozenset()) is not None:
            continue  # a standard one that may be there or not: HTTPS_PROXY
        told.add(read.name)
        way = "without a default, so that it fails where nothing sets it" if read.needs else "with a default"
        message = f"line {read.line} reads {read.name}, {way}; the recipe does not declare it"
        hint = (
            f"Add to [function] environment: {read.name} = {{ required = true }}, or {{ secret = true }} for a secret."
        )
        yield make("undeclared-variable", read.path, message, hint)
    yield from _unread(declared, whole)


def _unread(declared: Mapping[str, Variable], whole: Reads) -> Iterator[Finding]:
    read = {one.name.upper() for one in whole.reads}
    for name in declared:
        if name.upper() in read or name in whole.texts or _reader(name, whole.imports) is not None:
            continue
        message = "the recipe declares it, and the function's own code never reads it"
        hint = f"Take {name} out of [function] environment; if a library reads it, accept the finding with the reason."
        if whole.computed:
            message += " under its own name; some code reads names that are only known when it runs"
        yield make(
            "undeclared-variable", f"function.environment.{name}", message, hint, "note" if whole.computed else None
        )


def _reader(name: str, imports: frozenset[str]) -> str | None:
    """Who reads a variable beside the function's own code, where that is known."""
    if name in facts().runtime.variables:
        return "Lambda"
    for one in facts().readers:
        if fnmatch.fnmatchcase(name.upper(), one.pattern) and ("*" in one.modules or imports & set(one.modules)):
            return one.modules[0]
    return None


class _Finder:
    """What one module reads."""

    def __init__(self, module: Module, readers: Mapping[str, int] | None = None) -> None:
        self.found: list[Read] = []
        self.sets: set[str] = set()
        self.texts: set[str] = set()
        self.imports: set[str] = set()
        self.computed = False
        self._module = module
        self._readers = readers or {}
        self._nodes = list(ast.walk(module.tree))
        self._aliases = {"os": "os"}
        self._constants: dict[str, str] = {}
        for node in self._nodes:
            self._bind(node)
        self._tested: set[str] = set()
        self._caught: set[int] = set()

    def readers(self) -> dict[str, int]:
        """Functions of the module that read the variable whose name they are given, and as which argument."""
        found: dict[str, int] = {}
        for node in self._nodes:
            if isinstance(node, Definition):
                names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
                for inner in ast.walk(node):
                    key = self._key(inner)
                    if isinstance(key, ast.Name) and key.id in names:
                        found[node.name] = names.index(key.id) - (names[0] in {"self", "cls"})
        return found

    def run(self) -> None:
        """Look at every node."""
        for node in self._nodes:
            if isinstance(node, ast.Try) and any(_expects_key(one) for one in node.handlers):
                self._caught |= {id(inner) for part in node.body for inner in ast.walk(part)}
            if isinstance(node, ast.Compare) and any(self._is_environ(one) for one in node.comparators):
                self._tested |= {name for name in (self._literal(node.left),) if name}
        handled: set[int] = set()
        for node in self._nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= 256:  # noqa: PLR2004
                self.texts.add(node.value)
            if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
                self._or(node, handled)
            if id(node) not in handled:
                self._look(node)
            if isinstance(node, ast.ClassDef):
                self._settings(node)

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.imports.add(alias.name.partition(".")[0])
                if alias.name == "os":
                    self._aliases[alias.asname or "os"] = "os"
        elif isinstance(node, ast.ImportFrom):
            self.imports.add((node.module or "").partition(".")[0])
            if node.module == "os" and not node.level:
                self._aliases |= {alias.asname or alias.name: f"os.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                # Two values of one name: it is no constant.
                self._constants[name] = "" if name in self._constants else node.value.value
            elif self._is_environ(node.value):
                self._aliases[name] = "os.environ"

    def _full(self, node: ast.expr) -> str:
        head, _, rest = dotted(node).partition(".")
        known = self._aliases.get(head, "")
        return f"{known}.{rest}" if known and rest else known

    def _is_environ(self, node: ast.expr) -> bool:
        return self._full(node) == "os.environ"

    def _literal(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return self._constants.get(node.id, "") if isinstance(node, ast.Name) else ""

    def _key(self, node: ast.AST) -> ast.expr | None:
        """The name that an expression reads of the environment, as it is written."""
        if isinstance(node, ast.Subscript) and self._is_environ(node.value):
            return node.slice
        if isinstance(node, ast.Call) and node.args:
            full = self._full(node.func)
            head, _, method = full.rpartition(".")
            if full == "os.getenv" or (head == "os.environ" and method in _METHODS):
                return node.args[0]
        return None

    def _look(self, node: ast.AST) -> None:
        key = self._key(node)
        if key is None:
            self._other(node)
            return
        name = self._literal(key)
        if not name:
            self.computed = True
        elif isinstance(node, ast.Subscript):
            if isinstance(node.ctx, ast.Store):
                self.sets.add(name)
            elif isinstance(node.ctx, ast.Load):
                self._add(name, node, needs=id(node) not in self._caught and name not in self._tested)
        elif isinstance(node, ast.Call):
            method = node.func.attr if isinstance(node.func, ast.Attribute) else "getenv"
            given = node.args[1] if len(node.args) > 1 else next((one.value for one in node.keywords), None)
            if method == "setdefault":
                self.sets.add(name)
            self._add(name, node, needs=method == "pop" and given is None, default=given)

    def _other(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            called = dotted(node.func).rpartition(".")[2]
            at = self._readers.get(called)
            if at is not None and 0 <= at < len(node.args) and (name := self._literal(node.args[at])):
                given = node.args[at + 1] if len(node.args) > at + 1 else None
                self._add(name, node, needs=False, default=given)
            if any(self._is_environ(one) for one in node.args) or self._full(node.func).startswith(
                ("os.environ.items", "os.environ.copy", "os.environ.keys")
            ):
                self.computed = True
        elif isinstance(node, ast.For | ast.comprehension) and self._is_environ(node.iter):
            self.computed = True

    def _or(self, node: ast.BoolOp, handled: set[int]) -> None:
        """``os.environ.get("X") or "default"``."""
        first = node.values[0]
        key = self._key(first)
        if isinstance(first, ast.Call) and key is not None and (name := self._literal(key)):
            handled.add(id(first))
            self._add(name, first, needs=False, default=node.values[-1])

    def _add(self, name: str, node: ast.expr, *, needs: bool, default: ast.expr | None = None) -> None:
        text = default.value if isinstance(default, ast.Constant) and isinstance(default.value, str) else None
        self.found.append(Read(name, self._module.path, node.lineno, needs, text))

    def _settings(self, node: ast.ClassDef) -> None:
        """The fields of a class of settings (pydantic-settings documentation, environment variable names)."""
        if not any(dotted(base).rpartition(".")[2] == "BaseSettings" for base in node.bases):
            return
        prefix = ""
        for inner in ast.walk(node):
            if isinstance(inner, ast.keyword | ast.Assign):
                targets = inner.targets if isinstance(inner, ast.Assign) else []
                named = [inner.arg] if isinstance(inner, ast.keyword) else [dotted(one) for one in targets]
                prefix = self._literal(inner.value) if "env_prefix" in named else prefix
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                if field.target.id == "model_config" or "ClassVar" in dotted(field.annotation):
                    continue
                alias = _alias(field.value)
                needs = field.value is None or _is_required(field.value)
                text = field.value.value if isinstance(field.value, ast.Constant) else None
                default = text if isinstance(text, str) else None
                name = alias or f"{prefix}{field.target.id}".upper()
                self.found.append(Read(name, self._module.path, field.lineno, needs, default))


def _alias(value: ast.expr | None) -> str:
    if isinstance(value, ast.Call):
        for keyword in value.keywords:
            known = keyword.arg in {"alias", "validation_alias", "env"}
            if known and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str):
                return keyword.value.value
    return ""


def _is_required(value: ast.expr) -> bool:
    """Whether ``Field(...)`` gives no default."""
    if not isinstance(value, ast.Call) or dotted(value.func).rpartition(".")[2] != "Field":
        return False
    first = value.args[0] if value.args else None
    given = any(keyword.arg in {"default", "default_factory"} for keyword in value.keywords)
    return not given and (first is None or (isinstance(first, ast.Constant) and first.value is ...))


def _expects_key(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names: Sequence[ast.expr] = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted(name) in {"KeyError", "LookupError", "Exception", "BaseException"} for name in names)
