"""The host sandbox, with real namespaces and real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from lamina import interpreters
from lamina.errors import MissingToolError
from lamina.prove import imports, machine, stage, supervised
from lamina.prove.model import Job, Outcome, Stage
from lamina.prove.sandbox import HostSandbox, open_sandbox
from lamina.store import Store
from lamina.target import Target, target_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux binaries load on Linux only")

_MB = 1024 * 1024


def _target() -> Target:
    version = "cp{}{}".format(*sys.version_info)
    return target_for(version, architecture=os.uname().machine)


@pytest.fixture(scope="module")
def interpreter() -> Path:
    return interpreters.find(_target(), os.environ).path


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small layer: a package with a .pth file beside it, one that crashes, one that lacks a module of its own."""
    path = tmp_path_factory.mktemp("layer") / "layer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("python/fine/__init__.py", "import os\nSTATE = []\n")
        archive.writestr("python/crashes.py", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
        archive.writestr("python/lacks/__init__.py", "import lacks.testing\n")
        archive.writestr("python/raises.py", "def inner():\n    raise SystemExit('no licence')\n\n\ninner()\n")
        archive.writestr("python/greedy.py", "HELD = bytearray(300 << 20)\n")
        archive.writestr("python/slow.py", "import time\ntime.sleep(60)\n")
        archive.writestr("python/below/__init__.py", "")
        archive.writestr("python/extra.pth", "below\n")
        archive.writestr("python/below/by_path.py", "")
        archive.writestr("bin/tool", "#!/bin/sh\necho tool\n")
        archive.getinfo("bin/tool").external_attr = 0o100755 << 16
    return path


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, interpreter: Path, layer: Path) -> Stage:
    folder = tmp_path_factory.mktemp("staged")
    task = folder / "task"
    task.mkdir()
    (task / "handler.py").write_text("NAME = __name__\n")
    runtime = folder / "runtime"
    runtime.mkdir()
    (runtime / "boto3.py").write_text("")
    opt = stage.unpacked(Store(folder / "store"), stage.zips([layer]))
    return Stage(interpreter, runtime, opt, task)


@pytest.fixture(scope="module")
def namespaces(staged: Stage) -> Iterator[HostSandbox]:
    try:
        sandbox = open_sandbox(staged, _target().runtime, means="namespaces")
    except MissingToolError as error:
        pytest.skip(f"this kernel allows no namespaces: {error}")
    with sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def plain(staged: Stage) -> Iterator[HostSandbox]:
    with open_sandbox(staged, _target().runtime, means="plain process") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def bubblewrap(staged: Stage) -> Iterator[HostSandbox]:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    with open_sandbox(staged, _target().runtime, means="bubblewrap") as sandbox:
        yield sandbox


@pytest.fixture(params=["namespaces", "bubblewrap", "plain"])
def sandbox(request: pytest.FixtureRequest) -> HostSandbox:
    found: HostSandbox = request.getfixturevalue(request.param)
    return found


def _run(sandbox: HostSandbox, code: str, **limits: object) -> Outcome:
    outcome = sandbox.start(Job(("-c", code), **{"seconds": 60.0, **limits})).wait(120)  # type: ignore[arg-type]
    assert outcome is not None
    return outcome


def _told(sandbox: HostSandbox, code: str, **limits: object) -> object:
    outcome = _run(sandbox, f"import json\nprint(json.dumps({code}))", **limits)
    assert outcome.code == 0, outcome.stderr.decode()
    return json.loads(outcome.stdout)


def test_where_it_runs_is_told(namespaces: HostSandbox) -> None:
    where = namespaces.where
    assert (where.isolated, where.how) == (True, "namespaces")
    assert where.glibc >= (2, 17)
    assert where.python.startswith("{}.{}.".format(*sys.version_info))
    assert ": not Lambda" in machine.place(where, _target().runtime)


def test_a_plain_process_says_so(plain: HostSandbox) -> None:
    assert (plain.where.isolated, plain.where.how) == (False, "plain process")


def test_the_search_path_is_lambdas(namespaces: HostSandbox) -> None:
    version = "python{}.{}".format(*sys.version_info)
    library = f"/var/lang/lib/{version}"
    path = _told(namespaces, "__import__('sys').path")
    assert path in (  # an interpreter without a folder for packages has what the runtime has in one place
        [
            "/var/task", f"/opt/python/lib/{version}/site-packages", "/opt/python", *site, "/var/runtime",
            "/var/lang/lib/python{}{}.zip".format(*sys.version_info), library, f"{library}/lib-dynload",
            "/opt/python/below",
        ]
        for site in ([f"{library}/site-packages"], [])
    )  # fmt: skip


def test_a_pythonpath_of_the_function_takes_the_layers_away(namespaces: HostSandbox) -> None:
    path = _told(namespaces, "__import__('sys').path", environment={"PYTHONPATH": "/var/own"})
    assert isinstance(path, list)
    assert path[:2] == ["/var/task", "/var/own"]
    assert not [folder for folder in path if folder.startswith("/opt")]


def test_the_environment_is_lambdas_and_nothing_else(namespaces: HostSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    told = _told(namespaces, "dict(__import__('os').environ)", environment={"OWN": "2"})
    assert isinstance(told, dict)
    told.pop("LC_CTYPE", None)  # CPython itself sets it where the system has no en_US (PEP 538)
    libraries = told.pop("LD_LIBRARY_PATH").split(":")
    assert told == {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python{}.{}".format(*sys.version_info),
        "AWS_REGION": "us-east-1",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LANG": "en_US.UTF-8",
        "OWN": "2",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "TZ": ":UTC",
    }
    assert libraries[0] == "/var/lang/lib"
    assert libraries[-5:] == ["/var/runtime", "/var/runtime/lib", "/var/task", "/var/task/lib", "/opt/lib"]


@pytest.mark.parametrize("place", ["/opt/python/x", "/var/task/x", "/var/runtime/x", "/usr/x", "/x", "/etc/x"])
def test_everything_but_tmp_is_read_only(namespaces: HostSandbox, place: str) -> None:
    outcome = _run(namespaces, f"open({place!r}, 'w')")
    assert outcome.code == 1
    assert b"Read-only file system" in outcome.stderr


def test_tmp_is_its_own_and_limited(namespaces: HostSandbox, tmp_path: Path) -> None:
    code = (
        "import os\nopen('/tmp/left', 'w').close()\nstate = os.statvfs('/tmp')\nprint(state.f_blocks * state.f_frsize)"
    )
    assert _run(namespaces, code).stdout.strip() == str(512 * _MB).encode()
    assert _told(namespaces, "__import__('os').listdir('/tmp')") == []
    assert _told(namespaces, f"__import__('os').path.exists({str(tmp_path)!r})") is False


def test_the_user_is_no_root_and_has_no_home(namespaces: HostSandbox) -> None:
    told = "[__import__('os').getuid(), __import__('os').path.expanduser('~'), __import__('os').getcwd()]"
    assert _told(namespaces, told) == [993, "/home/sbx_user1051", "/var/task"]


def test_what_a_job_ships_and_has_can_be_imported(sandbox: HostSandbox) -> None:
    assert _run(sandbox, "import fine, handler, boto3, by_path, ssl, sqlite3; exit()").code == 0


@pytest.mark.parametrize("name", ["pip", "setuptools", "pytest", "lamina", "msgspec"])
def test_no_package_of_the_host_can_be_imported(sandbox: HostSandbox, name: str) -> None:
    outcome = _run(sandbox, f"import {name}")
    assert f"No module named '{name}'".encode() in outcome.stderr


def test_commands_of_the_layer_are_on_the_path(sandbox: HostSandbox) -> None:
    code = "import subprocess\nsubprocess.run(['tool'], check=True)"
    assert _run(sandbox, code).stdout == b"tool\n"


def test_no_bytecode_is_written(sandbox: HostSandbox, staged: Stage) -> None:
    assert _run(sandbox, "import fine").code == 0
    assert staged.opt is not None
    assert not [*staged.opt.rglob("*.pyc")]


def test_standard_input_arrives_and_modules_run(sandbox: HostSandbox) -> None:
    outcome = sandbox.start(Job(("-m", "base64", "-e", "-"), stdin=b"hello")).wait(60)
    assert outcome is not None
    assert outcome.stdout == b"aGVsbG8=\n"


def test_a_class_of_main_can_be_pickled(sandbox: HostSandbox) -> None:
    code = "import pickle\nclass One: pass\npickle.loads(pickle.dumps(One()))\nprint(__name__)"
    assert _run(sandbox, code).stdout == b"__main__\n"


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
with socket.create_connection(("127.0.0.1", {port}), timeout=20) as peer:
    threading.Thread(target=lambda: (peer.sendall(b"x" * 3000000), peer.shutdown(socket.SHUT_WR))).start()
    size = 0
    while data := peer.recv(65536):
        size += len(data)
print(size)
"""


def test_a_port_that_may_be_reached_is_reached(sandbox: HostSandbox, echo: int) -> None:
    outcome = _run(sandbox, _CONNECT.format(port=echo), reach=[echo, echo])
    assert outcome.stdout == b"3000000\n", outcome.stderr.decode()


def test_another_port_is_not(namespaces: HostSandbox, echo: int) -> None:
    assert b"ConnectionRefusedError" in _run(namespaces, _CONNECT.format(port=echo)).stderr


def test_the_network_is_off(namespaces: HostSandbox) -> None:
    outcome = _run(namespaces, "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)")
    assert b"Network is unreachable" in outcome.stderr


@pytest.mark.parametrize("means", ["namespaces", "bubblewrap"])
def test_the_network_is_there_where_it_is_asked_for(
    means: Literal["namespaces", "bubblewrap"], staged: Stage, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(means)  # skips where the system does not allow them
    with socket.socket() as listening, open_sandbox(staged, _target().runtime, means=means, network=True) as sandbox:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        outcome = _run(sandbox, f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=5)")
        assert outcome.code == 0, outcome.stderr
        assert _told(sandbox, "open('/etc/resolv.conf').read()") == Path("/etc/resolv.conf").read_text()
        assert (sandbox.where.isolated, sandbox.where.how) == (False, f"{means}, with the network")


def test_too_much_memory_ends_a_job(sandbox: HostSandbox) -> None:
    outcome = _run(sandbox, "held = bytearray(400 << 20)\nimport time\ntime.sleep(60)", memory=100 * _MB)
    assert (outcome.ended, outcome.code) == ("memory", None)
    assert outcome.peak > 100 * _MB
    assert outcome.seconds < 30


def test_memory_of_all_processes_counts(sandbox: HostSandbox) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = 'held = bytearray(70 << 20)\\nimport time\\ntime.sleep(60)'\n"
        "for _ in range(3):\n    subprocess.Popen([sys.executable, '-S', '-c', child])\n"
        "time.sleep(60)"
    )
    assert _run(sandbox, code, memory=150 * _MB).ended == "memory"


def test_memory_taken_and_given_back_at_once_is_seen(sandbox: HostSandbox) -> None:
    outcome = _run(sandbox, "bytearray(200 << 20)", memory=100 * _MB)
    assert outcome.ended == "memory"


def test_reserved_memory_does_not_count(sandbox: HostSandbox) -> None:
    code = "import mmap\nheld = mmap.mmap(-1, 4 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)"
    outcome = _run(sandbox, code, memory=100 * _MB)
    assert (outcome.ended, outcome.code) == ("exited", 0)
    assert outcome.peak < 100 * _MB


def test_a_job_ends_at_its_deadline_with_all_it_started(sandbox: HostSandbox) -> None:
    mark = "31415.92"
    code = f"import subprocess, time\nsubprocess.Popen(['sleep', '{mark}'], start_new_session=True)\ntime.sleep(60)"
    outcome = _run(sandbox, code, seconds=1.0)
    assert (outcome.ended, outcome.code) == ("timeout", None)
    assert 0.9 < outcome.seconds < 20
    assert not _processes(mark)


def test_what_a_job_leaves_behind_is_ended(sandbox: HostSandbox) -> None:
    mark = "27182.81"
    code = f"import subprocess\nsubprocess.Popen(['sleep', '{mark}'], start_new_session=True)"
    assert _run(sandbox, code).code == 0
    assert not _processes(mark)


def test_a_job_can_be_stopped(sandbox: HostSandbox) -> None:
    running = sandbox.start(Job(("-c", "print('begun', flush=True)\nimport time\ntime.sleep(60)")))
    _until(lambda: running.output()[0] == b"begun\n")
    assert running.wait(0) is None
    assert running.peak() >= 0
    outcome = running.stop()
    assert (outcome.ended, outcome.code, outcome.stdout) == ("stopped", None, b"begun\n")
    assert running.stop() == outcome


def test_a_signal_is_told_as_a_negative_code(sandbox: HostSandbox) -> None:
    assert _run(sandbox, "import os\nos.abort()").code == -signal.SIGABRT


def test_output_is_kept_to_a_limit_and_the_rest_counted(sandbox: HostSandbox) -> None:
    outcome = _run(sandbox, "import sys\nsys.stdout.write('x' * (11 << 20))")
    assert outcome.code == 0
    assert outcome.stdout.endswith(b"x\n[1,048,576 bytes more are not kept]\n")
    assert len(outcome.stdout) < 10.1 * _MB


def test_two_jobs_at_once_do_not_see_each_other(namespaces: HostSandbox) -> None:
    code = "import os, time\nopen('/tmp/{0}', 'w').close()\ntime.sleep(0.5)\nprint(os.listdir('/tmp'))"
    both = [namespaces.start(Job(("-c", code.format(name)))) for name in ("one", "two")]
    outcomes = [running.wait(60) for running in both]
    assert [outcome.stdout for outcome in outcomes if outcome] == [b"['one']\n", b"['two']\n"]


def test_there_is_no_shared_memory_as_on_lambda(namespaces: HostSandbox) -> None:
    code = "import multiprocessing\ntry:\n    multiprocessing.Lock()\nexcept OSError:\n    print('none')"
    assert _run(namespaces, code).stdout == b"none\n"  # which errno it is, glibc decides: 38 up to 2.33, then 2


_INTERRUPTED = """
import sys
from pathlib import Path
from lamina.prove.model import Job, Stage
from lamina.prove.sandbox import open_sandbox
from lamina.target import target_for
interpreter, runtime, opt, task, python, machine, means = sys.argv[1:]
where = Stage(Path(interpreter), Path(runtime), Path(opt), Path(task))
with open_sandbox(where, target_for(python, architecture=machine).runtime, means=means) as sandbox:
    code = "import subprocess, time; subprocess.Popen(['sleep', '16180.33'], start_new_session=True); time.sleep(60)"
    running = sandbox.start(Job(("-c", code)))
    print("started", flush=True)
    running.wait()
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_lamina_is_interrupted_or_killed(
    sandbox: HostSandbox, staged: Stage, tmp_path: Path, sent: signal.Signals
) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    target = _target()
    command = [sys.executable, "-c", _INTERRUPTED, *map(str, (staged.interpreter, staged.runtime, staged.opt))]
    command += [str(staged.task), target.python, target.architecture, sandbox.where.how]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env) as lamina:
        assert lamina.stdout is not None
        assert lamina.stdout.readline() == b"started\n"
        _until(lambda: bool(_processes("16180.33")))
        lamina.send_signal(sent)
    _until(lambda: not _processes("16180.33"))
    assert Path("/proc/self/mountinfo").read_text() == mounts
    if sent == signal.SIGINT:
        assert [*tmp_path.iterdir()] == []


def test_imports_are_each_proven_for_themselves(sandbox: HostSandbox) -> None:
    names = ["fine", "crashes", "lacks", "raises", "greedy", "slow", "handler"]
    found = imports.run_imports(sandbox, names, memory=200 * _MB, seconds=3.0)
    assert [one.name for one in found] == names
    assert [one.passed for one in found] == [True, False, False, False, False, False, True]
    told = {one.name: one.what() for one in found}
    assert told["crashes"] == "crashed: SIGSEGV"
    assert told["lacks"] == "ModuleNotFoundError: No module named 'lacks.testing'"
    assert told["raises"] == "SystemExit: no licence"
    assert told["greedy"] == "took more memory than the function has, and was ended"
    assert told["slow"].startswith("was still importing after 3.")
    assert next(one for one in found if one.name == "lacks").missing == "lacks.testing"
    frames = next(one for one in found if one.name == "raises").frames
    assert [frame.rpartition("/")[2] for frame in frames] == [
        "raises.py:5 in <module>: inner()",
        "raises.py:2 in inner: raise SystemExit('no licence')",
    ]


def test_a_package_is_proven_by_the_import_of_what_is_in_it(tmp_path: Path, staged: Stage) -> None:
    task = tmp_path / "task"
    (task / "outer" / "inner").mkdir(parents=True)
    for name, text in (("__init__", "print('x')"), ("inner/__init__", ""), ("inner/bad", "1 / 0"), ("dies", "exit()")):
        (task / "outer" / f"{name}.py").write_text(text)
    (task / "broken").mkdir()
    (task / "broken" / "__init__.py").write_text("1 / 0")
    (task / "broken" / "one.py").touch()
    names = ["outer", "outer.inner.bad", "outer.inner", "outer.dies", "broken", "broken.one"]
    with open_sandbox(staged._replace(task=task), _target().runtime) as sandbox:
        found = imports.run_imports(sandbox, names)
    assert [(one.name, one.passed) for one in found] == [(name, name in {"outer", "outer.inner"}) for name in names]
    assert {one.what() for one in found if one.name.startswith("broken")} == {"ZeroDivisionError: division by zero"}


def test_an_import_sees_nothing_of_another(tmp_path: Path, staged: Stage) -> None:
    task = tmp_path / "task"
    task.mkdir()
    for name, other in (("one", "two"), ("two", "one")):
        (task / f"{name}.py").write_text(f"import sys\nassert {other!r} not in sys.modules\nsys.flag = 1\n")
    with open_sandbox(staged._replace(task=task), _target().runtime) as sandbox:
        assert [one.passed for one in imports.run_imports(sandbox, ["one", "two", "one"])] == [True, True]


def test_an_interpreter_that_hangs_is_none(staged: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "_SLOWEST_START", 0.3)
    monkeypatch.setattr(supervised, "_GRACE", 0.3)
    hanging = tmp_path / "bin" / "python"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 14142.13\n")
    hanging.chmod(0o755)
    with pytest.raises(MissingToolError, match="no job can be run with it: its supervisor ended, or did not start"):
        open_sandbox(staged._replace(interpreter=hanging), _target().runtime)
    assert not _processes("14142.13")


def test_without_function_and_layer_there_is_an_empty_folder(staged: Stage) -> None:
    with open_sandbox(staged._replace(opt=None, task=None), _target().runtime) as sandbox:
        assert _told(sandbox, "__import__('os').listdir('.')") == []


def test_an_interpreter_that_does_not_run_is_told(staged: Stage, tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "python"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(
        MissingToolError, match="no job can be run with it: its supervisor ended, or did not start: broken"
    ):
        open_sandbox(staged._replace(interpreter=broken), _target().runtime)


def _processes(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:1] == [b"sleep"] and mark.encode() in words:
            found.append(path.parent.name)
    return found


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
