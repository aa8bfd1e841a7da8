"""Builds that are killed, interrupted, or run side by side: dist/ never holds half an artefact, the next is fine."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Forged

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

NAME = "forged-cp311-manylinux2014_x86_64"
SUFFIXES = (".zip", ".json", ".cdx.json", ".notices.txt")
MOMENTS = 20


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory, forge_project: Callable[..., Forged]) -> Forged:
    """A project whose first build takes about a second."""
    return forge_project(tmp_path_factory.mktemp("kill") / "project", modules=100)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, forged: Forged) -> tuple[str, float, float]:
    """The digest of a build that nobody disturbs, and how many seconds a cold and a warm one take."""
    store = tmp_path_factory.mktemp("undisturbed")
    times = []
    digests = set()
    for _ in range(2):
        start = time.monotonic()
        digests.add(forged.build(store))
        times.append(time.monotonic() - start)
    (digest,) = digests
    return digest, times[0], times[1]


def check_output(output: Path, digest: str) -> None:
    """Whatever stands under a final name is whole."""
    if not output.is_dir():
        return
    for path in output.iterdir():
        if path.name.endswith(".unfinished"):
            assert path.name.startswith(".")
            continue
        assert path.name in {NAME + suffix for suffix in SUFFIXES}
        if path.suffix == ".zip":
            assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
        elif path.name == f"{NAME}.json":
            # While the manifest stands, what it describes does, too.
            assert json.loads(path.read_bytes())["sha256"] == digest
            assert {file.name for file in output.iterdir() if not file.name.startswith(".")} == {
                NAME + suffix for suffix in SUFFIXES
            }
            assert hashlib.sha256((output / f"{NAME}.zip").read_bytes()).hexdigest() == digest
        elif path.suffix == ".json":
            assert json.loads(path.read_bytes())["bomFormat"] == "CycloneDX"


def unfinished(output: Path) -> list[str]:
    return [path.name for path in output.glob(".*")]


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_kill_at_random_moments(
    tmp_path: Path, forged: Forged, undisturbed: tuple[str, float, float], *, warm: bool
) -> None:
    digest, *times = undisturbed
    dice = random.Random(20261122)  # noqa: S311 - moments, the same in every run
    killed = tries = 0
    longest = times[warm]
    while killed < MOMENTS and tries < 10 * MOMENTS:
        tries += 1
        store = tmp_path / ("store" if warm else f"store{tries}")
        if warm:
            forged.build(store)
        elif tries % 4:
            shutil.rmtree(forged.output, ignore_errors=True)
        process = subprocess.Popen(
            forged.command,
            cwd=forged.root,
            env=forged.environment(store),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(dice.uniform(0.05, 1) * longest)
        process.kill()
        if process.wait() == -signal.SIGKILL:
            killed += 1
        else:  # it was done already: the machine is less busy now than when the time was taken
            longest *= 0.9
        check_output(forged.output, digest)
        assert forged.build(store) == digest
        check_output(forged.output, digest)
        assert unfinished(forged.output) == []
    assert killed == MOMENTS


def test_kill_again_and_again_without_a_build_between(
    tmp_path: Path, forged: Forged, undisturbed: tuple[str, float, float]
) -> None:
    """What one killed build leaves in the store does not spoil the next killed one either."""
    digest, cold, _ = undisturbed
    dice = random.Random(1)  # noqa: S311
    shutil.rmtree(forged.output, ignore_errors=True)
    for _ in range(MOMENTS // 2):
        with subprocess.Popen(
            forged.command, cwd=forged.root, env=forged.environment(tmp_path), stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(dice.uniform(0.2, 1) * cold)
            process.kill()
        check_output(forged.output, digest)
    assert forged.build(tmp_path) == digest
    assert unfinished(forged.output) == []


def test_interrupting_leaves_nothing_half_done(
    tmp_path: Path, forged: Forged, undisturbed: tuple[str, float, float]
) -> None:
    digest, cold, _ = undisturbed
    dice = random.Random(2)  # noqa: S311
    codes = []
    while codes.count(130) < 8 and len(codes) < 40:
        store = tmp_path / f"store{len(codes)}"
        shutil.rmtree(forged.output, ignore_errors=True)
        process = subprocess.Popen(
            forged.command,
            cwd=forged.root,
            env=forged.environment(store),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first.startswith("fetching 3 wheels")
        time.sleep(dice.uniform(0, 0.6) * cold)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        code = process.wait()
        process.stderr.close()
        if code == 130:
            assert rest.endswith("interrupted; nothing was left half-done\n"), rest
        # While Python itself ends, it ends by the signal, which a shell tells as 130 too.
        codes.append(130 if code == -signal.SIGINT else code)
        if code:
            assert list((store / "tmp").glob("*")) == []
        check_output(forged.output, digest)
        assert unfinished(forged.output) == [] if forged.output.is_dir() else True
    assert set(codes) <= {130, 0}
    assert codes.count(130) == 8


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_builds_side_by_side(
    tmp_path: Path, forged: Forged, undisturbed: tuple[str, float, float], *, warm: bool
) -> None:
    digest, *_ = undisturbed
    shutil.rmtree(forged.output, ignore_errors=True)
    if warm:
        forged.build(tmp_path)
    for _ in range(3):
        builds = [
            subprocess.Popen(
                forged.command,
                cwd=forged.root,
                env=forged.environment(tmp_path),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for build in builds:
            _, said = build.communicate(timeout=120)
            assert build.returncode == 0, said
        check_output(forged.output, digest)
        assert {path.name for path in forged.output.iterdir()} == {NAME + suffix for suffix in SUFFIXES}
        if not warm:
            for kind in ("parts", "plans", "wheels"):
                shutil.rmtree(tmp_path / kind)
