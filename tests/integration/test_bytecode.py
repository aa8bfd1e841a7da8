"""Bytecode by real interpreters: the same bytes from any process, in a layer, and what runs from it."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import resource
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from lamina import lock as locks
from lamina import project as projects
from lamina import recipe as recipes
from lamina.bytecode.compilers import Compiler, InImage, OnHost, compiler_for
from lamina.bytecode.compiling import Unit, compile_all
from lamina.emit import manifest as manifests
from lamina.errors import MissingToolError
from lamina.interpreters import Interpreter
from lamina.interpreters import compiler as compiler_of
from lamina.pipeline import Built, build
from lamina.progress import SILENT, Task
from lamina.store import Store

SOURCES = {
    "python/demo/__init__.py": "from .names import self_name, data\nX = {'a', 'b'} if data in {'x', 'y'} else ()\n",
    "python/demo/names.py": "self_name = 'data'\ndata = 'self_name'\ndef f(self, *args, **kwargs):\n    return args\n",
    "python/demo/failing.py": "def fail():\n    raise ValueError('here')\n",
    "python/demo/template.py": "{{ cookiecutter.name }} = \n",
    "python/demo/large.py": "".join(
        f"def f{n}(self, data):\n    return {{'k{n}': (1.5, {n}, b'x')}}\n" for n in range(300)
    ),
}
BUDGET = {"unzipped": "200 kB", "warn": "190 kB"}
RECIPE = """
name = "demo"
requirements = ["demo"]
[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"
[proof]
imports = ["demo.failing"]
[budget]
{budget}
[bytecode]
mode = "{mode}"
"""


def found(python: tuple[int, int]) -> Interpreter:
    try:
        return compiler_of(python, os.environ)
    except MissingToolError as error:
        pytest.skip(f"LEFT OUT: {error.message}")


def magic_of(interpreter: Interpreter) -> bytes:
    words = [str(interpreter.path), "-c", "import importlib.util as u; print(u.MAGIC_NUMBER.hex())"]
    return bytes.fromhex(subprocess.run(words, capture_output=True, check=True, text=True).stdout)


def compiled(
    interpreter: Interpreter, folder: Path, sources: Mapping[str, str], order: Sequence[str]
) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    units = [Unit("part", path, len(sources[path]), sources[path].encode) for path in order]
    made = compile_all(units, OnHost(interpreter), magic_of(interpreter), folder, Task())
    return dict(zip(order, made, strict=True))


@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13)])
def test_bytes_are_the_same_from_any_process(
    python: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = found(python)
    library = interpreter.path.parent.parent / "lib" / interpreter.path.name / "email"
    texts = {f"python/email/{path.name}": path.read_text("utf-8") for path in sorted(library.glob("*.py"))}
    sources = {**SOURCES, **texts}
    first = compiled(interpreter, tmp_path / "a", sources, sorted(sources))
    assert {path for path, content in first.items() if not content} == {"python/demo/template.py"}
    for seed in ("1", "77"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        monkeypatch.setenv("PYTHONOPTIMIZE", "2")
        monkeypatch.setenv("self_name", "data")
        order = sorted(sources)
        random.Random(seed).shuffle(order)  # noqa: S311 - an order, no secret
        monkeypatch.setattr(os, "cpu_count", lambda count=int(seed) % 5: count)
        assert compiled(interpreter, tmp_path / f"another folder {seed}", sources, order) == first


def test_a_source_that_ends_the_process_is_left_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\nfrom lamina_inside import compiled\n"
        "import lamina_inside\n"
        "def fragile(path, source):\n"
        "    if source.startswith(b'# ends'):\n        os.kill(os.getpid(), 9)\n"
        "    return compiled(path, source)\n"
        "lamina_inside.compiled = fragile\nlamina_inside.main(*sys.argv[1:])\n"
    )
    from lamina.bytecode import compilers

    (tmp_path / "lamina_inside.py").write_bytes(compilers._PROGRAM.read_bytes())
    monkeypatch.setattr(compilers, "_PROGRAM", program)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    sources = {f"python/{number}.py": f"# {'ends' if number in {0, 3} else 'fine'}" for number in range(6)}
    made = compiled(found((3, 11)), tmp_path / "work", sources, sorted(sources))
    assert [path for path, content in made.items() if not content] == ["python/0.py", "python/3.py"]


def test_a_source_that_takes_all_memory_is_left_without(tmp_path: Path) -> None:
    """``finally`` in ``finally`` is compiled twice at each level: a kilobyte of source, more than 12 GiB."""
    lines = ["def f():"]
    for depth in range(1, 20):
        lines += [" " * depth + "try:", " " * depth + " return 1", " " * depth + "finally:"]
    sources = {"python/a.py": "a = 1", "python/bomb.py": "\n".join([*lines, " " * 20 + "a"]), "python/c.py": "c = 1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    made = compiled(found((3, 11)), tmp_path / "work", sources, sorted(sources))
    assert [path for path, content in made.items() if not content] == ["python/bomb.py"]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 2.1 * 1024**2)  # KiB


def test_a_source_that_takes_for_ever_is_left_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.bytecode import compilers

    program = tmp_path / "program.py"
    text = compilers._PROGRAM.read_text("utf-8")
    program.write_text(text.replace("_SECONDS, _SECONDS_A_BYTE = 10.0, 2.0", "_SECONDS, _SECONDS_A_BYTE = 0.5, 0"))
    assert program.read_text() != text
    monkeypatch.setattr(compilers, "_PROGRAM", program)
    slow = "# coding: punycode\n" + "a" * 1_000_000 + "-" + "b" * 1_000_000  # in one call of the codec, quadratic
    sources = {"python/a.py": "a = 1", "python/slow.py": slow, "python/z.py": "z = 1"}
    made = compiled(found((3, 11)), tmp_path / "work", sources, sorted(sources))
    assert [path for path, content in made.items() if not content] == ["python/slow.py"]


def test_bytecode_of_another_python_is_refused(tmp_path: Path) -> None:
    interpreter = found((3, 11))
    with pytest.raises(MissingToolError) as caught:
        compile_all([Unit("part", "python/a.py", 1, lambda: b"a")], OnHost(interpreter), b"ab\r\n", tmp_path, Task())
    assert caught.value.message == (
        f"{interpreter.path}: writes bytecode of magic number {magic_of(interpreter).hex()}; the runtime's is 61620d0a"
    )


class Layer:
    """A project of one forged wheel, built in one mode."""

    def __init__(self, root: Path, make_wheel: Callable[..., bytes], mode: str, **budget: str) -> None:
        root.mkdir()
        self.root, self.store, self.asked = root, Store(root / "store"), 0
        content = make_wheel("demo", "1.0", {path.removeprefix("python/"): text for path, text in SOURCES.items()})
        self.wheel = root / "demo-1.0-py3-none-any.whl"
        self.wheel.write_bytes(content)
        (root / "recipes" / "locks").mkdir(parents=True)
        self.path = root / "recipes" / "demo.toml"
        limits = "\n".join(f'{key} = "{value}"' for key, value in (budget or BUDGET).items())
        self.path.write_text(RECIPE.format(mode=mode, budget=limits))
        sha256 = hashlib.sha256(content).hexdigest()
        locked = locks.LockedWheel("demo", "1.0", self.wheel.name, sha256, len(content))
        recipe = recipes.load(self.path)
        [target] = recipes.targets(recipe)
        lock = locks.Lock(target.name, "hand", locks.inputs_digest(recipe, target), (locked,), "demo")
        locks.lock_path(self.path, "demo", target).write_text(locks.render(lock))
        self.order = projects.order(projects.Project(self.path, root, root / "dist"), recipe, target)

    def build(self, find: Callable[[], Compiler] | None = None) -> Built:
        import datetime as dt

        def counted() -> Compiler:
            self.asked += 1
            return OnHost(found((3, 11))) if find is None else find()

        today = dt.date(2026, 11, 22)
        return build(
            self.order,
            store=self.store,
            fetch=lambda wheels: {wheel.sha256: self.wheel for wheel in wheels},
            today=today,
            progress=SILENT,
            find=counted,
        )

    def unpacked(self) -> Path:
        folder = self.root / "opt"
        with zipfile.ZipFile(self.root / "dist" / f"{self.order.name}.zip") as archive:
            assert archive.testzip() is None
            archive.extractall(folder)
        return folder / "python"


CODE = """
import json, sys, traceback
import demo.failing, demo.names
try:
    demo.failing.fail()
except ValueError as error:
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
print(json.dumps([demo.failing.__cached__, frames[-1], sorted(demo.X)]))
"""


def said(folder: Path, *arguments: str) -> str:
    words = [str(found((3, 11)).path), "-s", "-S", "-B", *arguments]
    return subprocess.run(words, env={"PYTHONPATH": str(folder)}, capture_output=True, check=True, text=True).stdout


def ran(folder: Path) -> list[object]:
    answer: list[object] = json.loads(said(folder, "-c", CODE))
    return answer


ASKED = """
import importlib.resources, importlib.util, json, pkgutil, runpy, sys
import demo
ran = runpy.run_module("demo.names")["self_name"]
print(json.dumps([
    sorted(module.name for module in pkgutil.iter_modules(demo.__path__)),
    ran,
    sorted(entry.name for entry in importlib.resources.files(demo).iterdir() if entry.suffix in {".py", ".pyc"}),
    importlib.util.find_spec("demo.large").loader.__class__.__name__,
]))
"""


def test_what_asks_for_modules_finds_them_without_sources(tmp_path: Path, make_wheel: Callable[..., bytes]) -> None:
    layer = Layer(tmp_path / "a", make_wheel, "sourceless")
    layer.build()
    folder = layer.unpacked()
    names = ["failing", "large", "names"]
    files = sorted([*(f"{name}.pyc" for name in ("__init__", *names)), "template.py"])
    answer = json.loads(said(folder, "-c", ASKED))
    assert answer == [[*names, "template"], "data", files, "SourcelessFileLoader"]
    assert said(folder, "-m", "demo.names") == ""


@pytest.mark.parametrize("mode", ["all", "fit", "sourceless"])
def test_a_layer_runs_from_its_bytecode_and_tells_lambdas_paths(
    mode: str, tmp_path: Path, make_wheel: Callable[..., bytes]
) -> None:
    layer = Layer(tmp_path / "a", make_wheel, mode)
    built = layer.build()
    assert built.notes == ("bytecode: python/demo/template.py of the sources do not compile, and ship without",)
    folder = layer.unpacked()
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    names = ("__init__", "failing", "large", "names")
    if mode == "sourceless":
        want = {f"demo/{name}.pyc" for name in names} | {"demo/template.py"}
        cached = str(folder / "demo" / "failing.pyc")
    else:
        want = {f"demo/__pycache__/{name}.cpython-311.pyc" for name in names} | {
            path.removeprefix("python/") for path in SOURCES
        }
        cached = str(folder / "demo" / "__pycache__" / "failing.cpython-311.pyc")
    record = folder / "demo-1.0.dist-info" / "RECORD"
    assert want == {path for path in paths if path.startswith("demo/")}
    assert {row[0] for row in csv.reader(record.read_text().splitlines())} == paths
    # Beside a source, Python tells the path that it found the source at; what stands in the bytecode is Lambda's.
    shown = "/opt/python/demo/failing.py" if mode == "sourceless" else str(folder / "demo" / "failing.py")
    assert ran(folder) == [cached, shown, []]
    assert all(b"/opt/python/demo/" in path.read_bytes() for path in folder.rglob("*.pyc"))
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in folder.rglob("*.pyc"))
    [package] = built.manifest.packages
    sizes = [path.stat().st_size for path in folder.rglob("*.pyc")]
    assert package.bytecode_bytes == sum(sizes)
    version = ".".join(map(str, found((3, 11)).version))
    assert built.manifest.bytecode == manifests.Bytecode(version, len(sizes), sum(sizes))
    assert built.manifest.unzipped_bytes == sum(
        path.stat().st_size for path in folder.parent.rglob("*") if path.is_file()
    )
    # A second build asks for no interpreter, and another machine's has the same digest.
    asked = layer.asked
    assert layer.build().warm
    assert layer.asked == asked == 1
    other = Layer(tmp_path / "another place", make_wheel, mode).build()
    assert other.manifest.sha256 == built.manifest.sha256


def test_without_room_the_proofs_imports_come_first(tmp_path: Path, make_wheel: Callable[..., bytes]) -> None:
    built = Layer(tmp_path / "a", make_wheel, "all").build()
    [package] = built.manifest.packages
    plain = built.manifest.unzipped_bytes - int(package.bytecode_bytes)
    layer = Layer(tmp_path / "b", make_wheel, "fit", warn=f"{plain + 2500} B")
    built = layer.build()
    folder = layer.unpacked()
    assert sorted(path.name for path in folder.rglob("*.pyc")) == [
        "__init__.cpython-311.pyc",
        "failing.cpython-311.pyc",
        "names.cpython-311.pyc",
    ]
    assert built.manifest.unzipped_bytes <= plain + 2500
    assert built.notes == ("bytecode: python/demo/template.py of the sources do not compile, and ship without",)
    assert built.manifest.findings == ()
    built = Layer(tmp_path / "d", make_wheel, "fit", unzipped=f"{plain + 2500} B").build()  # below the default of warn
    assert (built.manifest.findings, built.manifest.bytecode) == ((), layer.build().manifest.bytecode)
    built = Layer(tmp_path / "c", make_wheel, "fit", warn=f"{plain + 600} B").build()
    assert built.notes[0] == (
        "bytecode: the budget leaves no room for 1 of the modules that the proof loads; "
        "they are compiled at each cold start"
    )


def test_without_an_interpreter_the_layer_is_built_without(tmp_path: Path, make_wheel: Callable[..., bytes]) -> None:
    def missing() -> Compiler:
        raise MissingToolError("there is none", hint="Get one.")

    layer = Layer(tmp_path / "a", make_wheel, "all")
    built = layer.build(missing)
    assert built.notes == ("bytecode: the layer is built without: there is none. Get one.",)
    assert not [*layer.unpacked().rglob("*.pyc")]
    assert layer.build(missing).warm
    # As soon as there is one, what was remembered without it no longer counts.
    again = layer.build()
    assert not again.warm
    assert again.notes == ("bytecode: python/demo/template.py of the sources do not compile, and ship without",)


def test_damaged_bytecode_is_made_again(tmp_path: Path, make_wheel: Callable[..., bytes]) -> None:
    layer = Layer(tmp_path / "a", make_wheel, "all")
    built = layer.build()
    [package] = built.manifest.packages
    assert package.bytecode_bytes
    for path in layer.store.root.joinpath("parts").rglob("*.data"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    again = layer.build()
    assert not again.warm
    assert again.manifest == built.manifest


def test_without_an_interpreter_here_the_base_image_compiles(
    base_image: str, tmp_path: Path, make_wheel: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a stand-in for AWS's image; an interpreter of the same version here writes the same bytes."""
    monkeypatch.setattr("lamina.interpreters.candidates", lambda *_: iter(()))
    monkeypatch.setenv("LAMINA_BASE_IMAGE", base_image)
    monkeypatch.delenv("LAMINA_PYTHON", raising=False)
    layer = Layer(tmp_path / "a", make_wheel, "all")
    made = []

    def find() -> Compiler:
        compiler = compiler_for(layer.order, os.environ, offline=True, progress=SILENT)
        assert isinstance(compiler, InImage)
        made.append(compiler)
        return compiler

    built = layer.build(find)
    [compiler] = made
    assert "_room" not in vars(compiler)
    assert isinstance(built.manifest.bytecode, manifests.Bytecode)
    assert (built.manifest.bytecode.compiler[:5], built.manifest.bytecode.modules) == ("3.11.", 4)
    folder = layer.unpacked()
    monkeypatch.undo()
    magic = magic_of(found((3, 11)))
    assert all(path.read_bytes()[:8] == magic + b"\x01\0\0\0" for path in folder.rglob("*.pyc"))
    assert ran(folder)[0] == str(folder / "demo" / "__pycache__" / "failing.cpython-311.pyc")
    for path in {"/usr/bin/python3.11", str(found((3, 11)).path)}:
        version = tuple(map(int, built.manifest.bytecode.compiler.split(".")))
        monkeypatch.setenv("LAMINA_PYTHON", path)
        if compiler_of((3, 11), os.environ).version == version:
            other = Layer(tmp_path / "b", make_wheel, "all")
            here = other.build(lambda: OnHost(compiler_of((3, 11), os.environ)))
            assert here.manifest.sha256 == built.manifest.sha256
            break
