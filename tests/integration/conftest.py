"""What integration tests need: the command line as users run it, a shared store, and the index."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

from lamina import lock as locks
from lamina import recipe as recipes
from lamina.engine.connect import connect
from lamina.errors import MissingToolError

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that the tests run in."""
    return ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a build reads of this repository: recipes with their locks, and layers."""
    folder = tmp_path / "project"
    for name in ("recipes", "layers"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
    return folder


Lamina = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def lamina(project: Path, shared_store: Path) -> Iterator[Lamina]:
    """Run ``lamina`` in the project with the shared store; returns the finished process."""

    def run(
        *arguments: str, cwd: Path = project, env: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LAMINA_CACHE": str(shared_store), **(env or {})}
        command = [python, "-m", "lamina", *arguments]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False
        )

    return run


FORGED = """
name = "forged"
description = "packages that no index has"
requirements = ["alpha", "beta", "gamma"]
find-links = ["wheels"]

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"
"""


class Forged(NamedTuple):
    """A project whose recipe, lock and wheels were made by hand, so that a build needs nothing but this folder."""

    root: Path

    @property
    def output(self) -> Path:
        """Where the artefacts go."""
        return self.root / "dist"

    @property
    def zip(self) -> Path:
        """The layer."""
        return self.output / "forged-cp311-manylinux2014_x86_64.zip"

    @property
    def command(self) -> list[str]:
        """What builds it, without any network."""
        return [sys.executable, "-m", "lamina", "build", "forged", "--offline"]

    @staticmethod
    def environment(store: Path, **more: str) -> dict[str, str]:
        """The environment for it, with a store of its own."""
        return {**os.environ, "LAMINA_CACHE": str(store), **more}

    def build(self, store: Path, *, umask: int = -1, **more: str) -> str:
        """Build it to the end; returns the zip's SHA-256 and makes sure that the zip is whole."""
        env = self.environment(store, **more)
        done = subprocess.run(self.command, cwd=self.root, env=env, umask=umask, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        with zipfile.ZipFile(self.zip) as archive:
            assert archive.testzip() is None
        return hashlib.sha256(self.zip.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def forge_project(make_wheel: Callable[..., bytes], make_elf: Callable[[bytes], bytes]) -> Callable[..., Forged]:
    """Make a project of forged wheels in a folder; ``modules`` says how many modules each wheel has."""

    def forge(root: Path, modules: int = 5) -> Forged:
        (root / "wheels").mkdir(parents=True)
        (root / "recipes" / "locks").mkdir(parents=True)
        path = root / "recipes" / "forged.toml"
        path.write_text(FORGED)
        locked = []
        for name in ("alpha", "beta", "gamma"):
            filename = f"{name}-1.0-py3-none-any.whl"
            files = _files(name, modules, make_elf)
            content = make_wheel(name, "1.0", files, metadata=_metadata(name), stored=name == "beta")
            (root / "wheels" / filename).write_bytes(content)
            locked.append(locks.LockedWheel(name, "1.0", filename, hashlib.sha256(content).hexdigest(), len(content)))
        recipe = recipes.load(path)
        (target,) = recipes.targets(recipe)
        lock = locks.Lock(target.name, "hand", locks.inputs_digest(recipe, target), tuple(locked), recipe.name)
        locks.lock_path(path, recipe.name, target).write_text(locks.render(lock))
        overlay = root / "layers" / "forged" / "overlay" / "lib"
        overlay.mkdir(parents=True)
        (overlay / "libx.so.1").write_bytes(make_elf(bytes(100)))
        return Forged(root)

    return forge


def _files(name: str, modules: int, make_elf: Callable[[bytes], bytes]) -> dict[str, str | bytes]:
    """A package of everything that a layer treats in its own way, with as many modules as asked for."""
    body = "".join(f"def function_{number}(x):\n    return x + {number}, 'name {number}'\n\n" for number in range(200))
    files: dict[str, str | bytes] = {
        f"{name}/m{number}.py": f"import os\n# {number}\n{body}" for number in range(modules)
    }
    data = f"{name}-1.0.data"
    return files | {
        f"{name}/__init__.py": f"from {name}.tests import util\nNAME = 'table.csv'\n",
        f"{name}/tests/__init__.py": "",
        f"{name}/tests/util.py": "from . import helper\n",
        f"{name}/tests/helper.py": f"import importlib\ndef f(x):\n    importlib.import_module(f'{name}.docs.{{x}}')\n",
        f"{name}/tests/test_x.py": body,
        f"{name}/docs/a.py": "import alpha.examples.b\n",
        f"{name}/docs/table.csv": "1,2\n",
        f"{name}/examples/b.py": "",
        f"{name}/native.so": make_elf(bytes(range(256)) * (20 * modules)),
        f"{name}/ünïcödé.txt": "ünïcödé\n" * 9,
        f"{name}/x.h": "int x;\n",
        f"{name}/py.typed": "",
        "shared/data.txt": "shared\n" * 9,
        f"{data}/scripts/{name}-tool": "#!python\nprint()\n",
        f"{data}/data/share/{name}.txt": "data\n",
        f"{data}/headers/{name}.h": "",
    }


def _metadata(name: str) -> dict[str, str]:
    """Metadata with everything that a parser could see otherwise on another Python."""
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nAuthor: Jörg Åström\nSummary: a: b; c=d\n"
    head += "License: Long\n        text\n\t|of several\n        lines\nLicense-File: TERMS\nKeywords: ,x , y\n"
    head += f"Home-page: https://example.invalid/{name}\nClassifier: License :: OSI Approved :: MIT License\n"
    head += "Requires-Dist: alpha; extra == 'x'\nProject-URL: Source, https://example.invalid/source?a=b\n"
    head += f'Author-email: "A, B" <a@example.invalid>\nX-Long: {"x" * 300}\n'
    return {
        "METADATA": head + "\nA description.\nName: none\n",
        "entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n[plug.ins]\nx = {name}.docs.a\n",
        "TERMS": f"Terms of {name}\r\n\fnext page\r\n\u2028line\n",
        "licenses/LICENSE": "MIT\n" * 20,
        "INSTALLER": "hand\n",
    }


@pytest.fixture(scope="session")
def base_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a stand-in for AWS's base image, in a container engine that this session reaches.

    The engine is the one that answers, else Debian's, started for this session; the image that of LAMINA_BASE_IMAGE,
    else one made by scripts/base_image.py.
    """
    stated = os.environ.get("LAMINA_BASE_IMAGE")
    lacking = [name for name in ("dockerd", "debootstrap") if shutil.which(name, path=_SBIN) is None]
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as after:
        if not _answers(os.environ):
            if sys.platform != "linux" or os.getuid() or "dockerd" in lacking:
                pytest.skip(
                    "LEFT OUT: proofs in containers: no engine answers, and none can be started (root, docker.io)"
                )
            patch.setenv("DOCKER_HOST", after.enter_context(_dockerd()))
        if stated:
            yield stated
            return
        if os.getuid() or "debootstrap" in lacking:
            pytest.skip(
                "LEFT OUT: proofs in containers: no image; debootstrap as root, or LAMINA_BASE_IMAGE, gives one"
            )
        name = "lamina-standin:3.11"
        said = _standin(name, tmp_path_factory)
        if said:
            pytest.skip(f"LEFT OUT: proofs in containers: no image could be made: {said}")
        yield name


def _standin(name: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make the stand-in, once for all workers, each of which has an engine of its own; why it could not be made."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # above the folders of the single workers
    archive = folder / "standin.tar"
    with FileLock(folder / "standin.lock"), contextlib.closing(connect(os.environ)) as engine:
        if archive.exists():
            with archive.open("rb") as file:
                engine.load(iter(partial(file.read, 1 << 20), b""))
            return ""
        command = [sys.executable, str(ROOT / "scripts" / "base_image.py"), name]
        env = {**os.environ, "PATH": _SBIN, "TMPDIR": str(tmp_path_factory.mktemp("image"))}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            return done.stderr[-400:]
        with archive.open("wb") as file:
            file.writelines(engine.save(name))
    return ""


#: Daemons stand where a user's PATH does not lead.
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@contextlib.contextmanager
def _dockerd() -> Iterator[str]:
    """Debian's engine with a socket and folders of its own, ended at the end."""
    with tempfile.TemporaryDirectory(prefix="lamina-engine-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        host = f"unix://{folder}/docker.sock"
        command = ["dockerd", "-H", host, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
        command += ["-p", f"{folder}/pid", "--iptables=false", "--bridge=none"]
        env = {**os.environ, "PATH": _SBIN}
        log = folder / "log"
        with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, env=env) as daemon:
            try:
                until = time.monotonic() + 60
                while not (folder / "docker.sock").exists() or not _answers({"DOCKER_HOST": host}):
                    if daemon.poll() is not None or time.monotonic() > until:
                        said = log.read_text().splitlines()[-1:]
                        pytest.skip(f"LEFT OUT: proofs in containers: dockerd does not start here: {said}")
                    time.sleep(0.1)
                yield host
            finally:
                daemon.terminate()
                daemon.wait(60)


def _answers(environment: Mapping[str, str]) -> bool:
    try:
        connect(environment).close()
    except MissingToolError:
        return False
    return True


class Registry(NamedTuple):
    """A registry of Debian's ``docker-registry`` on loopback: ``host:port``, its folder of data, its log."""

    host: str
    data: Path
    log: Path

    def requests(self) -> list[str]:
        """What was asked of it so far, as ``METHOD path status``."""
        found = re.findall(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d+)', self.log.read_text(errors="replace"))
        return [" ".join(line) for line in found]


@pytest.fixture(scope="session")
def start_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Registry]]:
    """Start a registry; what is given is the ``auth:`` block of its configuration. All end with the session."""
    if shutil.which("docker-registry") is None:
        pytest.skip("LEFT OUT: registries: docker-registry is not installed (Debian: docker-registry)")
    with contextlib.ExitStack() as running:
        yield lambda auth: running.enter_context(_registry(tmp_path_factory.mktemp("registry"), auth))


@pytest.fixture(scope="session")
def registry(start_registry: Callable[[str], Registry]) -> str:
    """``host:port`` of a real registry on loopback, which speaks http and asks for no password."""
    return start_registry("").host


@contextlib.contextmanager
def _registry(folder: Path, auth: str) -> Iterator[Registry]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = Registry(f"127.0.0.1:{port}", folder / "data", folder / "log")
    config = folder / "config.yml"
    # No cache of descriptors: what a test damages on the disk is damaged at once.
    config.write_text(
        f"version: 0.1\nlog: {{level: info}}\nhttp: {{addr: '{found.host}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {found.data}}}, delete: {{enabled: true}}}}\n{auth}"
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
    with found.log.open("w") as log:
        command = ["docker-registry", "serve", str(config)]
        with subprocess.Popen(command, stdout=log, stderr=log, env=env) as server:
            try:
                _listening(server, port, found.log)
                yield found
            finally:
                server.terminate()


def _listening(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert server.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < until, "docker-registry does not listen"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def podman(base_image: str) -> Iterator[str]:
    """The address of a Podman service of this session's own, which has the stand-in under its name as well."""
    lacking = [name for name in ("podman", "runc") if shutil.which(name, path=_SBIN) is None]
    if sys.platform != "linux" or os.getuid() or lacking:
        pytest.skip("LEFT OUT: Podman: it needs Linux, root, podman and runc")
    with contextlib.ExitStack() as after:
        folder = Path(after.enter_context(tempfile.TemporaryDirectory(prefix="lamina-podman-")))
        # Where this machine's limits are low, Podman's own defaults are refused.
        (folder / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        said = ""
        for driver in ("overlay", "vfs"):
            try:
                host = after.enter_context(_podman(folder, driver, base_image))
            except RuntimeError as error:
                said = str(error)
            else:
                yield host
                return
        pytest.skip(f"LEFT OUT: Podman: it runs no container here: {said}")


@contextlib.contextmanager
def _podman(folder: Path, driver: str, image: str) -> Iterator[str]:
    """The service with one storage driver. Raises RuntimeError where it runs no container of the image."""
    import docker

    own = folder / driver
    own.mkdir()
    host = f"unix://{own}/podman.sock"
    options = ["--root", f"{own}/root", "--runroot", f"{own}/run", "--storage-driver", driver]
    env = {**os.environ, "PATH": _SBIN, "CONTAINERS_CONF": str(folder / "containers.conf")}
    log = own / "log"
    with log.open("w") as out, contextlib.ExitStack() as after:
        command = ["podman", *options, "system", "service", "--time=0", host]
        service = after.enter_context(subprocess.Popen(command, stdout=out, stderr=out, env=env))
        after.callback(subprocess.run, ["umount", f"{own}/root/{driver}"], stderr=out, check=False)
        after.callback(service.wait, 60)
        after.callback(service.terminate)
        until = time.monotonic() + 60
        while not (own / "podman.sock").exists() or not _answers({"DOCKER_HOST": host}):
            if service.poll() is not None or time.monotonic() > until:
                raise RuntimeError(log.read_text()[-300:])
            time.sleep(0.1)
        ours, theirs = docker.from_env(timeout=300), docker.DockerClient(base_url=host, timeout=300)
        after.callback(theirs.close)
        after.callback(ours.close)
        try:
            theirs.images.load(b"".join(ours.images.get(image).save(named=True)))
            theirs.containers.run(image, entrypoint=["/bin/true"], network_mode="none", remove=True)
        except docker.errors.DockerException as error:
            raise RuntimeError(str(error)[-300:]) from error
        yield host
