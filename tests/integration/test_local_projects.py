"""Local projects as users have them: real backends from the index, the command line, the layer that comes of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("index")

Lamina = Callable[..., "subprocess.CompletedProcess[str]"]

NAME = "mono-cp311-manylinux_2_26_x86_64"

HATCHLING = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "shared-lamina-test"
version = "1.0"
dependencies = ["six==1.16.0"]
[tool.hatch.build.targets.wheel]
packages = ["src/shared"]
"""

SETUPTOOLS = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "app-lamina-test"
version = "0.1.dev3"
dependencies = ["shared-lamina-test>=1"]
[project.optional-dependencies]
more = ["idna==3.10"]
[project.scripts]
app = "app:main"
[tool.setuptools]
packages = ["app"]
[tool.uv.sources]
shared-lamina-test = { workspace = true }
"""


class Mono:
    """A repository with two projects, of which one needs the other, and a recipe of both."""

    def __init__(self, root: Path, store: Path, lamina: Lamina) -> None:
        self.root, self.store, self._lamina = root, store, lamina
        self.write("packages/shared/pyproject.toml", HATCHLING)
        self.write("packages/shared/src/shared/__init__.py", "import six\nVALUE = 1\n")
        self.write("app/pyproject.toml", SETUPTOOLS)
        self.write("app/app/__init__.py", "import shared\ndef main():\n    print('value', shared.VALUE)\n")
        self.recipe('"./app[more]"', '"./packages/shared"')

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def recipe(self, *requirements: str) -> None:
        target = '[[target]]\npython = "cp311"\narchitecture = "x86_64"\n'
        self.write("recipes/mono.toml", f'name = "mono"\nrequirements = [{", ".join(requirements)}]\n{target}')

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = self._lamina(*arguments, cwd=self.root, env={"LAMINA_CACHE": str(self.store)})
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    def build(self, *arguments: str) -> str:
        """The digest of the layer."""
        told = json.loads(self.run("build", "mono", "--json", *arguments).stdout)
        return str(told[0]["manifest"]["sha256"])

    def names(self) -> list[str]:
        with zipfile.ZipFile(self.root / "dist" / f"{NAME}.zip") as archive:
            return archive.namelist()

    @property
    def lock(self) -> str:
        return (self.root / "recipes" / "locks" / f"{NAME}.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds nothing of these projects before."""
    return tmp_path_factory.mktemp("local-store")


@pytest.fixture
def mono(tmp_path: Path, store: Path, lamina: Lamina) -> Iterator[Mono]:
    return Mono(tmp_path / "mono", store, lamina)


def test_two_projects_from_lock_to_layer(mono: Mono) -> None:
    before = sorted(mono.root.rglob("*"))
    done = mono.run("lock", "mono")
    assert "building ./app\nbuilding ./packages/shared\n" in done.stderr
    assert "2 wheels" in done.stdout
    assert done.stdout.rstrip().endswith("2 local projects")
    lines = mono.lock.splitlines()
    assert [line.split()[:4] for line in lines if line.startswith("# local")] == [
        ["#", "local:", "./app", "app-lamina-test"],
        ["#", "local:", "./packages/shared", "shared-lamina-test"],
    ]
    assert [line.partition(" ")[0] for line in lines if not line.startswith("#")] == ["idna==3.10", "six==1.16.0"]

    mono.build()
    names = mono.names()
    assert {"python/app/__init__.py", "python/shared/__init__.py", "python/six.py", "bin/app"} <= set(names)
    assert [path for path in sorted(mono.root.rglob("*")) if {"app", "packages"} & set(path.parts)] == [
        path for path in before if {"app", "packages"} & set(path.parts)
    ]  # setuptools leaves nothing in the sources

    folder = mono.root / "opt"
    shutil.unpack_archive(mono.root / "dist" / f"{NAME}.zip", folder)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import app; app.main()"
    used = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code, str(folder / "python")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (used.stdout, used.stderr) == ("value 1\n", "")


def test_over_budget_a_recipe_of_projects_tells_what_could_go(mono: Mono) -> None:
    mono.run("lock", "mono")
    path = mono.root / "recipes" / "mono.toml"
    path.write_text(path.read_text() + '[budget]\nunzipped = "1 KiB"\nwarn = "1 KiB"\n')
    done = mono.run("build", "mono", code=1)
    assert "over-budget" in done.stdout
    assert f"lamina image mono --target {NAME.removeprefix('mono-')}" in done.stdout
    assert "idna 3.10, which another package requires" in done.stdout
    assert "app-lamina-test 0.1.dev3, which another package requires" not in done.stdout


def test_an_edit_of_code_needs_no_new_lock(mono: Mono) -> None:
    mono.run("lock", "mono")
    locked, first = mono.lock, mono.build()
    assert mono.build() == first
    mono.edit("packages/shared/src/shared/__init__.py", "VALUE = 1", "VALUE = 2")
    done = mono.run("build", "mono")
    assert "building ./packages/shared\n" in done.stderr
    assert "building ./app" not in done.stderr
    assert mono.build() != first
    mono.run("lock", "mono", "--check")
    assert "unchanged" in mono.run("lock", "mono").stdout
    assert mono.lock == locked
    mono.edit("packages/shared/src/shared/__init__.py", "VALUE = 2", "VALUE = 1")
    assert mono.build() == first


def test_an_edit_of_dependencies_makes_the_lock_stale(mono: Mono) -> None:
    mono.run("lock", "mono")
    mono.edit("packages/shared/pyproject.toml", 'version = "1.0"', 'version = "1.1"')
    mono.run("build", "mono")
    mono.edit("packages/shared/pyproject.toml", "six==1.16.0", "six==1.17.0")
    stale = (
        f"error: recipes/locks/{NAME}.txt: stale: ./packages/shared states other dependencies, extras or Pythons than "
        "when it was locked\nRenew it: lamina lock mono\n"
    )
    assert mono.run("build", "mono", code=1).stderr.endswith(stale)
    assert mono.run("lock", "mono", "--check", code=1).stderr.endswith(stale)
    done = mono.run("lock", "mono")
    assert "  six 1.16.0 -> 1.17.0\n  ./packages/shared (shared-lamina-test) states other dependencies\n" in done.stdout
    mono.build()

    mono.edit("packages/shared/pyproject.toml", 'version = "1.1"', 'version = "0.9"')
    said = mono.run("build", "mono", code=1).stderr
    assert f"{NAME}.txt: stale: ./app asks for shared-lamina-test>=1, and ./packages/shared is 0.9\n" in said
    assert "shared-lamina-test" in mono.run("lock", "mono", code=3).stderr


def test_equal_sources_give_equal_layers_wherever_they_stand(mono: Mono, tmp_path: Path, lamina: Lamina) -> None:
    mono.run("lock", "mono")
    first = mono.build()
    other = Mono(tmp_path / "elsewhere", tmp_path / "other store", lamina)
    (other.root / "packages").rename(other.root / "libs")
    other.recipe('"./app[more]"', '"./libs/shared"')
    for path in other.root.rglob("*.py"):
        path.chmod(0o755)
    other.run("lock", "mono")
    assert other.build() == first


def test_a_warm_build_builds_nothing_and_imports_nothing_heavy(mono: Mono) -> None:
    mono.run("lock", "mono")
    mono.build()
    script = """
import sys
def watch(event, arguments):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
        raise SystemExit(f"a warm build did this: {event} {arguments}")
sys.addaudithook(watch)
from lamina.cli import run
code = run(["build", "mono", "--json", "--quiet"])
heavy = {"requests", "rich", "packaging", "filelock", "platformdirs", "zipfile", "uv", "pypi_simple", "shutil",
         "tempfile", "subprocess", "lamina.wheel", "lamina.local.wheel", "lamina.local.backend", "lamina.resolve"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=mono.root,
        env={**os.environ, "LAMINA_CACHE": str(mono.store)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["warm"]
    assert done.stderr == "[]\n"


def test_what_the_store_loses_is_built_again(mono: Mono) -> None:
    mono.run("lock", "mono")
    first = mono.build()
    for path in [*(mono.store / "wheels").rglob("*.whl")]:
        path.write_bytes(b"damaged".ljust(path.stat().st_size))
    for path in [*(mono.store / "parts").rglob("*.data"), *(mono.store / "plans").rglob("*")]:
        if path.is_file():
            path.unlink()
    assert mono.build() == first
    shutil.rmtree(mono.store / "wheels")
    assert mono.build("--offline") == first


def test_native_code_is_refused(mono: Mono) -> None:
    mono.write("app/app/native.c", "#include <Python.h>\nPyMODINIT_FUNC PyInit_native(void) { return 0; }\n")
    mono.write("app/app/tool", "\x7fELF")
    mono.edit("app/pyproject.toml", 'packages = ["app"]', 'packages = ["app"]\npackage-data = { app = ["tool"] }')
    said = mono.run("lock", "mono", code=3).stderr
    assert "error: ./app: builds to app_lamina_test-0.1.dev3-py3-none-any.whl with app/tool: native code, and" in said


def test_a_project_that_cannot_be_built(mono: Mono) -> None:
    mono.write("app/setup.py", "raise SystemExit('the reason')\n")
    said = mono.run("lock", "mono", code=3).stderr
    assert "error: ./app: cannot be built:\n" in said
    assert "the reason\n" in said
    assert str(mono.root) not in said


def test_offline_and_the_backend_was_never_fetched(mono: Mono, tmp_path: Path, lamina: Lamina) -> None:
    env = {"LAMINA_CACHE": str(tmp_path / "empty"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    done = lamina("lock", "mono", "--offline", cwd=mono.root, env=env)
    assert done.returncode == 4
    assert done.stderr == (
        "building ./app\nerror: ./app: offline, and the index was never asked about setuptools\n"
        "Run the command once without --offline.\n"
    )


def test_a_sibling_that_was_forgotten_is_not_looked_for_on_the_index(mono: Mono) -> None:
    mono.recipe('"./app"')
    said = mono.run("lock", "mono", code=2).stderr
    assert "recipes/mono.toml: requirements: ./app: needs shared-lamina-test of its workspace\n" in said


def test_a_setup_py_alone_and_the_root_itself(mono: Mono) -> None:
    mono.write("setup.py", "from setuptools import setup\nsetup(name='rooted', version='1', py_modules=['rooted'])\n")
    mono.write("rooted.py", "X = 1\n")
    mono.recipe('"./"')
    mono.run("lock", "mono")
    mono.build()
    assert "python/rooted.py" in mono.names()
    assert mono.run("build", "mono").stdout.partition("\n")[0].endswith("(warm: composed from the store)")
