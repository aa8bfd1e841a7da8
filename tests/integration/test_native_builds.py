"""Wheels built inside a base image, by a real engine: native code, source distributions, what is refused, what stays.

The base is the stand-in of scripts/base_image.py, under names of its own, so that its containers can be told from
those of other tests.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lamina import lock as locks
from lamina import recipe as recipes
from lamina.built import metadata_digest
from lamina.engine.connect import connect

pytestmark = pytest.mark.usefixtures("index", "base_image")

NAME = "native-cp311-manylinux_2_26_x86_64"
PACKAGES = ("gcc", "libc6-dev", "libyaml-dev", "python3-dev")

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}-lamina-test"
version = "1.0"
[tool.setuptools]
packages = ["{name}"]
[[tool.setuptools.ext-modules]]
name = "{name}._native"
sources = ["{name}/_native.c"]
libraries = {libraries}
"""

CODE = """\
#include <Python.h>
#include <stdlib.h>
#include <assert.h>
{include}

static PyObject *told(PyObject *self, PyObject *arguments) {{
    assert(self != NULL);
    return {told};
}}

static PyMethodDef methods[] = {{{{"told", told, METH_NOARGS, "what the library says"}}, {{NULL, NULL, 0, NULL}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "_native", NULL, -1, methods}};

PyMODINIT_FUNC PyInit__native(void) {{ return PyModule_Create(&module); }}
"""

YAML = {"include": "#include <yaml.h>", "told": "PyUnicode_FromString(yaml_get_version_string())"}
PLAIN = {"include": "", "told": "PyLong_FromLong(6 * 7)"}
NEW = {"include": "", "told": "PyLong_FromUnsignedLong(arc4random())"}


def files(name: str, code: dict[str, str], *libraries: str) -> dict[str, str]:
    return {
        "pyproject.toml": PROJECT.format(name=name, libraries=json.dumps(libraries)),
        f"{name}/__init__.py": f"from {name}._native import told\n",
        f"{name}/_native.c": CODE.format(**code),
    }


def sdist(name: str, code: dict[str, str], *libraries: str) -> bytes:
    """A source distribution, in the form of PEP 625."""
    out = io.BytesIO()
    stem = f"{name}_lamina_test-1.0"
    about = f"Metadata-Version: 2.1\nName: {name}-lamina-test\nVersion: 1.0\n"
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, text in {**files(name, code, *libraries), "PKG-INFO": about}.items():
            info = tarfile.TarInfo(f"{stem}/{path}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


SOURCE = sdist("fromsource", YAML, "yaml")

#: What was built before in the same container is not there any more.
ALONE = """\
import os
import setuptools
assert "local" not in os.listdir(), os.listdir()
setuptools.setup()
"""


class Images(NamedTuple):
    """The stand-in twice: as it is, and with compiler and headers in it."""

    bare: str
    ready: str


@pytest.fixture(scope="module")
def images(base_image: str) -> Iterator[Images]:
    engine = connect(os.environ)
    client: Any = engine._client
    label = f"lamina-test-{os.getpid()}"
    commands = {
        "bare": ["/bin/true"],
        "ready": [
            "/bin/sh",
            "-c",
            f"apt-get -q update && apt-get -qy install --no-install-recommends {' '.join(PACKAGES)}",
        ],
    }
    made = []
    try:
        for tag, command in commands.items():
            container = client.containers.create(
                base_image, entrypoint=command, command=[], network_mode=engine.network_mode(), labels=[label]
            )
            try:
                container.start()
                assert container.wait(timeout=300)["StatusCode"] == 0
                changes = ['ENTRYPOINT ["/lambda-entrypoint.sh"]', f"LABEL {label}={tag}"]
                container.commit(label, tag, changes="\n".join(changes))
                made.append(f"{label}:{tag}")
            finally:
                container.remove(force=True)
        yield Images(*made)
    finally:
        for name in made:
            client.images.remove(name, force=True)
        engine.close()


class Work:
    """A project with a local project and a source distribution, and a store of its own."""

    def __init__(self, root: Path, image: str) -> None:
        self.root, self.image, self.store = root, image, root / "store"
        self.env: dict[str, str] = {}

    def local(self, contents: dict[str, str], project: str = "local") -> None:
        for name, text in contents.items():
            path = self.root / project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def order(self, *requirements: str, source: bytes = b"", packages: tuple[str, ...] = ()) -> None:
        """Recipe and lock; the lock is written by hand."""
        (self.root / "recipes" / "locks").mkdir(parents=True, exist_ok=True)
        (self.root / "links").mkdir(exist_ok=True)
        path = self.root / "recipes" / "native.toml"
        path.write_text(
            f'name = "native"\nrequirements = {json.dumps(requirements)}\nfind-links = ["links"]\n[[target]]\n'
            f'python = "cp311"\narchitecture = "x86_64"\n[builder]\nkind = "docker"\n'
            f"system-packages = {json.dumps(packages)}\n"
        )
        sources: tuple[locks.LockedSource, ...] = ()
        if source:
            filename = "fromsource_lamina_test-1.0.tar.gz"
            (self.root / "links" / filename).write_bytes(source)
            digest = hashlib.sha256(source).hexdigest()
            sources = (locks.LockedSource("fromsource-lamina-test", "1.0", filename, digest, len(source)),)
        names = [(path, f"{path[2:]}-lamina-test") for path in requirements if path.startswith("./")]
        local = tuple(locks.LockedLocal(path, name, metadata_digest(name, (), "", ())) for path, name in names)
        recipe = recipes.load(path)
        (target,) = recipes.targets(recipe)
        inputs = locks.inputs_digest(recipe, target)
        lock = locks.Lock(target.name, "hand", inputs, (), recipe.name, local, sources)
        locks.lock_path(path, recipe.name, target).write_text(locks.render(lock))

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "lamina", "build", "native", "--json"]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LAMINA_CACHE": str(self.store), "LAMINA_BASE_IMAGE": self.image, **self.env}

    def run(self, code: int = 0, *, command: list[str] | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command or self.command,
            cwd=self.root,
            env={**self.environment, **env},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    def manifest(self, **env: str) -> dict[str, Any]:
        [told] = json.loads(self.run(**env).stdout)
        manifest: dict[str, Any] = told["manifest"]
        return manifest

    def names(self) -> list[str]:
        with zipfile.ZipFile(self.root / "dist" / f"{NAME}.zip") as archive:
            return archive.namelist()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, images: Images) -> tuple[Work, dict[str, Any], str]:
    """A local project and a source distribution, built with packages of the image; the manifest, what was said."""
    work = Work(tmp_path_factory.mktemp("native"), images.bare)
    work.local(files("local", YAML, "yaml"))
    work.local({**files("more", PLAIN), "setup.py": ALONE}, "more")
    work.order("./local", "./more", "fromsource-lamina-test", source=SOURCE, packages=PACKAGES)
    done = work.run()
    [told] = json.loads(done.stdout)
    return work, told["manifest"], done.stderr


def test_native_code_and_a_source_distribution_become_wheels_in_the_stand_in(
    made: tuple[Work, dict[str, Any], str], images: Images
) -> None:
    work, manifest, said = made
    assert [line for line in said.splitlines() if "building" in line or "installing" in line] == [
        f"installing {', '.join(PACKAGES)} in a container of {images.bare}",
        f"building ./local in {images.bare}",
        f"building ./more in {images.bare}",
        f"building fromsource_lamina_test-1.0.tar.gz in {images.bare}",
    ]
    assert said.count("starting a container") == 2  # one builds all wheels, one compiles their modules
    wheels = {package["name"]: package["wheel"] for package in manifest["packages"]}
    assert set(wheels) == {"local-lamina-test", "more-lamina-test", "fromsource-lamina-test"}
    for wheel in wheels.values():
        assert wheel.partition("-1.0-")[2].startswith("cp311-cp311-manylinux"), wheel
    yaml = "local_lamina_test-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
    assert wheels["local-lamina-test"] == yaml
    libraries = [name for name in work.names() if "libyaml" in name]
    assert [name.split("/")[1] for name in libraries] == ["fromsource_lamina_test.libs", "local_lamina_test.libs"]
    assert manifest["findings"] == []


def test_the_layer_of_the_stand_in_loads_in_the_targets_interpreter_here(
    made: tuple[Work, dict[str, Any], str], python311: str, tmp_path: Path
) -> None:
    work, _, _ = made
    shutil.unpack_archive(work.root / "dist" / f"{NAME}.zip", tmp_path)
    script = "import local, more, fromsource; assert more.told() == 42; print(local.told(), fromsource.told())"
    script += "; print(open('/proc/self/maps').read())"
    done = subprocess.run(
        [python311, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'python')!r}); {script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    versions, _, mapped = done.stdout.partition("\n")
    first, second = versions.split()
    assert first == second
    assert first.startswith("0.2.")
    loaded = {line.split()[-1] for line in mapped.splitlines() if "libyaml" in line}
    assert loaded
    assert all(path.startswith(str(tmp_path)) for path in loaded)


def test_what_is_remembered_of_the_stand_in_needs_no_engine_and_imports_no_docker(
    made: tuple[Work, dict[str, Any], str],
) -> None:
    work, manifest, _ = made
    script = """
import sys
from lamina.__main__ import main
sys.argv = ["lamina", "build", "native", "--json"]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
heavy = {"docker", "requests", "packaging", "tarfile", "lamina.engine.room", "lamina.fetch"}
print(sorted(heavy.intersection(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
    done = work.run(command=[sys.executable, "-c", script], DOCKER_HOST="unix:///nowhere")
    [told] = json.loads(done.stdout)
    assert told["warm"]
    assert told["manifest"]["sha256"] == manifest["sha256"]
    assert done.stderr.splitlines()[-1] == "[]"


def test_other_folders_and_another_container_of_the_stand_in_give_the_same_bytes(
    made: tuple[Work, dict[str, Any], str], images: Images, tmp_path: Path
) -> None:
    _, manifest, _ = made
    other = Work(tmp_path / "somewhere" / "else", images.ready)
    other.local(files("local", YAML, "yaml"))
    other.local({**files("more", PLAIN), "setup.py": ALONE}, "more")
    other.order("./local", "./more", "fromsource-lamina-test", source=SOURCE)
    again = other.manifest(TZ="Asia/Kathmandu")
    assert [(one["wheel"], one["sha256"]) for one in again["packages"]] == [
        (one["wheel"], one["sha256"]) for one in manifest["packages"]
    ]
    assert again["sha256"] == manifest["sha256"]

    for path in [*(other.store / "wheels").rglob("*.whl"), *(other.store / "parts").rglob("*.data")]:
        path.unlink()
    assert other.manifest()["sha256"] == manifest["sha256"]


def test_a_symbol_that_is_too_new_for_the_target_is_refused_in_the_stand_in(images: Images, tmp_path: Path) -> None:
    work = Work(tmp_path, images.ready)
    work.local(files("local", NEW))
    work.order("./local")
    said = work.run(3).stderr
    wheel = "local_lamina_test-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"
    needs = "which needs glibc 2.36; cp311-manylinux_2_26_x86_64 has 2.26"
    assert f"error: ./local: builds to {wheel}, {needs}\n" in said
    assert not (tmp_path / "dist" / f"{NAME}.zip").exists()


def test_a_wheel_of_another_project_is_refused_in_the_stand_in(images: Images, tmp_path: Path) -> None:
    work = Work(tmp_path, images.ready)
    work.order("fromsource-lamina-test", source=sdist("other", PLAIN))
    said = work.run(4).stderr
    assert "error: fromsource_lamina_test-1.0.tar.gz: builds to other_lamina_test-1.0-cp311-cp311-" in said
    assert ", which is not fromsource-lamina-test 1.0\n" in said


def test_what_cannot_be_built_in_the_stand_in_says_why(images: Images, tmp_path: Path) -> None:
    work = Work(tmp_path, images.bare)
    work.local(files("local", PLAIN))
    work.order("./local")
    said = work.run(3).stderr
    assert "error: ./local: cannot be built:\n" in said
    assert "No such file or directory: 'x86_64-linux-gnu-gcc'\n" in said
    assert "system-packages of the recipe's [builder]" in said
    assert containers(images.bare) == []


def test_a_build_in_the_stand_in_reaches_no_network(images: Images, tmp_path: Path) -> None:
    work = Work(tmp_path, images.bare)
    work.local(files("local", PLAIN))
    work.local({"setup.py": "import socket\nsocket.create_connection(('192.0.2.1', 80), 5)\n"})
    work.order("./local")
    assert "OSError: [Errno 101] Network is unreachable\n" in work.run(3).stderr


def test_an_interrupt_leaves_no_container_of_the_stand_in(images: Images, tmp_path: Path) -> None:
    work = Work(tmp_path, images.bare)
    work.local(files("local", PLAIN))
    work.local({"setup.py": "import time\ntime.sleep(600)\n"})
    work.order("./local")
    with subprocess.Popen(
        work.command, cwd=work.root, env=work.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("building ./local"):
                break
        assert len(containers(images.bare)) == 1
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(60) == 130
    until = time.monotonic() + 10
    while containers(images.bare) and time.monotonic() < until:
        time.sleep(0.1)
    assert containers(images.bare) == []


def containers(image: str) -> list[str]:
    """Containers of an image, running or not."""
    with contextlib.closing(connect(os.environ)) as engine:
        client: Any = engine._client
        return [str(one.id) for one in client.containers.list(all=True, filters={"ancestor": image})]
