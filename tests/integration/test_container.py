"""Jobs in containers, with a real engine; the image is a stand-in for AWS's base image (scripts/base_image.py)."""

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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lamina.engine.connect import connect
from lamina.engine.engine import LABEL, Run
from lamina.errors import MissingToolError, UsageError
from lamina.index.settings import from_environment
from lamina.prove import imports
from lamina.prove.container import ContainerSandbox, open_container
from lamina.prove.invocation import Setting
from lamina.prove.invoke import Function
from lamina.prove.model import Job, Outcome, Stage
from lamina.prove.runtime_standin import standin
from lamina.store import Store
from lamina.target import Target, target_for

_MB = 1024 * 1024

HANDLER = """
import json, os, sys

def lambda_handler(event, context):
    print("seen", event["n"])
    return {"n": event["n"] + 1, "size": len(event.get("data", "")), "task": os.getcwd(), "python": sys.executable}

def slow(event, context):
    import time
    time.sleep(60)
"""


def _target() -> Target:
    return target_for("cp311", architecture=os.uname().machine)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("stage")
    layer = folder / "opt" / "python"
    for path in (layer / "fine", layer / "lacks", folder / "task"):
        path.mkdir(parents=True)
    (layer / "fine" / "__init__.py").write_text("import os\n")
    (layer / "lacks" / "__init__.py").write_text("import lacks.testing\n")
    (layer / "crashes.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    (folder / "task" / "handler.py").write_text(HANDLER)
    return Stage(Path(_target().runtime.interpreter), Path(), folder / "opt", folder / "task")


@pytest.fixture
def runtime(index: None, shared_store: Path) -> Callable[[], Path]:  # noqa: ARG001 - skips without an index
    """What the stand-in image lacks: AWS's runtime client and SDK."""
    return lambda: standin(_target(), store=Store(shared_store), indexes=from_environment(os.environ))


@pytest.fixture(scope="module")
def sandbox(stage: Stage, base_image: str) -> Iterator[ContainerSandbox]:
    empty = stage.opt
    assert empty is not None
    with open_container(stage, _target(), base_image, os.environ, lambda: empty) as sandbox:
        yield sandbox


def _run(sandbox: ContainerSandbox, code: str, **limits: object) -> Outcome:
    outcome = sandbox.start(Job(("-c", code), **{"seconds": 60.0, **limits})).wait(120)  # type: ignore[arg-type]
    assert outcome is not None
    return outcome


def _told(sandbox: ContainerSandbox, code: str, **limits: object) -> Any:  # noqa: ANN401 - JSON
    outcome = _run(sandbox, f"import json\nprint(json.dumps({code}))", **limits)
    assert outcome.code == 0, outcome.stderr.decode()
    return json.loads(outcome.stdout)


@pytest.fixture
def containers(base_image: str) -> Iterator[Callable[[], list[str]]]:  # noqa: ARG001 - starts the engine
    """The ids of all containers of lamina."""
    engine = connect(os.environ)
    yield lambda: [str(found["Id"]) for found in engine._client.api.containers(all=True, filters={"label": LABEL})]
    engine.close()


def test_where_it_ran_in_the_stand_in_is_asked_there(sandbox: ContainerSandbox, base_image: str) -> None:
    where = sandbox.where
    assert where.isolated
    assert where.how.startswith(f"container {base_image}@sha256:")
    assert where.system.startswith("Debian GNU/Linux 12")
    assert (where.python[:5], where.glibc) == ("3.11.", (2, 36))


def test_the_places_in_the_stand_in_are_lambdas(sandbox: ContainerSandbox) -> None:
    path = _told(sandbox, "__import__('sys').path")
    site = "lib/python3.11/site-packages"
    assert path[:5] == ["/var/task", f"/opt/python/{site}", "/opt/python", f"/var/lang/{site}", "/var/runtime"]
    told = "[__import__('os').getuid(), __import__('os').getcwd(), __import__('sys').executable]"
    assert _told(sandbox, told) == [993, "/var/task", "/var/lang/bin/python3.11"]


def test_the_environment_in_the_stand_in_is_lambdas_and_nothing_else(sandbox: ContainerSandbox) -> None:
    told = _told(sandbox, "dict(__import__('os').environ)", environment={"OWN": "2"})
    assert sorted(told) == [
        "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "AWS_REGION", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "LANG",
        "LC_CTYPE", "LD_LIBRARY_PATH", "OWN", "PATH", "TZ",
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["/opt/python/x", "/var/task/x", "/var/runtime/x", "/var/lang/x", "/x", "/dev/shm/x"])  # noqa: S108 - it must not be there
def test_everything_but_tmp_is_read_only_in_the_stand_in(sandbox: ContainerSandbox, place: str) -> None:
    outcome = _run(sandbox, f"open({place!r}, 'w')")
    assert outcome.code == 1
    assert outcome.stderr.splitlines()[-1].startswith(
        (b"OSError: [Errno 30]", b"PermissionError", b"FileNotFoundError")
    )


def test_tmp_is_its_own_and_limited_and_can_run_programs(sandbox: ContainerSandbox) -> None:
    code = (
        "import os, subprocess\nopen('/tmp/left', 'w').write('#!/bin/sh\\necho ran\\n')\nos.chmod('/tmp/left', 0o755)\n"
        "state = os.statvfs('/tmp')\nprint(state.f_blocks * state.f_frsize, flush=True)\nsubprocess.run(['/tmp/left'])"
    )
    assert _run(sandbox, code).stdout.split() == [str(512 * _MB).encode(), b"ran"]
    assert _told(sandbox, "__import__('os').listdir('/tmp')") == []


def test_the_network_is_off_in_the_stand_in(sandbox: ContainerSandbox) -> None:
    outcome = _run(sandbox, "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)")
    assert b"Network is unreachable" in outcome.stderr
    assert _told(sandbox, "[name for _, name in __import__('socket').if_nameindex()]")[0] == "lo"


@pytest.fixture
def echo() -> Iterator[int]:
    """A server on this machine's loopback that answers what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    while data := peer.recv(65536):
                        peer.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


_CONNECT = """
import socket, threading
for _ in range(3):
    with socket.create_connection(("127.0.0.1", {port}), timeout=20) as peer:
        threading.Thread(target=lambda: (peer.sendall(b"x" * 3000000), peer.shutdown(socket.SHUT_WR))).start()
        size = 0
        while data := peer.recv(65536):
            size += len(data)
    print(size)
"""


def test_a_port_that_may_be_reached_is_reached_from_the_stand_in(sandbox: ContainerSandbox, echo: int) -> None:
    outcome = _run(sandbox, _CONNECT.format(port=echo), reach=[echo])
    assert outcome.stdout == b"3000000\n" * 3, outcome.stderr.decode()
    assert b"ConnectionRefusedError" in _run(sandbox, _CONNECT.format(port=echo)).stderr


def test_a_port_where_nobody_listens_ends_the_connection(sandbox: ContainerSandbox) -> None:
    with socket.socket() as held:  # bound, and so nobody else's; it does not listen
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        code = f"import socket\nprint(socket.create_connection(('127.0.0.1', {port}), timeout=20).recv(9))"
        assert _run(sandbox, code, reach=[port]).stdout == b"b''\n"


def test_too_much_memory_ends_a_job_in_the_stand_in(sandbox: ContainerSandbox) -> None:
    outcome = _run(sandbox, "held = bytearray(400 << 20)\nimport time\ntime.sleep(60)", memory=100 * _MB)
    assert (outcome.ended, outcome.code) == ("memory", None)
    assert outcome.peak > 100 * _MB
    assert _run(sandbox, "bytearray(200 << 20)", memory=100 * _MB).ended == "memory"


def test_memory_of_all_processes_counts_in_the_stand_in(sandbox: ContainerSandbox) -> None:
    child = "held = bytearray(70 << 20)\\nimport time\\ntime.sleep(60)"
    code = (
        "import subprocess, sys, time\n"
        f"for _ in range(3):\n    subprocess.Popen([sys.executable, '-S', '-c', '{child}'])\ntime.sleep(60)"
    )
    assert _run(sandbox, code, memory=150 * _MB).ended == "memory"


def test_a_job_in_the_stand_in_ends_at_its_deadline(sandbox: ContainerSandbox) -> None:
    outcome = _run(sandbox, "import time\nprint('begun', flush=True)\ntime.sleep(60)", seconds=1.0)
    assert (outcome.ended, outcome.code, outcome.stdout) == ("timeout", None, b"begun\n")
    assert 0.9 < outcome.seconds < 20


def test_a_job_in_the_stand_in_can_be_stopped(sandbox: ContainerSandbox, containers: Callable[[], list[str]]) -> None:
    running = sandbox.start(Job(("-c", "print('begun', flush=True)\nimport time\ntime.sleep(60)")))
    _until(lambda: running.output()[0] == b"begun\n")
    assert running.wait(0) is None
    assert len(containers()) == 1
    outcome = running.stop()
    assert (outcome.ended, outcome.code, outcome.stdout) == ("stopped", None, b"begun\n")
    assert running.stop() == outcome
    _until(lambda: not containers())


def test_a_container_that_is_killed_from_outside_is_told_as_killed(
    sandbox: ContainerSandbox, containers: Callable[[], list[str]]
) -> None:
    running = sandbox.start(Job(("-c", "import time\ntime.sleep(60)")))
    (name,) = containers()
    sandbox._engine.remove(name)
    outcome = running.wait(60)
    assert outcome is not None
    assert (outcome.ended, outcome.code) == ("exited", -9)


def test_signals_exit_codes_and_streams_of_a_job_in_the_stand_in(sandbox: ContainerSandbox) -> None:
    assert _run(sandbox, "import os\nos.abort()").code == -signal.SIGABRT
    assert _run(sandbox, "raise SystemExit(7)").code == 7
    outcome = sandbox.start(Job(("-m", "base64", "-e", "-"), stdin=b"hello")).wait(60)
    assert outcome is not None
    assert (outcome.stdout, outcome.stderr) == (b"aGVsbG8=\n", b"")
    outcome = _run(sandbox, "import sys\nsys.stdout.write('x' * (11 << 20))\nsys.stderr.write('y')", stdin=b"z" * _MB)
    assert outcome.stdout.endswith(b"x\n[1,048,576 bytes more are not kept]\n")
    assert (outcome.code, outcome.stderr) == (0, b"y")


def test_what_a_job_leaves_behind_ends_with_it(sandbox: ContainerSandbox) -> None:
    code = "import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)"
    outcome = _run(sandbox, code)
    assert (outcome.code, outcome.seconds < 20) == (0, True)


def test_two_sandboxes_at_once_do_not_disturb_each_other(
    sandbox: ContainerSandbox, stage: Stage, base_image: str, containers: Callable[[], list[str]]
) -> None:
    code = "import os, time\nopen('/tmp/{0}', 'w').close()\ntime.sleep(2)\nprint(os.listdir('/tmp'))"
    first = sandbox.start(Job(("-c", code.format("one"))))
    with open_container(stage, _target(), base_image, os.environ, lambda: stage.opt or Path()) as other:
        second = other.start(Job(("-c", "import time\ntime.sleep(60)")))
        assert len(containers()) >= 1
    outcome = first.wait(60)
    assert outcome is not None
    assert (outcome.ended, outcome.stdout) == ("exited", b"['one']\n")
    ended = second.wait(0)
    assert ended is not None
    assert ended.ended == "stopped"
    _until(lambda: not containers())


def test_imports_are_proven_in_the_stand_in(sandbox: ContainerSandbox) -> None:
    names = ["fine", "crashes", "lacks", "handler"]
    found = imports.run_imports(sandbox, names, memory=200 * _MB, seconds=10.0)
    assert [(one.name, one.passed) for one in found] == [
        ("fine", True), ("crashes", False), ("lacks", False), ("handler", True),
    ]  # fmt: skip
    told = {one.name: one.what() for one in found}
    assert told["crashes"] == "crashed: SIGSEGV"
    assert told["lacks"] == "ModuleNotFoundError: No module named 'lacks.testing'"


def test_an_event_goes_through_awslambdaric_in_the_stand_in(
    stage: Stage, base_image: str, runtime: Callable[[], Path], containers: Callable[[], list[str]]
) -> None:
    setting = Setting(name="f", handler="handler.lambda_handler", memory=256 * _MB, timeout=20, runtime="python3.11")
    with open_container(stage, _target(), base_image, os.environ, runtime) as sandbox:
        with Function(sandbox, setting) as function:
            done = function.invoke(b'{"n": 1}')
            assert done.error is None, done
            assert json.loads(done.payload) == {
                "n": 2, "size": 0, "task": "/var/task", "python": "/var/lang/bin/python3.11",
            }  # fmt: skip
            assert "seen 1" in done.logs
            assert done.peak > 10 * _MB
            large = function.invoke(json.dumps({"n": 2, "data": "x" * 5_000_000}).encode())
            assert json.loads(large.payload)["size"] == 5_000_000
            assert large.init_seconds is None
        slow = setting._replace(handler="handler.slow", timeout=1)
        with Function(sandbox, slow) as function:
            done = function.invoke(b"{}")
            assert done.error is not None
            assert done.ended == "timeout"
    _until(lambda: not containers())


def test_the_runtime_of_an_image_that_has_one_is_used(stage: Stage, base_image: str) -> None:
    with _derived(base_image, {"var/runtime/awslambdaric.py": "", "var/runtime/boto3.py": "OWN = 1\n"}) as image:

        def never() -> Path:
            raise AssertionError

        with open_container(stage, _target(), image, os.environ, never) as sandbox:
            assert _run(sandbox, "import boto3\nprint(boto3.OWN)").stdout == b"1\n"


def test_an_image_with_another_python_is_refused(stage: Stage, base_image: str) -> None:
    other = target_for("cp312", architecture=os.uname().machine)
    with pytest.raises(UsageError) as caught:
        open_container(stage, other, base_image, os.environ, Path)
    assert caught.value.message == (
        f"{base_image}: {other.name} needs an image with CPython 3.12 as /var/lang/bin/python3.12; there is none"
    )
    assert caught.value.hint == (
        "Name an image in AWS's layout, as public.ecr.aws/lambda/python:3.12 is, or leave the name out."
    )
    fake = '#!/bin/sh\nexec /var/lang/bin/python3.11 "$@"\n'
    with _derived(base_image, {"var/lang/bin/python3.12": fake}) as image, pytest.raises(UsageError) as caught:
        open_container(stage, other, image, os.environ, Path)
    assert caught.value.message.startswith(f"{image}: {other.name} needs an image with CPython 3.12 as /var/lang/bin/")
    assert "; it has CPython 3.11." in caught.value.message


def test_an_image_for_another_architecture_is_refused(stage: Stage, base_image: str) -> None:
    name = "aarch64" if os.uname().machine == "x86_64" else "x86_64"
    with pytest.raises(UsageError, match=f"{base_image}: is an image for .*; cp311-manylinux_2_26_{name} needs linux/"):
        open_container(stage, target_for("cp311", architecture=name), base_image, os.environ, Path, offline=True)


def test_an_image_that_answers_something_else_is_refused(stage: Stage, base_image: str) -> None:
    lying = "#!/bin/sh\necho hello, here is no Python at all\nsleep 60\n"
    target = target_for("cp312", architecture=os.uname().machine)
    said = "its Python answers with something else than was sent to it"
    with _derived(base_image, {"var/lang/bin/python3.12": lying}) as image, pytest.raises(UsageError, match=said):
        open_container(stage, target, image, os.environ, Path)


def test_an_image_that_is_nowhere_is_told(stage: Stage, base_image: str) -> None:  # noqa: ARG001 - starts the engine
    missing = "lamina-absent:1"
    with pytest.raises(MissingToolError, match=f"{missing}: the engine at .* does not have this image, and is not"):
        open_container(stage, _target(), missing, os.environ, Path, offline=True)
    with pytest.raises(MissingToolError, match=f"{missing}: the engine at .* does not have this image and cannot pull"):
        open_container(stage, _target(), missing, os.environ, Path)


def test_folders_that_the_engine_does_not_see_are_told(base_image: str, tmp_path: Path) -> None:
    with contextlib.closing(connect(os.environ)) as engine:
        if "Podman" in str(engine._client.version().get("Components")):
            pytest.skip("Podman makes a folder that is not there")
        run = Run(base_image, ["true"], "993:990", {"/opt": str(tmp_path / "absent")}, 0, "test")
        try:
            with pytest.raises(MissingToolError) as caught:
                engine.create(run)
        finally:
            engine.remove_all("test")
    assert f"{tmp_path}/absent" in caught.value.message
    assert caught.value.hint.startswith("The engine does not see this machine's folders")
    assert not (tmp_path / "absent").exists()


def test_a_function_that_only_its_owner_may_read_is_run(stage: Stage, base_image: str, tmp_path: Path) -> None:
    task = tmp_path / "task"
    task.mkdir(mode=0o700)
    (task / "own.py").write_text("")
    (task / "own.py").chmod(0o600)
    with open_container(
        Stage(Path(), Path(), stage.opt, task), _target(), base_image, os.environ, lambda: task
    ) as sandbox:
        assert _run(sandbox, "import own, fine").code == 0


def test_nothing_is_written_on_the_host(sandbox: ContainerSandbox, stage: Stage) -> None:
    assert stage.opt is not None
    before = sorted(stage.opt.parent.rglob("*"))
    assert _run(sandbox, "import fine, handler").code == 0
    assert sorted(stage.opt.parent.rglob("*")) == before


_INTERRUPTED = """
import os, sys
from pathlib import Path
from lamina.prove.container import open_container
from lamina.prove.model import Job, Stage
from lamina.target import target_for
opt, task, machine, image = sys.argv[1:]
stage = Stage(Path(), Path(), Path(opt), Path(task))
target = target_for("cp311", architecture=machine)
with open_container(stage, target, image, os.environ, lambda: Path(opt)) as sandbox:
    running = sandbox.start(Job(("-c", "import time; time.sleep(60)")))
    print("started", flush=True)
    running.wait()
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_container_is_left_when_lamina_is_interrupted_or_killed(
    stage: Stage, base_image: str, containers: Callable[[], list[str]], tmp_path: Path, sent: signal.Signals
) -> None:
    command = [sys.executable, "-c", _INTERRUPTED, str(stage.opt), str(stage.task), os.uname().machine, base_image]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env) as lamina:
        assert lamina.stdout is not None
        assert lamina.stdout.readline() == b"started\n"
        assert len(containers()) == 1
        lamina.send_signal(sent)
    _until(lambda: not containers())
    assert [*tmp_path.iterdir()] == []


_RECIPE = """
name = "api"
artefacts = ["layer", "function"]
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
memory = "128 MiB"
timeout = 5
"""
_OWN = "import six\n\n\ndef handler(event, context):\n    return {'n': event['n'] + 1, 'six': six.__file__}\n"


@pytest.mark.usefixtures("index")
def test_the_commands_prove_and_invoke_in_the_stand_in(
    lamina: Callable[..., subprocess.CompletedProcess[str]],
    base_image: str,
    tmp_path: Path,
    containers: Callable[[], list[str]],
) -> None:
    files = {
        "recipes/api.toml": _RECIPE.replace("MACHINE", os.uname().machine).replace("IMAGE", base_image),
        "app/own.py": _OWN,
        "events/one.json": '{"n": 1}',
        "events/one.expect.json": '{"answer": {"n": 2, "six": "/opt/python/six.py"}}',
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    for command in (["lock", "api"], ["build", "api"]):
        done = lamina(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    done = lamina("prove", "api", "--in", "container", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [row] = json.loads(done.stdout)
    kinds = [(proof["kind"], proof["passed"]) for proof in row["proofs"]]
    assert kinds == [("imports", True), ("event", True), ("emulator", True)]
    wrong = tmp_path / "events" / "one.expect.json"
    wrong.write_text('{"answer": {"n": 3}}')
    done = lamina("prove", "api", "--in", "container", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 1
    assert [proof["passed"] for proof in json.loads(done.stdout)[0]["proofs"]] == [True, False, False]
    wrong.write_text(files["events/one.expect.json"])
    assert all(f", container {base_image}@sha256:" in proof["where"] for proof in row["proofs"])
    done = lamina("invoke", "api", "--in", "container", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, '{"n": 2, "six": "/opt/python/six.py"}\n')
    assert "REPORT RequestId" in done.stderr
    assert not containers()
    done = lamina("prove", "api", "--in", "container", cwd=tmp_path, env={"DOCKER_HOST": "unix:///absent.sock"})
    assert (done.returncode, done.stdout) == (5, "")
    assert "error: no container engine answers; tried:\n  unix:///absent.sock: there is no such socket\n" in done.stderr
    assert "and prove without --in, where this machine is Linux." in done.stderr


def test_which_engines_were_tried_is_told(tmp_path: Path) -> None:
    absent = f"unix://{tmp_path}/absent.sock"
    with pytest.raises(MissingToolError) as caught:
        connect({"DOCKER_HOST": absent})
    assert caught.value.message == f"no container engine answers; tried:\n  {absent}: there is no such socket"
    with pytest.raises(MissingToolError, match="nonsense://x"):
        connect({"DOCKER_HOST": "nonsense://x"})


def _until(met: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not met():
        assert time.monotonic() < until
        time.sleep(0.05)


class _derived:  # noqa: N801 - a context
    """An image made of another one and some executable files, removed at the end."""

    def __init__(self, base: str, files: Mapping[str, str]) -> None:
        self._base, self._files = base, files
        self._name = "lamina-derived:test"

    def __enter__(self) -> str:
        engine = connect(os.environ)
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for path, text in self._files.items():
                info = tarfile.TarInfo(path)
                info.size, info.mode = len(text), 0o755
                tar.addfile(info, io.BytesIO(text.encode()))
        api = engine._client.api
        made = api.create_container(self._base, command=["x"])["Id"]
        api.put_archive(made, "/", content.getvalue())
        api.commit(made, *self._name.split(":"))
        api.remove_container(made)
        engine.close()
        return self._name

    def __exit__(self, *_: object) -> None:
        engine = connect(os.environ)
        engine._client.api.remove_image(self._name, force=True)
        engine.close()
