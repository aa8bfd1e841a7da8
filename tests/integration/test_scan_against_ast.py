"""The scanner against Python's own parser, on every source of the scikit-learn recipe, and on every Python at hand.

``ast`` is right by definition about syntax that its Python knows. The scanner has to find the same imports, under the
same circumstances, and every string that could be a name.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

import lamina
from lamina import lock
from lamina.fetch import fetch
from lamina.index import from_environment
from lamina.interpreters import candidates
from lamina.part.scan import scan
from lamina.progress import SILENT
from lamina.store import Store
from lamina.wheel import open_wheel

Found = tuple[str, int, tuple[str, ...], bool, bool]

#: Prints the digest of the facts of every source below a folder.
DIGEST = """\
import hashlib, pathlib, sys
import msgspec
from lamina.part.scan import scan
digest = hashlib.sha256()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    digest.update(msgspec.json.encode(scan(path.read_bytes())))
print(sys.version_info[:2] == tuple(map(int, sys.argv[2].split("."))), digest.hexdigest())
"""


@pytest.fixture(scope="module")
def sources(index: None, shared_store: Path, repository: Path) -> Mapping[str, bytes]:  # noqa: ARG001 - skips without it
    """Every ``.py`` of the wheels that the recipe's lock names, by its path, tests of the packages included."""
    locked = lock.read(repository / "recipes/locks/sklearn-cp311-manylinux2014_x86_64.txt").wheels
    paths = fetch(
        locked, store=Store(shared_store), indexes=from_environment(os.environ), offline=False, progress=SILENT
    )
    found = {}
    for wheel in locked:
        with open_wheel(paths[wheel.sha256], wheel.filename) as opened:
            found.update({e.name: opened.read(e) for e in opened.entries if e.name.endswith(".py")})
    assert sum(map(len, found.values())) > 50_000_000
    return found


@pytest.fixture(scope="module")
def stored(sources: Mapping[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with the sources, and the digest of their facts as this Python finds them."""
    digest, folder = hashlib.sha256(), tmp_path_factory.mktemp("sources")
    for number, content in enumerate(sources.values()):
        (folder / f"{number:05}.py").write_bytes(content)
        digest.update(msgspec.json.encode(scan(content)))
    return folder, digest.hexdigest()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Without the search for cycles: syntax trees have none, and millions of nodes."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_imports_and_strings_are_those_that_ast_finds(sources: Mapping[str, bytes]) -> None:
    wrong = {}
    compared = 0
    for path, content in sources.items():
        found = scan(content)
        assert found.readable, path
        tree = parsed(content)
        if tree is None:  # written for another Python than the one that runs this
            continue
        compared += 1
        expected = set(imports(tree.body, lazy=False, guarded=False))
        actual = {(i.module, i.level, i.names, i.lazy, i.guarded) for i in found.imports}
        unnamed = strings(tree, content) - set(found.strings)
        if actual != expected or unnamed:
            wrong[path] = {"missed": expected - actual, "invented": actual - expected, "unnamed": unnamed}
    assert wrong == {}
    assert compared > 0.99 * len(sources)


def test_a_scan_keeps_its_pace(sources: Mapping[str, bytes]) -> None:
    started = time.process_time()
    for content in sources.values():
        scan(content)
    rate = sum(map(len, sources.values())) / (time.process_time() - started) / 1e6
    print(f"{rate:.0f} MB/s")  # noqa: T201 - for the reader of a log; 15 is the aim, 30 was measured
    assert rate > 8, "MB/s; a busy machine may take twice as long as an idle one, and no longer"


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_finds_the_same_facts(version: str, stored: tuple[Path, str], tmp_path: Path) -> None:
    """Micro versions too: Debian 12's own 3.11.2 has a regular expression engine with defects that 3.11.5 mended."""
    interpreters = find(version)
    if not interpreters:
        pytest.skip(f"no Python {version} on this machine")
    folder, digest = stored
    libraries = tmp_path / "libraries"
    install = ["pip", "install", "--quiet", "--python", interpreters[0], "--target", str(libraries), "msgspec"]
    subprocess.run([sys.executable, "-m", "uv", *install], check=True)
    source_root = Path(lamina.__file__).parents[1]
    answers = [
        subprocess.run(
            [interpreter, "-c", DIGEST, str(folder), version],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(libraries), str(source_root)]),
                "PYTHONHASHSEED": "3",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split()
        for interpreter in interpreters
    ]
    assert dict(zip(interpreters, answers, strict=True)) == {each: ["True", digest] for each in interpreters}


def find(version: str) -> list[str]:
    """The interpreters of this version that run, each once."""
    major, minor = map(int, version.split("."))
    found: dict[str, None] = {}
    for candidate in candidates((major, minor), os.environ):
        command = [candidate, "-c", "import os, sys; print(os.path.realpath(sys.executable))"]
        told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        if told.returncode == 0:
            found[told.stdout.strip()] = None
    return [*found]


def parsed(content: bytes) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's code
        try:
            return ast.parse(content)
        except SyntaxError:
            return None


def imports(body: Iterable[ast.AST], *, lazy: bool, guarded: bool) -> Iterator[Found]:
    """The imports of a syntax tree, as :class:`lamina.part.source.Import` describes them."""
    for node in body:
        blocks: list[tuple[list[ast.AST], bool, bool]] = []
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0, (), lazy, guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "", node.level, tuple(alias.name for alias in node.names), lazy, guarded)
        elif isinstance(node, ast.If):
            checking = type_checking(node.test)
            blocks += [(node.body, lazy, guarded or checking is None)] if checking is not True else []
            blocks += [(node.orelse, lazy, guarded or checking is None)] if checking is not False else []
        elif isinstance(node, ast.Try | ast.TryStar):
            conditional = [node.body, node.orelse, *(handler.body for handler in node.handlers)]
            blocks += [(block, lazy, True) for block in conditional]
            blocks += [(node.finalbody, lazy, guarded)]
        elif isinstance(node, ast.Match):
            blocks += [(case.body, lazy, True) for case in node.cases]
        elif isinstance(node, ast.With | ast.AsyncWith):
            blocks.append((node.body, lazy, guarded or any(suppresses(item.context_expr) for item in node.items)))
        elif not isinstance(node, ast.expr):
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            blocks += [(getattr(node, field, []), inside, guarded) for field in ("body", "orelse")]
        for block, is_lazy, is_guarded in blocks:
            yield from imports(block, lazy=is_lazy, guarded=is_guarded)


def suppresses(context: ast.expr) -> bool:
    """Whether it is a call of ``suppress`` with what a failing import raises."""
    raised = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    return (
        isinstance(context, ast.Call)
        and ast.unparse(context.func).rpartition(".")[2] == "suppress"
        and any(ast.unparse(argument).rpartition(".")[2] in raised for argument in context.args)
    )


def type_checking(test: ast.expr) -> bool | None:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = type_checking(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.Attribute) and isinstance(test.value, ast.Name):
        return True if test.attr == "TYPE_CHECKING" else None
    return True if isinstance(test, ast.Name) and test.id == "TYPE_CHECKING" else None


def strings(tree: ast.Module, content: bytes) -> set[str]:
    """The literals that could name something; less what the scanner leaves out on purpose.

    That is the text that ``f"{x=}"`` makes of its expression, and characters given by their Unicode names.
    """
    shown, constants = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            constant = [value for value in node.values if isinstance(value, ast.Constant)]
            shown |= {id(value) for value in constant if str(value.value).rstrip().endswith("=")}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            constants.append(node)
    named = b"\\N{" in content
    return {
        node.value
        for node in constants
        if id(node) not in shown and could_be_name(node.value) and not (named and not node.value.isascii())
    }


def could_be_name(text: str) -> bool:
    if not 1 <= len(text) <= 200 or not any(c == "_" or c.isalnum() or c > "\x7f" for c in text):
        return False
    if any(c < " " or "\x7f" <= c <= "\xa0" or "\ud800" <= c <= "\udfff" for c in text):
        return False
    return " " not in text or (all(text.split(" ")) and re.search(r"\.[0-9A-Za-z_]{1,10}$", text) is not None)
