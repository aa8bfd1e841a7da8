"""Resolution inside the stand-in base image: as on the real one, and held against uv's."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lamina import lock as locks
from lamina import recipe as recipes
from lamina.engine.connect import connect
from lamina.engine.engine import LABEL
from lamina.errors import IndexAccessError, ResolutionError
from lamina.fetch import fetch
from lamina.index import Indexes, from_environment
from lamina.progress import SILENT
from lamina.recipe import Recipe, TargetSpec
from lamina.resolve import Resolution, docker, resolve
from lamina.store import Store
from lamina.target import Target, target_for

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "reader-51c0", "Gx7-quiet-harbour"
AL2 = target_for("cp311", architecture="x86_64")
MANYLINUX2014 = target_for("cp311", platform="manylinux2014_x86_64")
Forge = Callable[..., Path]

BACKEND = """
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    place = pathlib.Path(folder, "{name}-{version}.dist-info")
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{requires}")
    (place / "WHEEL").write_text("Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    return place.name
"""


def sdist(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """A source distribution that tells its metadata without anything from an index."""
    needed = "".join(f"Requires-Dist: {one}\\n" for one in requires)
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n',
        "own.py": BACKEND.format(name=name, version=version, requires=needed),
    }
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for place, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{place}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


class World:
    """An index in a folder, and recipes resolved from it in a container."""

    def __init__(self, root: Path, forge: Forge, image: str) -> None:
        self.root, self.forge = root, forge
        self.tree = root / "simple"
        self.links: dict[str, list[str]] = {}
        kept = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST") if name in os.environ}
        self.env = kept | {"LAMINA_CACHE": str(root / "cache"), "LAMINA_BASE_IMAGE": image, "HOME": str(root / "home")}

    def put(self, name: str, version: str, tag: str = "py3-none-any", requires: Sequence[str] = ()) -> Path:
        """Add a wheel to the index; a source distribution for the tag ``source``."""
        if tag == "source":
            path = sdist(self.root, name, version, requires)
        else:
            path = self.forge(name, version, tag=tag, requires=tuple(requires))
        self.links.setdefault(name, []).append(f'<a href="{path.as_uri()}">{path.name}</a><br>')
        folder = self.tree / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(self.links[name])}</body></html>")
        return path

    def resolve(self, *requirements: str, target: Target = AL2, **more: Any) -> Resolution:  # noqa: ANN401 - those of resolve
        stated = {key: more.pop(key) for key in ("constraints", "provided") if key in more}
        spec = TargetSpec(python=target.python, platform=target.platform)
        recipe = Recipe(name="x", requirements=requirements, target=(spec,), **{"provided": (), **stated})
        indexes = more.pop("indexes", None) or Indexes(self.tree.as_uri())
        more = {"builder": "docker", "env": self.env, **more}
        found = resolve(recipe, target, indexes=indexes, base=self.root, **more)
        assert locks.parse(locks.render(found.lock), "x") == found.lock
        locks.verify(found.lock, recipe, target, "x")
        return found


def names(found: Resolution) -> list[str]:
    return [f"{file.name} {file.version}" for file in (*found.lock.wheels, *found.lock.sources)]


@pytest.fixture(scope="module")
def tools(index: None, shared_store: Path) -> list[Path]:  # noqa: ARG001 - pip-tools comes from there
    """The wheels of pip-tools and its needs."""
    store = Store(shared_store)
    lock = locks.read(Path(docker.__file__).with_name("pip-tools.txt"))
    places = fetch(lock.wheels, store=store, indexes=from_environment(os.environ), offline=False, progress=SILENT)
    return list(places.values())


@pytest.fixture
def world(tmp_path: Path, forge: Forge, base_image: str, tools: list[Path]) -> World:
    for path in tools:
        place = Store(tmp_path / "cache").path("wheels", path.stem, ".whl")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return World(tmp_path, forge, base_image)


def test_the_target_s_glibc_is_the_ceiling_though_the_stand_in_has_more(world: World) -> None:
    world.put("numpy", "2.2.6", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64")
    world.put("numpy", "2.4.6", "cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64")
    for target in (MANYLINUX2014, AL2):
        found = world.resolve("numpy", target=target)
        assert names(found) == ["numpy 2.2.6"]
        assert found.lock.builder == "pip-tools 7.6.2 with pip 26.0.1 in docker"
        assert found.held_back[0].startswith("numpy 2.2.6 (2.4.6 needs glibc 2.27")
        assert [note for note in found.notes if "python_full_version 3.11." in note] == list(found.notes)


def test_source_distributions_are_locked_where_there_is_no_wheel_on_the_stand_in(world: World) -> None:
    path = world.put("old", "1.0", "source", ["dep"])
    world.put("dep", "1.0")
    world.put("dep", "2.0", "source")
    found = world.resolve("old")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.lock.sources == (locks.LockedSource("old", "1.0", path.name, digest, path.stat().st_size),)
    assert names(found) == ["dep 1.0", "old 1.0"]  # a wheel comes before a newer source distribution
    wanted = world.resolve("old", "dep>=2", previous=found.lock)
    assert names(wanted) == ["dep 2.0", "old 1.0"]  # unless that is what is required
    assert wanted.changes == ("dep 1.0 -> 2.0",)
    assert names(world.resolve("old", "dep>=2", previous=wanted.lock)) == ["dep 2.0", "old 1.0"]


def test_pins_stay_on_the_stand_in_until_they_are_let_go(world: World) -> None:
    world.put("app", "1.0", requires=["dep", "other; python_version < '3'", "more; extra == 'x'\nProvides-Extra: x"])
    for name in ("dep", "more"):
        world.put(name, "1.0")
    first = world.resolve("app[x]")
    assert names(first) == ["app 1.0", "dep 1.0", "more 1.0"]
    for name in ("dep", "more"):
        world.put(name, "2.0")
    kept = world.resolve("app[x]", previous=first.lock)
    assert kept.lock == first.lock
    one = world.resolve("app[x]", previous=first.lock, upgrade_packages=["dep"])
    assert one.changes == ("dep 1.0 -> 2.0",)
    every = world.resolve("app[x]", previous=first.lock, upgrade=True, constraints=("more<2",))
    assert names(every) == ["app 1.0", "dep 2.0", "more 1.0"]
    pushed = world.resolve("app[x]", "dep>1", previous=first.lock)
    assert pushed.changes == ("dep 1.0 -> 2.0",)
    same = world.resolve(
        "app[x]", previous=first.lock, builder="uv", env={**world.env, "UV_CACHE_DIR": str(world.root)}
    )
    assert same.lock == first.lock  # another builder that comes to the same result is no change
    offline = world.resolve("app[x]", previous=first.lock, offline=True)
    assert offline.lock == first.lock


def test_provided_packages_folders_and_named_indexes_on_the_stand_in(world: World, tmp_path: Path) -> None:
    world.put("app", "1.0", requires=["boto", "torch"])
    world.put("boto", "1.0", requires=["urllib"])
    world.put("urllib", "1.0")
    world.put("torch", "9.0")
    own, near = tmp_path / "own", tmp_path / "near"
    for folder, version in ((own, "1.0"), (near, "3.0")):
        folder.mkdir()
        made = world.forge("torch" if folder is own else "app", version, requires=())
        made.rename(folder / made.name)
    named = from_environment({}, named=[recipes.model.Index("own", own.as_uri(), ("torch",))]).named
    found = world.resolve("app<3", provided=("boto", "absent"), indexes=Indexes(world.tree.as_uri(), named=named))
    assert names(found) == ["app 1.0", "torch 1.0"]
    assert any("no index has absent" in note for note in found.notes)
    found = world.resolve("app", indexes=Indexes(world.tree.as_uri(), find_links=(str(near),)))
    assert names(found) == ["app 3.0"]


def test_what_cannot_be_resolved_is_explained_from_the_stand_in(world: World) -> None:
    world.put("a", "1.0", requires=["c<2"])
    world.put("b", "1.0", requires=["c>=2"])
    world.put("c", "1.0")
    world.put("c", "2.0")
    with pytest.raises(ResolutionError) as caught:
        world.resolve("a", "b")
    assert caught.value.message == (
        "the requirements contradict each other for cp311-manylinux_2_26_x86_64:\n"
        "  a 1.0 depends on c<2\n"
        "  b 1.0 depends on c>=2"
    )
    assert caught.value.exit_code == 3
    with pytest.raises(ResolutionError) as caught:
        world.resolve("nothing-of-the-kind")
    assert "nothing-of-the-kind: no index has a project of this name" in caught.value.message
    with pytest.raises(ResolutionError) as caught:
        world.resolve("c>=3")
    assert "c>=3: no version fits; the newest is 2.0" in caught.value.message
    with pytest.raises(ResolutionError, match=r"(?s)a 1\.0 depends on c<2.*constraint: c>1"):
        world.resolve("a", constraints=("c>1",))


def test_two_resolutions_in_the_stand_in_at_once(world: World) -> None:
    world.put("a", "1.0")
    world.put("b", "1.0")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(world.resolve, ("a", "b"))
    assert (names(first), names(second)) == (["a 1.0"], ["b 1.0"])


class Site:
    """The index of a world over HTTP, with a password. What path ``stalls`` is in gets no answer in time."""

    def __init__(self, world: World, stalls: str = "") -> None:
        self.reached = threading.Event()
        self.ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                if stalls and stalls in self.path:
                    outer.reached.set()
                    outer.ended.wait(60)
                steps = self.path.strip("/").split("/")
                path = (
                    world.tree / steps[-1] / "index.html" if steps[0] == "simple" else world.root / "wheels" / steps[-1]
                )
                right = self.headers.get("Authorization") == known
                body = path.read_bytes() if right and path.is_file() else b""
                body = body.replace(f"{(world.root / 'wheels').as_uri()}/".encode(), b"/files/")
                self.send_response(401 if not right else 200 if path.is_file() else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://{USER}:{PASSWORD}@127.0.0.1:{self.http.server_address[1]}/simple"

    def close(self) -> None:
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()


@contextlib.contextmanager
def locking(world: World, site: Site, label: str) -> Iterator[subprocess.Popen[str]]:
    """``lamina lock --builder docker`` in a process of its own, whose container has this label."""
    project = world.root / "project"
    (project / "recipes").mkdir(parents=True)
    (project / "recipes" / "demo.toml").write_text(
        'name = "demo"\nrequirements = ["app"]\nprovided = []\n\n[builder]\nkind = "docker"\n\n'
        '[[target]]\npython = "cp311"\narchitecture = "x86_64"\n'
    )
    program = (
        "import sys, types; from lamina.engine import room; from lamina.__main__ import main; "
        f"room.secrets = types.SimpleNamespace(token_hex=lambda _: {label!r}); main()"
    )
    env = {**world.env, "UV_DEFAULT_INDEX": site.url, "PYTHONPATH": str(ROOT / "build")}
    command = [sys.executable, "-c", program, "lock", "demo"]
    with subprocess.Popen(
        command, cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process


def containers(label: str) -> list[Any]:
    """What the engine knows of the containers with this label, running or not."""
    engine = connect(os.environ)
    try:
        api = engine._client.api
        return [
            api.inspect_container(one["Id"]) for one in api.containers(all=True, filters={"label": f"{LABEL}={label}"})
        ]
    finally:
        engine.close()


def test_a_password_stays_out_of_lock_log_store_and_stand_in(world: World) -> None:
    world.put("app", "1.0", requires=["dep"])
    world.put("dep", "1.0")
    site, seen = Site(world), []
    with locking(world, site, "password-" + world.root.name) as process:
        while process.poll() is None:
            with contextlib.suppress(Exception):  # it may just have gone
                seen += [str(one).encode() for one in containers("password-" + world.root.name)]
            time.sleep(0.2)
        assert process.stdout is not None
        printed = process.stdout.read()
    site.close()
    assert process.returncode == 0, printed
    assert seen
    lock = locks.read(world.root / "project/recipes/locks/demo-cp311-manylinux_2_26_x86_64.txt")
    assert [wheel.name for wheel in lock.wheels] == ["app", "dep"]
    places = [path for folder in ("project", "cache") for path in (world.root / folder).rglob("*") if path.is_file()]
    coded = base64.b64encode(f"{USER}:{PASSWORD}".encode())
    for content in (printed.encode(), *seen, *(path.read_bytes() for path in places)):
        assert PASSWORD.encode() not in content
        assert coded not in content
    assert containers("password-" + world.root.name) == []


def test_ctrl_c_during_the_resolution_leaves_no_container_of_the_stand_in(world: World) -> None:
    world.put("app", "1.0")
    site, label = Site(world, stalls="/simple/app"), "stopped-" + world.root.name
    with locking(world, site, label) as process:
        assert site.reached.wait(60)
        assert len(containers(label)) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    site.close()
    until = time.monotonic() + 10
    while containers(label) and time.monotonic() < until:
        time.sleep(0.1)
    assert containers(label) == []
    assert not (world.root / "project/recipes/locks").exists()


def test_an_index_that_refuses_is_named_from_within_the_stand_in(world: World) -> None:
    world.put("app", "1.0")
    site = Site(world)
    with pytest.raises(IndexAccessError, match=r"the index asks for user and password \(401\)"):
        world.resolve("app", indexes=Indexes(site.url.replace(f"{USER}:{PASSWORD}@", "")))
    site.close()


def test_without_an_engine_uv_is_offered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    site = Site(world)
    world.env["DOCKER_HOST"] = "unix:///nowhere.sock"
    with locking(world, site, "none") as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        assert process.wait(30) == 5
    site.close()
    assert "unix:///nowhere.sock" in printed
    assert "Without an engine, uv resolves on this machine: lamina lock --builder uv demo" in printed


#: Why the two builders may differ in a recipe, by recipe and package; nothing differs so far.
EXPLAINED: dict[str, dict[str, str]] = {}


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", ["sklearn", "sklearn-latest", "docworker", "chroma"])
def test_both_builders_come_to_the_same_lock_on_the_stand_in(name: str, shared_store: Path, base_image: str) -> None:
    recipe = recipes.load(ROOT / "recipes" / f"{name}.toml")
    stated = next((one for one in recipe.target if one.python == "cp311"), None)
    if stated is None:  # chroma is for another Python, of which there is no stand-in; its glibc's ceiling is kept
        target = target_for("cp311", platform="manylinux_2_34_x86_64", own_base=True)
    else:
        target = AL2 if stated.platform is None else target_for("cp311", platform=stated.platform)
    env = {**os.environ, "LAMINA_CACHE": str(shared_store), "LAMINA_BASE_IMAGE": base_image}
    found = []
    for builder in ("uv", "docker"):
        indexes = from_environment(os.environ, named=recipe.index)
        lock = resolve(recipe, target, indexes=indexes, base=ROOT, env=env, builder=builder).lock
        found.append({file.name: file for file in (*lock.wheels, *lock.sources)})
    uv, pip = found
    different = {package for package in {*uv, *pip} if uv.get(package) != pip.get(package)}
    assert {package: (uv.get(package), pip.get(package)) for package in different - {*EXPLAINED.get(name, {})}} == {}
    assert {*EXPLAINED.get(name, {})} <= different
