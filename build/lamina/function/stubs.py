"""``stub-code``: code on the handler's way that only stands for what is still to be written.

What a body does decides, where it is reached from the handler; its name only tips the balance. An error is

- ``raise NotImplementedError`` on every way through a body, unless the method is abstract, is overridden, or its caller
  expects the error;
- a body of nothing but ``pass``, ``...`` or a text, whose result is used, or that has a TODO, or whose name promises an
  effect (``save``) on arguments that it is given;
- a constant success (``True``, ``{"status": "ok"}``), a constant after a ``sleep``, a constant number as a model's
  result, or a random number as one, from a body that has arguments and touches none of them, except to log them;
- a handler that answers a constant success to every event;
- an import of a library that stands in for others in tests.

Passed over are answers that are constant on purpose: to health checks, warm-up calls, ``OPTIONS``, told by name,
key, route or the ``if`` that leads there; predicates (``is_…``, ``supports``); functions that are only passed on
(callbacks); methods of classes that inherit or are inherited from (hooks); definitions under ``if`` or ``try``; bodies
that an unknown decorator may replace. A function that is named ``…_mock`` and does real work is a note.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lamina.findings import Finding, make
from lamina.function.bodies import Shape, shape_of
from lamina.function.calls import Calls, Reached, mentions
from lamina.function.facts import facts
from lamina.function.scope import Body, Names

_LONGEST_WAY = 8
_REPLACING = frozenset({"abstractmethod", "overload", "singledispatch", "singledispatchmethod"})
_KEEPING = frozenset({"staticmethod", "classmethod", "property", "cache", "lru_cache", "wraps", "override", "final"})
_ABSTRACT = frozenset({"ABC", "ABCMeta", "Protocol"})
_HINT = (
    "Write what it stands for, or take it out of the handler's way; if it is meant as it is, "
    "accept the finding in the recipe with the reason."
)


def check_stubs(names: Names, calls: Calls) -> Iterator[Finding]:
    """Judge every function and module that the handler reaches."""
    for reached in calls.bodies:
        yield from _of_body(names, reached)
    yield from _mocks(names, calls)


def shown(way: tuple[str, ...]) -> str:
    """The way to a place as messages tell it, its middle left out where it is long."""
    short = way if len(way) <= _LONGEST_WAY else (*way[:3], "…", *way[-4:])
    return " → ".join(short)


def _of_body(names: Names, reached: Reached) -> Iterator[Finding]:
    body = reached.body
    name = body.node.name
    if name.startswith("__") and name.endswith("__"):
        return
    shape = shape_of(body)
    says = _verdict(names, reached, shape) if shape is not None and body.alone else ""
    place = f"{shown(reached.way)} (line {body.node.lineno})"
    if says:
        yield make("stub-code", body.module.path, f"{place}: {says}", _HINT)
    elif shape is None and facts().words.has("pretend", name):
        message = f"{place}: the name says that it stands for something else, though its body does real work"
        hint = "Give it a name that says what it does, or see whether the real one should be called here."
        yield make("stub-code", body.module.path, message, hint, "note")


def _verdict(names: Names, reached: Reached, shape: Shape) -> str:
    """What is wrong with a body of this shape where it is reached; nothing where it may be meant."""
    body = reached.body
    decorators = {_last(one) for one in body.node.decorator_list}
    if decorators & _REPLACING or _is_abstract(names, body) or _is_quiet(reached):
        return ""
    called = [site for site in reached.sites if site.called]
    if shape.kind == "raises":
        open_to = [site for site in called if not site.caught]
        overridden = bool(names.overriding(body))
        return "raises NotImplementedError whenever it is called" if open_to and not overridden else ""
    if not called:
        return ""
    if shape.kind == "empty":
        return _of_empty(names, reached, shape) if decorators <= _KEEPING else ""
    return _of_constant(names, reached, shape)


def _of_empty(names: Names, reached: Reached, shape: Shape) -> str:
    body = reached.body
    effect = shape.takes and facts().words.has("effect", body.node.name) and not _is_hook(names, body)
    used = any(site.called and site.used for site in reached.sites)
    handler = len(reached.way) == 1
    if shape.marked:
        return "has no body but a comment that it is still to be done"
    if handler:
        return "is the handler and does nothing: every event is answered with null"
    if shape.waits:
        return "waits and does nothing"
    if used and shape.takes and not _answers_none(body) and not _is_hook(names, body):
        return "does nothing, and its result, always None, is used"
    return "does nothing with what it is given" if effect else ""


def _of_constant(names: Names, reached: Reached, shape: Shape) -> str:  # noqa: PLR0911 - one for each verdict
    body = reached.body
    words = facts().words
    name = body.node.name
    if not shape.takes:
        done = shape.success and words.has("effect", name) and not _is_hook(names, body)
        return "returns a constant success and does nothing" if done else ""
    promises = words.has("result", name)
    if shape.kind == "random":
        return "returns a random result without touching its arguments" if promises else ""
    if shape.waits:
        return "waits and returns a constant without touching its arguments"
    if shape.success and not _is_hook(names, body):
        return "returns a constant success without touching its arguments"
    if shape.marked:
        return "returns a constant, with a comment that it is still to be done"
    if promises and shape.number and not _is_hook(names, body):
        return "returns a constant result without touching its arguments"
    return ""


def _is_quiet(reached: Reached) -> bool:
    """Whether a constant is the point: by the function's own name, or of every place that leads to it."""
    words = facts().words
    if any(words.has("quiet", part) for part in reached.body.name.split(".")[-1:]):
        return True
    sites = [site for site in reached.sites if site.called]
    return bool(sites) and all(any(_quiet_text(text) for text in site.words) for site in sites)


def _quiet_text(text: str) -> bool:
    words = facts().words
    return any(words.has("quiet", part) for part in text.replace("/", "_").replace("-", "_").replace(".", "_").split())


def _is_abstract(names: Names, body: Body) -> bool:
    kind = names.owner(body)
    if kind is None:
        return False
    stated = [*kind.node.bases, *(keyword.value for keyword in kind.node.keywords)]
    return any(_last(one.value if isinstance(one, ast.Subscript) else one) in _ABSTRACT for one in stated)


def _is_hook(names: Names, body: Body) -> bool:
    """Whether a method may be one of several of that name: its class inherits, or is inherited from."""
    kind = names.owner(body)
    if kind is None:
        return False
    return bool([one for one in kind.node.bases if _last(one) != "object"]) or bool(names.overriding(body))


def _answers_none(body: Body) -> bool:
    """Whether None is what a body says it answers, by its annotation."""
    returns = body.node.returns
    return isinstance(returns, ast.Constant) and returns.value is None


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _mocks(names: Names, calls: Calls) -> Iterator[Finding]:
    known = facts().mocks
    told: set[tuple[str, str]] = set()
    inside: dict[str, list[Reached]] = {}
    for one in calls.bodies:
        inside.setdefault(one.body.module.name, []).append(one)
    for module_name, way in calls.modules.items():
        module = names.modules[module_name]
        reached = [(module.tree.body, False, way)]
        reached += [(one.body.node.body, True, one.way) for one in inside.get(module_name, ())]
        for statements, inner, steps in reached:
            for node, _ in mentions(statements, inner=inner):
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    continue
                full = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for name in full or [one for _, one in names.imported(node, module)]:
                    library = next((one for one in known if f"{name}.".startswith(f"{one}.")), "")
                    if not library or names.is_own(library) or (module.path, library) in told:
                        continue
                    told.add((module.path, library))
                    place = f"{shown(steps)} (line {node.lineno})"
                    message = f"{place}: imports {library}, which {known[library]}"
                    hint = f"Use the real thing here and leave {library} to the tests."
                    yield make("stub-code", module.path, message, hint)
