"""A place to run functions in without isolation, and AWS's runtime client from the index."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest
import uv

from lamina.prove.invocation import Setting
from lamina.prove.invoke import Function
from lamina.prove.model import Job, Outcome, Where

MIB = 1024 * 1024


def installed(folder: Path, packages: Sequence[str]) -> Path:
    """Packages of the index, for the interpreter that runs the tests."""
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder)]
    done = subprocess.run([*command, *packages], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def client(index: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - skips without an index
    """AWS's runtime client, as wheels of the index have it."""
    return installed(tmp_path_factory.mktemp("client"), ["awslambdaric"])


@pytest.fixture(scope="session")
def aws(index: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - skips without an index
    """boto3 and moto's server."""
    return installed(tmp_path_factory.mktemp("aws"), ["boto3", "moto[s3,server]"])


class _Process:
    """A job as a plain process, watched by a thread."""

    def __init__(self, job: Job, folder: Path, path: Sequence[Path]) -> None:
        environment = {"PYTHONPATH": os.pathsep.join(map(str, path)), "PATH": os.defpath, **job.environment}
        self._began = time.monotonic()
        self._memory = job.memory
        self._process = subprocess.Popen(
            [sys.executable, *job.arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._kept = (bytearray(), bytearray())
        self._peak = 0
        self._beyond = self._stopped = False
        pipes = (self._process.stdout, self._process.stderr)
        self._threads = [threading.Thread(target=self._watch)]
        for pipe, kept in zip(pipes, self._kept, strict=True):
            assert pipe is not None
            self._threads.append(threading.Thread(target=self._read, args=(pipe, kept)))
        for thread in self._threads:
            thread.start()

    def _read(self, pipe: IO[bytes], kept: bytearray) -> None:
        with pipe:
            while data := os.read(pipe.fileno(), 65536):
                kept.extend(data)

    def _watch(self) -> None:
        status = Path(f"/proc/{self._process.pid}/status")
        while self._process.poll() is None:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                for line in status.read_text().splitlines():
                    if line.startswith("VmHWM"):
                        self._peak = max(self._peak, int(line.split()[1]) * 1024)
            if self._memory is not None and self._peak > self._memory and not self._beyond:
                self._beyond = True
                self._process.kill()
            time.sleep(0.005)

    def wait(self, seconds: float | None = None) -> Outcome | None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return self._outcome()

    def stop(self) -> Outcome:
        self._stopped = self._stopped or self._process.poll() is None
        self._process.kill()
        self._process.wait()
        return self._outcome()

    def _outcome(self) -> Outcome:
        for thread in self._threads:
            thread.join()
        ended = "memory" if self._beyond else "stopped" if self._stopped else "exited"
        seconds = time.monotonic() - self._began
        return Outcome(ended, self._process.returncode, *map(bytes, self._kept), seconds, self._peak)

    def peak(self) -> int:
        return self._peak

    def output(self) -> tuple[bytes, bytes]:
        return bytes(self._kept[0]), bytes(self._kept[1])


class Plain:
    """A sandbox that is none: plain processes of the interpreter that runs the tests."""

    def __init__(self, folder: Path, path: Sequence[Path]) -> None:
        self.folder = folder
        self._path = path
        self.started: list[_Process] = []

    @property
    def where(self) -> Where:
        return Where(sys.platform, sys.version.split()[0], (), (), (), isolated=False, how="plain process")

    def start(self, job: Job) -> _Process:
        self.started.append(_Process(job, self.folder, self._path))
        return self.started[-1]

    def close(self) -> None:
        for process in self.started:
            process.stop()


@pytest.fixture
def plain(tmp_path: Path, client: Path, request: pytest.FixtureRequest) -> Iterator[Plain]:
    """A place to run functions in; what stands in its folder is the function."""
    folder = tmp_path / "task"
    folder.mkdir()
    extra = [request.getfixturevalue("aws")] if "aws" in request.fixturenames else []
    sandbox = Plain(folder, [folder, client, *extra])
    yield sandbox
    sandbox.close()


@pytest.fixture
def function(plain: Plain) -> Iterator[Callable[..., Function]]:
    """A function of the source of its module ``handler``."""
    made: list[Function] = []

    def make(
        source: str,
        *,
        handler: str = "handler.lambda_handler",
        timeout: float = 20,
        memory: int = 256 * MIB,
        environment: Mapping[str, str] | None = None,
        reach: Sequence[int] = (),
    ) -> Function:
        (plain.folder / "handler.py").write_text(source)
        setting = Setting("hello", handler, memory, timeout, "python3.11", environment or {}, reach)
        made.append(Function(plain, setting))
        return made[-1]

    yield make
    for one in made:
        one.close()
