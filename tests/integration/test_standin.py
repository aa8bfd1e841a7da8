"""The target's interpreter found, the runtime's packages fetched, and what wheels import untouched."""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from pathlib import Path

import pytest

from lamina import interpreters
from lamina.errors import IndexAccessError, MissingToolError
from lamina.index.settings import Indexes, from_environment
from lamina.lock import LockedWheel
from lamina.prove import runtime_standin
from lamina.prove.model import Job, Stage
from lamina.prove.sandbox import open_sandbox
from lamina.prove.untouched import untouched
from lamina.runtimes import runtimes
from lamina.store import Store
from lamina.target import Target, target_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux binaries load on Linux only")


def _target() -> Target:
    return target_for("cp{}{}".format(*sys.version_info), architecture=os.uname().machine)


@pytest.mark.parametrize("runtime", [runtime.abi for runtime in runtimes()])
def test_the_runtimes_packages_run_in_its_interpreter(runtime: str, shared_store: Path) -> None:
    target = target_for(runtime, architecture=os.uname().machine)
    try:
        interpreter = interpreters.find(target, os.environ)
    except MissingToolError:
        pytest.skip(f"no interpreter of {runtime} here")
    assert interpreter.version[:2] == target.runtime.python
    store = Store(shared_store)
    folder = runtime_standin.standin(target, store=store, indexes=from_environment(os.environ))
    assert runtime_standin.standin(target, store=store, indexes=Indexes(None), offline=True) == folder
    with open_sandbox(Stage(interpreter.path, folder), target.runtime) as sandbox:
        code = "import boto3, awslambdaric, simplejson, snapshot_restore_py, runtime_client\nboto3.client('s3')"
        outcome = sandbox.start(Job(("-c", code), seconds=60)).wait()
        assert outcome is not None
        assert outcome.code == 0, outcome.stderr.decode()
        client = sandbox.start(Job(("-m", "awslambdaric"), seconds=60)).wait()
        assert client is not None
        assert b"awslambdaric" in client.stderr + client.stdout


def test_offline_and_with_an_empty_store_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(IndexAccessError, match=r"offline, and \d+ wheels are not in the store"):
        runtime_standin.standin(_target(), store=Store(tmp_path), indexes=Indexes(None), offline=True)


def test_a_stated_interpreter_is_taken_or_refused(tmp_path: Path) -> None:
    found = interpreters.find(_target(), os.environ)
    env = {"LAMINA_PYTHON": sys.executable}
    assert interpreters.find(_target(), env).path == found.path
    wrong = tmp_path / "python"
    wrong.write_text("#!/bin/sh\nexit 1\n")
    wrong.chmod(0o755)
    with pytest.raises(MissingToolError) as caught:
        interpreters.find(_target(), {"LAMINA_PYTHON": str(wrong)})
    assert caught.value.message == f"LAMINA_PYTHON: {wrong}: does not run"


def test_wheels_are_imported_untouched(tmp_path: Path) -> None:
    path = tmp_path / "one-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one/__init__.py", "import one.testing\n")
        archive.writestr("one/testing.py", "")
        archive.writestr("never.py", "raise ImportError('no display')\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    wheel = LockedWheel("one", "1", path.name, digest, path.stat().st_size)
    empty = tmp_path / "runtime"
    empty.mkdir()
    where = Stage(interpreters.find(_target(), os.environ).path, empty)
    ask = untouched(
        where,
        lambda stage: open_sandbox(stage, _target().runtime),
        [wheel],
        lambda _: {digest: path},
        store=Store(tmp_path / "store"),
    )
    assert [(one.name, one.passed, one.message) for one in ask(["one", "never"])] == [
        ("one", True, ""),
        ("never", False, "ImportError: no display"),
    ]
