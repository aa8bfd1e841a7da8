"""``lamina image``: archives without an engine, the same from every host, taken by engines, registries and skopeo."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from lamina.engine.connect import connect

NAME = "forged-cp311-manylinux2014_x86_64"
TAG = "forged:cp311-manylinux2014_x86_64"
HANDLER = "def handler(event, context):\n    return {'given': event}\n"
FUNCTION = """
[function]
handler = "app.handler"
source = [{ from = "layers/forged/function" }]
environment = { LEVEL = { value = "INFO" }, BUCKET = { required = true } }
"""


class Project(NamedTuple):
    """A project of forged wheels with a function, and a base of a few files in an OCI layout."""

    root: Path
    store: Path
    base: Path

    @property
    def archive(self) -> Path:
        return self.root / "dist" / f"{NAME}.oci.tar"

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "dist" / f"{NAME}.oci.json").read_bytes())
        return found

    def run(
        self, *arguments: str, umask: int = -1, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "LAMINA_CACHE": str(self.store), **environment}
        command = [sys.executable, "-m", "lamina", *arguments]
        return subprocess.run(
            command,
            cwd=cwd or self.root,
            env=env,
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def image(self, *arguments: str, base: str = "", umask: int = -1, **environment: str) -> dict[str, Any]:
        """Make the image; what its manifest says."""
        done = self.run("image", "forged", "--base", base or f"oci:{self.base}", *arguments, umask=umask, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.manifest

    def handler(self, text: str) -> None:
        folder = self.root / "layers" / "forged" / "function"
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath("app.py").write_text(text)


def layout(folder: Path, **changes: object) -> Path:
    """An OCI layout with one layer: an entry point, an interpreter."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for path in ("lambda-entrypoint.sh", "var/lang/bin/python3.11"):
            member = tarfile.TarInfo(path)
            member.size, member.mode = 10, 0o755
            tar.addfile(member, io.BytesIO(b"#!/bin/sh\n"))
    packed = gzip.compress(plain.getvalue(), mtime=0)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/lambda-entrypoint.sh"], "WorkingDir": "/var/task", "Env": ["LANG=en_US.UTF-8"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain.getvalue()).hexdigest()}"]},
        **changes,
    }
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes, kind: str) -> dict[str, object]:
        name = hashlib.sha256(content).hexdigest()
        blobs.joinpath(name).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{name}", "size": len(content)}

    stated = put(json.dumps(config).encode(), "config.v1+json")
    layers = [put(packed, "layer.v1.tar+gzip")]
    manifest = put(json.dumps({"schemaVersion": 2, "config": stated, "layers": layers}).encode(), "manifest.v1+json")
    folder.joinpath("oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    folder.joinpath("index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    return folder


@pytest.fixture
def make_project(forge_project: Callable[..., Any], tmp_path: Path) -> Callable[..., Project]:
    def make(name: str = "project", store: str = "store") -> Project:
        root = tmp_path / name
        forge_project(root)
        recipe = root / "recipes" / "forged.toml"
        recipe.write_text(recipe.read_text() + FUNCTION)
        base = tmp_path / "base"
        if not base.exists():
            layout(base)
        project = Project(root, tmp_path / store, base)
        project.handler(HANDLER)
        return project

    return make


@pytest.fixture
def forged(make_project: Callable[..., Project]) -> Project:
    return make_project()


def blobs_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]


def own(manifest: dict[str, Any], what: str) -> dict[str, Any]:
    [found] = [layer for layer in manifest["image"]["layers"] if layer["what"] == what]
    return dict(found)


def test_an_image_is_the_same_from_every_host(make_project: Callable[..., Project]) -> None:
    here = make_project("here", "store-here")
    there = make_project("some/where else", "store-there")
    first = here.image(umask=0o022, TZ="Asia/Tokyo", PYTHONHASHSEED="1", LC_ALL="C")
    second = there.image(umask=0o077, TZ="America/Lima", PYTHONHASHSEED="2", LC_ALL="C.UTF-8")
    assert first == second
    assert here.archive.read_bytes() == there.archive.read_bytes()


def test_the_image_holds_base_dependencies_and_function(forged: Project) -> None:
    manifest = forged.image()
    content = blobs_of(forged.archive)
    assert hashlib.sha256(forged.archive.read_bytes()).hexdigest() == manifest["sha256"]
    assert manifest["image"]["digest"] == f"sha256:{manifest['code_sha256']}"
    [entry] = json.loads(content["index.json"])["manifests"]
    assert entry["digest"] == manifest["image"]["digest"]
    image = json.loads(content[f"blobs/sha256/{entry['digest'][7:]}"])
    config = json.loads(content[f"blobs/sha256/{image['config']['digest'][7:]}"])
    assert config["config"]["Cmd"] == ["app.handler"]
    assert config["config"]["Entrypoint"] == ["/lambda-entrypoint.sh"]
    assert config["config"]["Env"] == ["LANG=en_US.UTF-8", "LEVEL=INFO"]
    layers = [content[f"blobs/sha256/{layer['digest'][7:]}"] for layer in image["layers"]]
    base, dependencies, function = (_members(layer) for layer in layers)
    assert list(base) == ["lambda-entrypoint.sh", "var/lang/bin/python3.11"]
    assert list(function) == ["var", "var/task", "var/task/app.py"]
    assert {"opt", "opt/python", "opt/python/alpha", "opt/lib"} <= set(dependencies)
    done = forged.run("build", "forged", "--offline")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(forged.root / "dist" / f"{NAME}.zip") as archive:
        layer = {
            f"opt/{one.filename}": (archive.read(one), one.external_attr >> 16 & 0o777) for one in archive.infolist()
        }
    assert layer == {name: one for name, one in dependencies.items() if one is not None}


def _members(layer: bytes) -> dict[str, tuple[bytes, int] | None]:
    """What stands in a layer: of each file content and mode, of a folder nothing."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return {one.name: (tar.extractfile(one).read(), one.mode) if one.isfile() else None for one in tar}  # type: ignore[union-attr]


def test_a_change_of_the_handler_changes_one_small_layer(forged: Project) -> None:
    before = forged.image()
    forged.handler(HANDLER + "# changed\n")
    after = forged.image()
    assert own(before, "dependencies") == own(after, "dependencies")
    assert own(before, "function") != own(after, "function")
    assert own(after, "function")["size"] < 1000


def test_a_handler_that_is_missing_leaves_only_the_report(forged: Project) -> None:
    forged.image()
    assert forged.archive.exists()
    forged.handler("import torch\n")
    done = forged.run("image", "forged", "--base", f"oci:{forged.base}")
    assert done.returncode == 1
    assert not forged.archive.exists()
    found = {(one["code"], one["path"]) for one in forged.manifest["findings"] if one["severity"] == "error"}
    assert found == {("handler-missing", "var/task/app.py"), ("missing-import", "var/task/app.py")}
    assert forged.manifest["sha256"] is None
    assert "handler-missing" in done.stdout
    assert sorted(path.name for path in (forged.root / "dist").iterdir()) == [f"{NAME}.oci.json"]


def test_a_damaged_layer_in_the_store_is_made_again(forged: Project) -> None:
    first = forged.image()
    for path in forged.store.glob("layers/*/*.tar.gz"):
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
    done = forged.run("image", "forged", "--base", f"oci:{forged.base}")
    assert done.returncode == 0, done.stderr
    assert "the store was damaged: making its layers again" in done.stderr
    assert forged.manifest == first


def test_build_makes_the_image_that_the_recipe_names(forged: Project) -> None:
    recipe = forged.root / "recipes" / "forged.toml"
    text = recipe.read_text()
    recipe.write_text(text.replace("requirements", 'artefacts = ["image"]\nrequirements', 1))
    done = forged.run("build", "forged", "--json", LAMINA_BASE_IMAGE=f"oci:{forged.base}")
    assert done.returncode == 0, done.stderr
    [told] = json.loads(done.stdout)
    assert told["artefact"] == f"dist/{NAME}.oci.tar"
    _check_schema("build", [told])
    assert told["manifest"] == forged.manifest
    assert sorted(path.name for path in (forged.root / "dist").iterdir()) == [f"{NAME}.oci.json", f"{NAME}.oci.tar"]
    recipe.write_text(text.replace("requirements", 'artefacts = ["layer", "image"]\nrequirements', 1))
    done = forged.run("build", "forged", "--json", LAMINA_BASE_IMAGE=f"oci:{forged.base}")
    assert done.returncode == 0, done.stderr
    [told] = json.loads(done.stdout)
    _check_schema("build", [told])
    assert (told["artefact"], told["image"]["artefact"]) == (f"dist/{NAME}.zip", f"dist/{NAME}.oci.tar")


def _check_schema(command: str, told: object) -> None:
    text = files("lamina.report").joinpath("output.schema.json").read_text()
    schema = json.loads(text)
    jsonschema.validate(told, {"$defs": schema["$defs"], **schema["properties"][command]})


def test_over_budget_a_layer_offers_the_image(forged: Project) -> None:
    recipe = forged.root / "recipes" / "forged.toml"
    recipe.write_text(recipe.read_text() + '\n[budget]\nunzipped = "10 KiB"\nwarn = "5 KiB"\n')
    done = forged.run("build", "forged")
    assert done.returncode == 1
    assert "lamina image forged --target cp311-manylinux2014_x86_64" in done.stdout
    forged.image()  # which that budget is not for


def test_a_recipe_names_a_base_of_its_project(forged: Project) -> None:
    layout(forged.root / "bases" / "plain")
    recipe = forged.root / "recipes" / "forged.toml"
    recipe.write_text(recipe.read_text() + '\n[image]\nbase = "oci:bases/plain"\n')
    done = forged.run("image", "../recipes/forged.toml", cwd=forged.root / "layers")
    assert done.returncode == 0, done.stderr
    of_recipe = forged.manifest["image"]
    assert forged.image()["image"] == of_recipe


def test_a_base_without_an_entry_point_is_refused(forged: Project, tmp_path: Path) -> None:
    base = layout(tmp_path / "bare", config={"Cmd": ["sh"]})
    done = forged.run("image", "forged", "--base", f"oci:{base}")
    assert done.returncode == 2
    assert f"oci:{base}: states no entry point, so nothing in it would start a function" in done.stderr
    assert not forged.archive.exists()


def test_an_accepted_finding_stays_visible_and_the_audit_of_the_archive_has_it_too(forged: Project) -> None:
    forged.handler("import torch\n" + HANDLER)
    done = forged.run("image", "forged", "--base", f"oci:{forged.base}")
    assert done.returncode == 1
    recipe = forged.root / "recipes" / "forged.toml"
    recipe.write_text(
        recipe.read_text() + '\n[[accept]]\ncode = "missing-import"\npath = "app.py"\nreason = "a test"\n'
    )
    found = forged.image()["findings"]
    assert {(one["code"], one["path"], one["accepted"]) for one in found} == {
        ("missing-import", "var/task/app.py", True),
        ("undeclared-variable", "function.environment.LEVEL", False),
        ("undeclared-variable", "function.environment.BUCKET", False),
    }
    done = forged.run("audit", str(forged.archive), "--json")  # the manifest beside it tells the target
    [judged] = json.loads(done.stdout)["artefacts"]
    ours = {(one["code"], one["path"]) for one in judged["findings"] if one["path"].startswith(("opt/", "var/task/"))}
    assert ours == {("missing-import", "var/task/app.py")}


def test_push_sends_only_the_layer_that_changed(forged: Project, start_registry: Callable[[str], Any]) -> None:
    counted = start_registry("")
    name = f"{counted.host}/lamina/forged:one"
    command = ("image", "forged", "--base", f"oci:{forged.base}", "--push", name, "--json")
    first = json.loads(forged.run(*command).stdout)
    _check_schema("image", first)
    assert first[0]["pushed"] == name
    forged.handler(HANDLER + "# changed\n")
    before = len(counted.requests())
    [second] = json.loads(forged.run(*command).stdout)
    config, function = _config_name(forged.archive).rpartition("/")[2], own(forged.manifest, "function")
    assert second["pushed_bytes"] == function["size"] + len(blobs_of(forged.archive)[f"blobs/sha256/{config}"])
    # What came in by the registry's own log: two blobs, each in one piece, and the manifest.
    sent = [line.split() for line in counted.requests()[before:] if not line.startswith(("HEAD ", "GET "))]
    uploads, put = "/v2/lamina/forged/blobs/uploads/", "/v2/lamina/forged/manifests/one"
    assert [(method, path) for method, path, _ in sent if method != "PUT"] == [("POST", uploads)] * 2
    puts = [path for method, path, _ in sent if method == "PUT"]
    assert [path.rpartition("digest=sha256%3A")[2] for path in puts] == [config, function["digest"][7:], put]
    if shutil.which("skopeo"):
        found = json.loads(_skopeo("inspect", "--tls-verify=false", f"docker://{name}"))
        assert found["Digest"] == forged.manifest["image"]["digest"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--push", "127.0.0.1:1/x:y"], "--push 127.0.0.1:1/x:y: 3 images would have this name"),
        (["--push", "127.0.0.1:1/x:y", "--offline"], "--offline and --push exclude each other"),
        (["--push", "127.0.0.1:1/X:y"], "'127.0.0.1:1/X:y' names no image: 'X' is no part of a name"),
    ],
)
def test_a_push_that_cannot_be_is_refused_before_anything_is_made(
    lamina: Callable[..., subprocess.CompletedProcess[str]], project: Path, arguments: list[str], message: str
) -> None:
    done = lamina("image", "sklearn", *arguments)
    assert done.returncode == 2
    assert f"error: {message}" in done.stderr
    assert not project.joinpath("dist").exists()


def _config_name(archive: Path) -> str:
    content = blobs_of(archive)
    [entry] = json.loads(content["index.json"])["manifests"]
    digest: str = json.loads(content[f"blobs/sha256/{entry['digest'][7:]}"])["config"]["digest"]
    return f"blobs/sha256/{digest[7:]}"


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="LEFT OUT: skopeo is not installed")
def test_skopeo_accepts_the_archive(forged: Project, tmp_path: Path) -> None:
    manifest = forged.image()
    told = json.loads(_skopeo("inspect", f"oci-archive:{forged.archive}"))
    assert told["Digest"] == manifest["image"]["digest"]
    assert told["Layers"] == [layer["digest"] for layer in manifest["image"]["layers"]]
    assert told["Labels"]["org.opencontainers.image.title"] == "forged"
    _skopeo("copy", f"oci-archive:{forged.archive}", f"dir:{tmp_path / 'copied'}")


def _skopeo(*arguments: str) -> str:
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def standin_archive(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in base as skopeo exports it from the engine."""
    if shutil.which("skopeo") is None:
        pytest.skip("LEFT OUT: skopeo is not installed")
    path = tmp_path_factory.mktemp("base") / "base.tar"
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    _skopeo("copy", "--src-daemon-host", host, f"docker-daemon:{base_image}", f"oci-archive:{path}")
    return path


@pytest.fixture
def on_standin(forged: Project, standin_store: Path) -> Project:
    """The project with a store that all tests on the stand-in share: it is exported from the engine once."""
    return forged._replace(store=standin_store)


@pytest.fixture(scope="session")
def standin_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standin-store")


@contextlib.contextmanager
def removed(name: str) -> Iterator[None]:
    engine = connect(os.environ)
    try:
        yield
    finally:
        engine._client.images.remove(name, force=True)
        engine.close()


def test_the_engines_standin_base_and_its_archive_make_the_same_layers(
    on_standin: Project, base_image: str, standin_archive: Path
) -> None:
    of_engine = on_standin.image(base=f"docker-daemon:{base_image}")
    of_archive = on_standin.image(base=f"oci-archive:{standin_archive}")
    ids = [[layer["diff_id"] for layer in one["image"]["layers"]] for one in (of_engine, of_archive)]
    assert ids[0] == ids[1]
    for what in ("dependencies", "function"):
        assert own(of_engine, what) == own(of_archive, what)
    assert of_engine["image"]["base"] == base_image
    assert of_archive["image"]["base"] == ""


def test_an_image_on_the_standin_base_is_loaded_and_runs(on_standin: Project, base_image: str) -> None:
    with removed(TAG):
        on_standin.image("--load", base=f"docker-daemon:{base_image}")
        assert _printed(TAG) == "{'given': 1} INFO"


@pytest.mark.usefixtures("index")  # the stand-in has no runtime of Lambda's
def test_the_function_of_an_image_on_the_standin_base_is_invoked(on_standin: Project, base_image: str) -> None:
    recipe = on_standin.root / "recipes" / "forged.toml"
    recipe.write_text('artefacts = ["image"]\n' + recipe.read_text())
    event = on_standin.root / "event.json"
    event.write_text('{"age": 41}')
    handler = (
        "import os, alpha\n\ndef handler(event, context):\n    return event, os.environ['LEVEL'], alpha.__file__\n"
    )
    on_standin.handler(handler)
    invoke = ("invoke", "forged", "--event", "event.json")
    done = on_standin.run(*invoke)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "Build it first: lamina image forged"
    # A name without the host of a registry is the engine's.
    assert on_standin.image(base=base_image)["image"]["base"] == base_image
    done = on_standin.run(*invoke)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"age": 41}, "INFO", "/opt/python/alpha/__init__.py"]
    assert "Memory Size: 512 MB" in done.stderr
    done = on_standin.run(*invoke, DOCKER_HOST="unix:///nowhere.sock")
    assert done.returncode == 5
    assert "unix:///nowhere.sock: there is no such socket" in done.stderr


def test_dockers_archive_on_the_standin_base_is_taken_by_docker_load(on_standin: Project, base_image: str) -> None:
    done = on_standin.run("image", "forged", "--format", "docker", "--base", f"docker-daemon:{base_image}")
    assert done.returncode == 0, done.stderr
    path = on_standin.root / "dist" / f"{NAME}.docker.tar"
    manifest = json.loads(path.with_suffix(".json").read_bytes())
    assert manifest["image"]["format"] == "docker"
    engine = connect(os.environ)
    try:
        with path.open("rb") as file, removed(TAG):
            engine._client.images.load(file)
            assert _printed(TAG) == "{'given': 1} INFO"
    finally:
        engine.close()


def _printed(image: str) -> str:
    """What the handler answers in a container of the image, called by its own interpreter."""
    code = "import sys, os; sys.path[:0] = ['/var/task', '/opt/python']; import alpha, app; "
    code += "print(app.handler(1, None), os.environ['LEVEL'])"
    engine = connect(os.environ)
    try:
        out: bytes = engine._client.containers.run(
            image, ["-c", code], entrypoint=["/var/lang/bin/python3.11"], remove=True, network_mode="none"
        )
    finally:
        engine.close()
    return out.decode().strip()


def test_sklearns_image_on_the_standin_base_is_there_at_once_after_a_change_of_the_handler(
    lamina: Callable[..., subprocess.CompletedProcess[str]], project: Path, standin_archive: Path
) -> None:
    command = ["image", "sklearn", "--target", "cp311-manylinux2014_x86_64", "--base", f"oci-archive:{standin_archive}"]
    manifest = project / "dist" / "sklearn-cp311-manylinux2014_x86_64.oci.json"
    first = lamina(*command)
    assert first.returncode == 0, first.stdout + first.stderr
    before = json.loads(manifest.read_bytes())
    handler = project / "layers" / "sklearn" / "function" / "handler.py"
    handler.write_text(handler.read_text() + "# changed\n")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert lamina(*command, "--quiet").returncode == 0
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    after = json.loads(manifest.read_bytes())
    assert own(after, "dependencies") == own(before, "dependencies")
    assert own(after, "function") != own(before, "function")
    # Seconds of CPU, which other work on the machine does not lengthen as it does those of the clock.
    assert now.ru_utime - used.ru_utime + now.ru_stime - used.ru_stime < 1.5
