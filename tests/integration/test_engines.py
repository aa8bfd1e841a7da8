"""Rooms and proofs of images, on Docker and on Podman; the base is a stand-in for AWS's (scripts/base_image.py)."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.engine.connect import connect
from lamina.engine.engine import LABEL, Engine
from lamina.engine.probe import version
from lamina.engine.room import Room, open_room
from lamina.prove.loaded import REPOSITORY
from lamina.tarformat import held
from lamina.target import Target, target_for


def _target() -> Target:
    return target_for("cp311", architecture=os.uname().machine)


@pytest.fixture(scope="module", params=["docker", "podman"])
def host(request: pytest.FixtureRequest, base_image: str) -> Iterator[str]:  # noqa: ARG001 - starts the engine
    """The engine of these tests, which DOCKER_HOST names as long as they run."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "podman":
            patch.setenv("DOCKER_HOST", request.getfixturevalue("podman"))
        yield request.param


#: For what is lamina's own, whatever the engine.
DOCKER_ALONE = pytest.mark.parametrize("host", ["docker"], indirect=True)


@pytest.fixture
def engine(host: str) -> Iterator[Engine]:  # noqa: ARG001 - names the engine
    with contextlib.closing(connect(os.environ)) as engine:
        yield engine


@pytest.fixture(scope="module")
def room(host: str, base_image: str) -> Iterator[Room]:  # noqa: ARG001 - names the engine
    with open_room(base_image, _target(), os.environ) as room:
        yield room


def test_a_room_of_the_stand_in_says_what_it_is(room: Room) -> None:
    about = room.about
    assert (version(about.python)[:2], about.machine, about.glibc, about.manager) == (
        (3, 11),
        os.uname().machine,
        (2, 36),
        "apt-get",
    )
    assert about.system.startswith("Debian GNU/Linux 12")


def test_programs_in_a_room_of_the_stand_in_are_told_of_as_they_end(room: Room) -> None:
    outcome = room.python("-c", "import sys; sys.stdout.write(sys.stdin.read()[:3]); sys.exit(7)", stdin=b"x" * 3000000)
    assert (outcome.ended, outcome.code, outcome.stdout, outcome.stderr) == ("exited", 7, b"xxx", b"")
    outcome = room.run(["/bin/sh", "-c", "echo $OWN; pwd; id -u; exec sleep 60"], environment={"OWN": "1"}, seconds=1)
    assert (outcome.ended, outcome.code, outcome.stdout) == ("timeout", None, b"1\n/\n0\n")
    outcome = room.run(["/absent"])
    assert (outcome.code, outcome.stderr) == (127, b"/absent: cannot be started: No such file or directory\n")


def test_files_go_into_a_room_of_the_stand_in_and_come_out(room: Room) -> None:
    room.put("/root", [held("given/in.txt", b"abc")])
    assert room.run(["/bin/cp", "in.txt", "out.txt"], folder="/root/given").code == 0
    got = io.BytesIO(b"".join(room.get("/root/given/out.txt")))
    with tarfile.open(fileobj=got) as tar:
        [member] = tar
        file = tar.extractfile(member)
        assert file is not None
        assert (member.name, file.read()) == ("out.txt", b"abc")
    with pytest.raises(FileNotFoundError, match="/root/absent"):
        list(room.get("/root/absent"))


@pytest.fixture
def port() -> Iterator[int]:
    """A server on this machine's loopback that says ``hello`` to all that comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        peer.sendall(b"hello" * 200_000)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


_HELLO = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as peer:
    print(sum(map(len, iter(lambda: peer.recv(65536), b""))))
"""


def test_a_room_of_the_stand_in_reaches_the_ports_that_it_is_given_and_nothing_else(room: Room, port: int) -> None:
    outcome = room.python("-c", _HELLO, str(port), ports=[port])
    assert outcome.stdout == b"1000000\n", outcome.stderr.decode()
    assert b"ConnectionRefusedError" in room.python("-c", _HELLO, str(port)).stderr
    names = "import socket; print([name for _, name in socket.if_nameindex() if name != 'lo'])"
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    assert b"Network is unreachable" in room.python("-c", code).stderr, room.python("-c", names).stdout


def _containers(engine: Engine, label: str) -> list[str]:
    found = engine._client.api.containers(all=True, filters={"label": f"{LABEL}={label}"})
    return [str(container["Id"]) for container in found]


def test_two_rooms_of_the_stand_in_at_once_do_not_disturb_each_other(
    room: Room, base_image: str, engine: Engine
) -> None:
    with open_room(base_image, _target(), os.environ) as other:
        assert other.run(["/bin/touch", "/root/mine"]).code == 0
        assert room.run(["/bin/ls", "/root/mine"]).code == 2
    _until(lambda: not _containers(engine, other._label))
    assert len(_containers(engine, room._label)) == 1
    assert room.run(["/bin/true"]).code == 0


def test_a_room_of_the_stand_in_has_nothing_of_this_machines(room: Room, engine: Engine) -> None:
    told = engine._client.api.inspect_container(room._id)
    assert told["Mounts"] == []
    assert not told["HostConfig"]["Binds"]
    assert not told["HostConfig"]["Privileged"]


def test_volumes_that_an_image_asks_for_go_with_the_room(engine: Engine, base_image: str) -> None:
    api = engine._client.api
    made = api.create_container(base_image, command=["x"])["Id"]
    name = f"lamina-volumes:{os.getpid()}"
    api.commit(made, *name.split(":"), changes=["VOLUME /data"])
    api.remove_container(made)
    try:
        with open_room(name, _target(), os.environ, offline=True) as room:
            mounts = api.inspect_container(room._id)["Mounts"]
            assert [mount["Destination"] for mount in mounts] == ["/data"]
        _until(lambda: mounts[0]["Name"] not in {one["Name"] for one in api.volumes()["Volumes"] or ()})
    finally:
        api.remove_image(name, force=True)


_WORKS = """
import os, sys
from lamina.engine.room import open_room
from lamina.target import target_for
with open_room(sys.argv[1], target_for("cp311", architecture=os.uname().machine), os.environ) as room:
    print(room._label, flush=True)
    room.run(["/bin/sleep", "60"])
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_room_of_the_stand_in_is_left_when_lamina_is_interrupted_or_killed(
    engine: Engine, base_image: str, sent: signal.Signals
) -> None:
    command = [sys.executable, "-c", _WORKS, base_image]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as lamina:
        assert lamina.stdout is not None
        label = lamina.stdout.readline().decode().strip()
        assert len(_containers(engine, label)) == 1
        lamina.send_signal(sent)
    _until(lambda: not _containers(engine, label))


_RECIPE = """
name = "api"
artefacts = [ARTEFACTS]
requirements = ["six"]

[[target]]
python = "cp311"
architecture = "MACHINE"

[image]
base = "IMAGE"

[function]
handler = "own.handler"
source = [{ from = "app" }]
events = ["events/one.json"]
environment = { COLOUR = { value = "green" } }
memory = "128 MiB"
timeout = 5
"""
_OWN = """
import os
import six


def handler(event, context):
    return {'n': event['n'] + 1, 'six': six.__file__, 'colour': os.environ['COLOUR']}
"""


@pytest.fixture(scope="module")
def api(host: str, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - names the engine
    """A project with a layer, a function and an image."""
    root = tmp_path_factory.mktemp("api")
    recipe = _RECIPE.replace("MACHINE", os.uname().machine).replace("IMAGE", f"docker-daemon:{base_image}")
    files = {
        "recipes/api.toml": recipe.replace("ARTEFACTS", '"layer", "function", "image"'),
        "app/own.py": _OWN,
        "events/one.json": '{"n": 1}',
        "events/one.expect.json": '{"answer": {"n": 2, "six": "/opt/python/six.py", "colour": "green"}}',
    }
    for path, text in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture(scope="module")
def image(api: Path, shared_store: Path) -> Path:
    """The project with all of it built; the path of the image."""
    for command in (["lock", "api"], ["build", "api"]):
        done = _run(api, shared_store, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    [path] = (api / "dist").glob("*.oci.tar")
    return path


def _run(root: Path, store: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lamina", *arguments]
    env = {**os.environ, "LAMINA_CACHE": str(store), **environment}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=300, check=False)


def _images(engine: Engine, identity: str) -> list[str]:
    """The names of an image, if the engine has it."""
    found = [one for one in engine._client.api.images(all=True) if one["Id"] == identity]
    return [name for one in found for name in one["RepoTags"] or ["<none>"]]


def _identity(image: Path) -> str:
    """The digest of an image's configuration, by which Docker and Podman know it."""
    with tarfile.open(image) as tar:

        def read(name: str) -> dict[str, Any]:
            file = tar.extractfile(name)
            assert file is not None
            told: dict[str, Any] = json.load(file)
            return told

        digest = read("index.json")["manifests"][0]["digest"]
        return str(read(f"blobs/sha256/{digest.removeprefix('sha256:')}")["config"]["digest"])


@pytest.mark.usefixtures("index")
def test_layer_and_image_are_proven_in_containers_of_the_stand_in(
    api: Path, image: Path, shared_store: Path, base_image: str, engine: Engine
) -> None:
    done = _run(api, shared_store, "prove", "api", "--in", "container", "--json", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    zips, own = json.loads(done.stdout)
    for row, where in ((zips, f"container {base_image}@sha256:"), (own, f"container {image.name}@sha256:")):
        kinds = [(proof["kind"], proof["passed"]) for proof in row["proofs"]]
        assert kinds == [("imports", True), ("event", True), ("emulator", True)]
        assert all(where in proof["where"] for proof in row["proofs"])
    manifest = json.loads(image.with_suffix(".json").read_text())
    assert manifest["proofs"] == own["proofs"]
    assert f"{image.name}@{manifest['image']['digest']}: not Lambda" in own["proofs"][0]["where"]
    assert _images(engine, _identity(image)) == []


@pytest.mark.usefixtures("index")
def test_an_image_that_the_engine_had_before_stays_there(
    api: Path, image: Path, shared_store: Path, engine: Engine
) -> None:
    done = _run(api, shared_store, "image", "api", "--load")
    assert done.returncode == 0, done.stderr
    before = _images(engine, _identity(image))
    try:
        assert len(before) == 1
        done = _run(api, shared_store, "prove", "api")
        assert done.returncode == 0, done.stdout + done.stderr
        assert _images(engine, _identity(image)) == before
    finally:
        engine._client.api.remove_image(before[0], force=True)


@DOCKER_ALONE
@pytest.mark.usefixtures("index")
def test_what_fails_in_an_image_is_a_failed_proof_of_it(api: Path, image: Path, shared_store: Path) -> None:
    expected = api / "events" / "one.expect.json"
    right = expected.read_text()
    expected.write_text('{"answer": {"n": 3}}')
    try:
        done = _run(api, shared_store, "prove", "api", "--json", "--quiet")
    finally:
        expected.write_text(right)
    assert done.returncode == 1, done.stderr
    assert [proof["passed"] for proof in json.loads(done.stdout)[1]["proofs"]] == [True, False, False]
    manifest = json.loads(image.with_suffix(".json").read_text())
    assert [proof["passed"] for proof in manifest["proofs"]] == [True, False, False]


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_image_is_left_when_lamina_is_interrupted_or_killed(
    api: Path, image: Path, shared_store: Path, engine: Engine, sent: signal.Signals
) -> None:
    command, identity = [sys.executable, "-m", "lamina", "prove", "api"], _identity(image)
    env = {**os.environ, "LAMINA_CACHE": str(shared_store)}
    with subprocess.Popen(command, cwd=api, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as lamina:
        _until(lambda: any(REPOSITORY in name for name in _images(engine, identity)), 120)
        lamina.send_signal(sent)
    _until(lambda: _images(engine, identity) == [], 120)


@DOCKER_ALONE
@pytest.mark.usefixtures("index")
def test_without_an_engine_an_image_is_not_proven_and_the_zips_are(api: Path, image: Path, shared_store: Path) -> None:
    before = image.with_suffix(".json").read_bytes()
    done = _run(api, shared_store, "prove", "api", "--json", DOCKER_HOST="unix:///absent.sock")
    assert done.returncode == 5
    [row] = json.loads(done.stdout)
    assert row["passed"]
    assert "error: no container engine answers; tried:\n  unix:///absent.sock: there is no such socket\n" in done.stderr
    assert image.with_suffix(".json").read_bytes() == before


@DOCKER_ALONE
@pytest.mark.usefixtures("index")
def test_an_image_that_is_not_what_its_manifest_says_is_not_run(api: Path, image: Path, shared_store: Path) -> None:
    content = image.read_bytes()
    image.write_bytes(content[:-1024])
    try:
        done = _run(api, shared_store, "prove", "api", "--json", "--quiet")
    finally:
        image.write_bytes(content)
    assert done.returncode == 4
    assert f"error: dist/{image.name}: is not the archive that the manifest beside it describes\n" in done.stderr


@DOCKER_ALONE
@pytest.mark.usefixtures("index")
def test_an_image_without_an_emulator_is_started_as_lambda_starts_it(
    api: Path,
    image: Path,  # noqa: ARG001 - locks
    shared_store: Path,
    base_image: str,
    engine: Engine,
) -> None:
    client = engine._client.api
    made = client.create_container(
        base_image,
        entrypoint=["/bin/rm", "/usr/local/bin/aws-lambda-rie"],
        host_config=client.create_host_config(network_mode="none"),
    )["Id"]
    client.start(made)
    client.wait(made)
    base = f"lamina-bare:{os.getpid()}"
    client.commit(made, *base.split(":"), changes=['ENTRYPOINT ["/lambda-entrypoint.sh"]'])
    client.remove_container(made)
    try:
        done = _run(api, shared_store, "image", "api", "--base", f"docker-daemon:{base}", "--output", "bare")
        assert done.returncode == 0, done.stderr
        recipe = api / "recipes" / "api.toml"
        whole = recipe.read_text()
        recipe.write_text(whole.replace('"layer", "function", "image"', '"image"'))
        try:
            done = _run(api, shared_store, "prove", "api", "--output", "bare", "--json", "--quiet")
        finally:
            recipe.write_text(whole)
    finally:
        client.remove_image(base, force=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [row] = json.loads(done.stdout)
    kinds = [(proof["kind"], proof["passed"]) for proof in row["proofs"]]
    assert kinds == [("imports", True), ("event", True), ("entry", True)]


def _until(met: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until
        time.sleep(0.05)
