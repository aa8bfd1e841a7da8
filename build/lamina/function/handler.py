"""``handler-missing``: whether Lambda can find the handler and call it with an event and a context.

Told from the syntax tree, without importing anything. What code makes at run time (decorated functions, results of
calls, names of other people's modules) is taken as it is. The words of the errors are those of awslambdaric, AWS's
runtime client: ``bootstrap.py``, functions ``_get_handler`` and ``handle_event_request``.
"""

from __future__ import annotations

import ast
import difflib
import itertools
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lamina.audit.modules import Found, Modules
from lamina.findings import Finding, make
from lamina.function.bindings import Definition, definitions, writes_names
from lamina.function.callables import refusal
from lamina.part.source import Import, resolve

#: What the recipe calls it, where no file can be named.
KEY = "function.handler"
#: A larger module is generated; its syntax tree would take gigabytes.
_MOST_BYTES = 1024**2
#: So many re-exports are followed, and so many definitions of one name looked at.
_MOST_STEPS = 32
_MOST_CANDIDATES = 20
_DEEPEST = 300
#: Among so many names, of such a length, the nearest is looked for; more are made to keep the reader busy.
_MOST_NAMES, _LONGEST_NAME = 1000, 200

#: The content of a file of the function by its place (``/var/task/app.py``); ``None`` of any other.
Read = Callable[[str], bytes | None]


class _At(NamedTuple):
    """A name in a module that is searched for. ``steps`` imports lead there, the last one from ``importer``.

    A ``star`` import takes what there is, and fails on nothing.
    """

    module: str
    name: str
    steps: int = 0
    importer: str = ""
    star: bool = False


def check_handler(handler: str, modules: Modules, read: Read) -> Iterator[Finding]:
    """The finding on a handler as Lambda's configuration has it (``app.main.handler``, ``app/main.handler``), if any.

    ``modules`` are those of the function and its layers together. Of modules in layers only the presence is told.
    """
    written, _, name = handler.rpartition(".")
    module = written.replace("/", ".")
    gone = "" if all(module.split(".")) and modules.find(module) is not None else (modules.missing(module) or module)
    if gone:
        # That something it imports is missing is told as missing-import.
        above = modules.find(gone.rpartition(".")[0]) if "." in gone else None
        end = f"; {gone.rpartition('.')[0]!r} is not a package" if above is not None and above.kind == "module" else ""
        message = f"Runtime.ImportModuleError: Unable to import module '{written}': No module named {gone!r}{end}"
        yield make("handler-missing", KEY, message, _where(module, name, modules, read))
        return
    yield from _check_name(handler, _At(module, name), modules, read, set())


def _check_name(handler: str, at: _At, modules: Modules, read: Read, seen: set[tuple[str, str]]) -> Iterator[Finding]:
    """The finding on one name; ``seen`` are those that were looked at, since imports may lead in circles."""
    if (at.module, at.name) in seen:
        return
    seen.add((at.module, at.name))
    found = modules.find(at.module)
    content = read(found.path) if found is not None and found.kind != "namespace" else None
    if found is None or (content is None and found.kind != "namespace") or not _is_source(found):
        return  # of a layer, of the runtime, or native: nothing can be told of it here
    path = found.path.removeprefix("/var/task/") or KEY
    tree = _parsed(content or b"")
    if isinstance(tree, str):
        yield _unparsed(path, tree, at, modules)
        return
    candidates = definitions(tree, at.name)
    if len(candidates) > _MOST_CANDIDATES:
        return
    if not candidates and not writes_names(tree, at.name):
        yield _missing(handler, at, path, tree, modules)
    if not candidates:
        return
    refused = []
    for candidate in candidates:
        followed = _followed(candidate, at, modules, path, is_package=found.kind == "package")
        if followed is not None:
            refused.append(list(_check_name(handler, followed, modules, read, seen)))
            continue
        wrong = refusal(candidate.node, at.name, tree)
        message = f"{handler}, line {candidate.line}: {wrong.what}" if wrong else ""
        refused.append([make("handler-missing", path, message, wrong.way)] if wrong else [])
    if all(refused):
        yield from refused[0]


def _is_source(found: Found) -> bool:
    return found.kind == "namespace" or found.path.endswith(".py")


def _followed(candidate: Definition, at: _At, modules: Modules, path: str, *, is_package: bool) -> _At | None:
    """Where an import takes the name from, if from a module of the stack's own."""
    node = candidate.node
    if not isinstance(node, ast.ImportFrom) or at.steps >= _MOST_STEPS:
        return None
    original = next((alias.name for alias in node.names if at.name == (alias.asname or alias.name)), "*")
    imported = Import(node.module or "", node.level, (original,), lazy=False, guarded=False)
    names = resolve(imported, at.module, is_package)
    if not names:
        return None
    source = modules.find(names[0])
    if source is None or source.kind in {"given", "unverified"}:
        return None
    star = original == "*"
    return _At(names[0], at.name if star else original, at.steps + 1, path, star)


def _missing(handler: str, at: _At, path: str, tree: ast.Module, modules: Modules) -> Finding:
    """Say it in the words of Lambda where the module lacks the name, of Python where an import in it does."""
    written, _, wanted = handler.rpartition(".")
    if at.steps and modules.find(f"{at.module}.{at.name}") is not None:
        message = f"{handler} is the module {at.module}.{at.name}, which Lambda cannot call"
        return make("handler-missing", at.importer, message, "Name a function of it in function.handler.")
    if at.steps and not at.star:
        failure = f"cannot import name {at.name!r} from {at.module!r}"
        message = f"Runtime.ImportModuleError: Unable to import module '{written}': {failure}"
        return make("handler-missing", at.importer, message, _near(at.name, tree, at.module))
    message = f"Runtime.HandlerNotFound: Handler '{wanted}' missing on module '{written.replace('/', '.')}'"
    return make("handler-missing", at.importer or path, message, _near(at.name, tree, at.module))


def _parsed(content: bytes) -> ast.Module | str:
    """The syntax tree, or why there is none."""
    if len(content) > _MOST_BYTES:
        return f"it has {len(content):,} bytes, and lamina reads modules up to {_MOST_BYTES:,}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
        return tree if _is_shallow(tree) else "statements in statements in statements, deeper than a person writes"
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError):
        return "source code that no compiler takes: nested too deeply, or with null bytes"


def _is_shallow(tree: ast.Module) -> bool:
    """Whether the blocks of a module are nested no deeper than can be followed; a long ``elif`` chain nests as well."""
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [
            inner
            for node in level
            for inner in ast.iter_child_nodes(node)
            if isinstance(inner, ast.stmt | ast.ExceptHandler | ast.match_case)
        ]
        if not level:
            return True
    return False


def _unparsed(path: str, why: str, at: _At, modules: Modules) -> Finding:
    """A note where a newer Python may read it, or where it was not read; else the error that Lambda would state."""
    own = sys.version_info[:2]
    if own >= modules.python and not why.startswith(("it has ", "statements in ")):
        message = f"Runtime.UserCodeSyntaxError: Syntax error in module '{at.module}': {why}"
        return make("handler-missing", path, message, f"Correct it; {modules.runtime} cannot import it.")
    version = "{}.{}".format(*own)
    message = f"whether '{at.name}' is in module '{at.module}' is not known: Python {version}, which runs lamina: {why}"
    hint = "Run lamina with a Python of the target's version, or a newer one, to have the handler checked."
    return make("handler-missing", path, message, hint, severity="note")


def _near(name: str, tree: ast.Module, module: str) -> str:
    """What to do about a name that is not there: the function that was meant, as far as that can be told."""
    public = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    ]
    close = _nearest(name, public)
    if close:
        return f'Did you mean handler = "{module}.{close[0]}"?'
    if public:
        shown = ", ".join(public[:5])
        return f"The functions of {module} are {shown}: name one of them in function.handler."
    return f"Define def {name}(event, context) in {module}, or name the module that has it in function.handler."


def _where(module: str, name: str, modules: Modules, read: Read) -> str:
    """What to do about a module that is not there: another module of that name, or one that has the function."""
    sources = [place for place in sorted(modules.items) if place.endswith(".py") and read(place) is not None]
    own = {modules.name_of(place)[0]: place for place in sources}
    same = [dotted for dotted in own if dotted.rpartition(".")[2] == module.rpartition(".")[2]]
    having = [dotted for dotted, place in own.items() if _defines(read(place) or b"", name)]
    close = _nearest(module, own)
    likely = [*(dotted for dotted in same if dotted in having), *same, *close, *having]
    if not likely:
        return (
            "Add the file to function.source, or correct function.handler: it is looked for from the root of the zip."
        )
    path = own[likely[0]].removeprefix("/var/task/")
    otherwise = " Or map its folder to another place by to." if same else ""
    return f'{path} is in the function: did you mean handler = "{likely[0]}.{name}"?{otherwise}'


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    """The most similar of the names, if one is similar at all."""
    if len(name) > _LONGEST_NAME:
        return []
    short = itertools.islice((one for one in known if len(one) <= _LONGEST_NAME), _MOST_NAMES)
    return difflib.get_close_matches(name, list(short), n=1)


def _defines(content: bytes, name: str) -> bool:
    return f"def {name}(".encode() in content
