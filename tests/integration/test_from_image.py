"""Files from the packages of the base image, with a real engine and the stand-in for AWS's base image."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lamina import lock as locks
from lamina.lock import Lock

TARGET = "cp311-manylinux2014_x86_64"

RECIPE = """
name = "{name}"
description = "files from the packages of the base image"
requirements = {requirements}
find-links = ["wheels"]

[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"

[builder]
system-packages = {packages}

[overlay]
from-image = {entries}
{accepts}
"""

#: The stand-in's system is newer than Lambda's, which is what the audit is there to say.
ACCEPT = """
[[accept]]
code = "{code}"
path = "{path}"
reason = "the stand-in is newer than the runtime; tests run it there"
"""

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the recipes of these tests are for x86_64")


class Base(NamedTuple):
    """An image of this session alone, so that what is left of it can be told from what is others'."""

    name: str
    id: str

    def containers(self) -> list[str]:
        import docker

        client = docker.from_env()
        try:
            return [found["Id"] for found in client.api.containers(all=True, filters={"ancestor": self.id})]
        finally:
            client.close()


@pytest.fixture(scope="module")
def base(base_image: str) -> Iterator[Base]:
    import docker

    client = docker.from_env()
    name = f"lamina-from-image-{secrets.token_hex(4)}:1"
    text = f"FROM {base_image}\nLABEL lamina.test={name}\n"
    try:
        image, _ = client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True, forcerm=True)
        yield Base(name, image.id)
        client.images.remove(name)
    finally:
        client.close()


class Bench:
    """A project and a store of its own, whose base is the session's image."""

    def __init__(self, root: Path, store: Path, base: Base) -> None:
        self.root, self.store, self.base = root, store, base
        self.index = {"PIP_NO_INDEX": "1"}
        (root / "recipes").mkdir(parents=True)

    def recipe(
        self, name: str, *, requirements: str = '["fromimage"]', packages: str, entries: str, accepts: str = ""
    ) -> None:
        text = RECIPE.format(name=name, requirements=requirements, packages=packages, entries=entries, accepts=accepts)
        (self.root / "recipes" / f"{name}.toml").write_text(text)

    def environment(self, **more: str) -> dict[str, str]:
        stated = {"LAMINA_CACHE": str(self.store), "LAMINA_BASE_IMAGE": self.base.name, **self.index}
        return {**os.environ, **stated, **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lamina", *arguments]
        env = self.environment(**more)
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=300, check=False)

    def fine(self, *arguments: str, **more: str) -> str:
        done = self.run(*arguments, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def lock_path(self, name: str) -> Path:
        return self.root / "recipes" / "locks" / f"{name}-{TARGET}.txt"

    def locked(self, name: str) -> Lock:
        return locks.read(self.lock_path(name))

    def unpacked(self, name: str) -> Path:
        folder = self.root / "opt"
        with zipfile.ZipFile(self.root / "dist" / f"{name}-{TARGET}.zip") as archive:
            for info in archive.infolist():
                path = Path(archive.extract(info, folder))
                path.chmod(info.external_attr >> 16)
        return folder

    def findings(self, name: str) -> list[dict[str, str]]:
        manifest = json.loads((self.root / "dist" / f"{name}-{TARGET}.json").read_bytes())
        return list(manifest["findings"])


@pytest.fixture
def bench(tmp_path: Path, base: Base, make_wheel: Callable[..., bytes]) -> Bench:
    made = Bench(tmp_path / "project", tmp_path / "store", base)
    folder = made.root / "wheels"
    folder.mkdir()
    folder.joinpath("fromimage-1.0-py3-none-any.whl").write_bytes(make_wheel("fromimage", "1.0", {"fromimage.py": ""}))
    return made


@pytest.mark.usefixtures("index")
def test_lightgbm_finds_libgomp_of_the_stand_ins_packages(bench: Bench, shared_store: Path) -> None:
    bench.store, bench.index = shared_store, {}
    accept = ACCEPT.format(code="glibc-too-new", path="lib/libgomp.so.1")
    given = {"packages": '["libgomp1"]', "entries": '["libgomp.so.1"]', "requirements": '["lightgbm"]'}
    bench.recipe("gbm", **given, accepts=accept)
    bench.fine("lock", "gbm", "--upgrade")
    assert [file.path for file in bench.locked("gbm").taken] == ["lib/libgomp.so.1"]
    assert bench.locked("gbm").image == bench.base.id
    assert bench.base.containers() == []

    bench.fine("build", "gbm", DOCKER_HOST="unix:///nowhere.sock")
    of_size = {"near-budget", "needs-s3-upload"}
    found = [(one["code"], one["path"], one["message"]) for one in bench.findings("gbm") if one["code"] not in of_size]
    message = "libgomp.so.1 needs GLIBC_2.34 for dlclose; python3.11 on Lambda has glibc 2.26"
    assert found == [("glibc-too-new", "lib/libgomp.so.1", message)]

    opt = bench.unpacked("gbm")
    code = "import lightgbm; print([line for line in open('/proc/self/maps') if 'libgomp.so' in line][0])"
    assert "/opt/lib/libgomp.so.1" in _inside(bench.base, opt, ["/var/lang/bin/python3.11", "-c", code])


def test_tesseract_of_the_stand_ins_packages_runs_from_a_layer(bench: Bench) -> None:
    data = "/usr/share/tesseract-ocr/5/tessdata"
    given = {"packages": '["tesseract-ocr"]', "entries": f'["tesseract", "{data}"]'}
    bench.recipe("ocr", **given)
    bench.fine("lock", "ocr")
    paths = [file.path for file in bench.locked("ocr").taken]
    assert {"bin/tesseract", "lib/libtesseract.so.5", "lib/liblept.so.5"} <= {*paths}
    assert {"share/tesseract-ocr/5/tessdata/eng.traineddata"} <= {*paths}
    assert not [path for path in paths if path.startswith(("lib/libc.", "lib/libm.", "lib/libz.", "lib/libstdc++"))]

    done = bench.run("build", "ocr")
    assert done.returncode == 1
    errors = [one for one in bench.findings("ocr") if one["severity"] == "error"]
    assert {one["code"] for one in errors} == {"glibc-too-new", "libstdcxx-too-new"}
    (tool,) = [one for one in errors if one["path"] == "bin/tesseract"]
    assert tool["message"].startswith("tesseract needs GLIBC_2.34 for ")
    assert tool["hint"].endswith(
        "or take the one that the packages of public.ecr.aws/lambda/python:3.11 have (overlay.from-image takes it "
        "from there)."
    )

    accepts = "".join(ACCEPT.format(code=one["code"], path=one["path"]) for one in errors)
    bench.recipe("ocr", **given, accepts=accepts)
    bench.fine("build", "ocr")
    assert not [one for one in bench.findings("ocr") if one["code"] == "missing-executable"]
    opt = bench.unpacked("ocr")
    version = _inside(bench.base, opt, ["/opt/bin/tesseract", "--version"])
    assert version.startswith("tesseract 5.")
    assert "eng" in _inside(bench.base, opt, ["/opt/bin/tesseract", "--list-langs"]).split()


def test_contents_come_from_the_store_and_else_again_from_the_stand_in(bench: Bench, tmp_path: Path) -> None:
    bench.recipe("own", packages="[]", entries='["libz.so.1", "/etc/os-release"]')
    bench.fine("lock", "own", "--offline")
    nowhere = "unix:///nowhere.sock"
    bench.fine("build", "own", DOCKER_HOST=nowhere)
    zipped = bench.root / "dist" / f"own-{TARGET}.zip"
    first = hashlib.sha256(zipped.read_bytes()).hexdigest()
    shutil.rmtree(bench.store / "taken")
    bench.fine("build", "own", DOCKER_HOST=nowhere)  # the plan is remembered, so no content is read

    bench.store = tmp_path / "other"
    done = bench.run("build", "own", DOCKER_HOST=nowhere)
    assert done.returncode == 5
    assert "2 files of the base image not in the store, and they cannot be taken again" in done.stderr
    assert "LAMINA_CACHE" in done.stderr
    bench.fine("build", "own")
    assert hashlib.sha256(zipped.read_bytes()).hexdigest() == first
    before = bench.lock_path("own").read_text()
    lock = bench.locked("own")
    size = sum(file.size for file in lock.taken)
    said = bench.fine("lock", "own")
    assert "unchanged" in said
    assert f"  2 files, {size:,} bytes, taken from the image {lock.image}" in said.splitlines()
    [told] = json.loads(bench.run("lock", "own", "--check", "--json").stdout)
    assert (told["taken"], told["image"]) == (2, lock.image)
    assert bench.lock_path("own").read_text() == before

    was = bench.locked("own").taken[-1].sha256
    bench.lock_path("own").write_text(before.replace(was, "0" * 64))
    done = bench.run("build", "own")
    assert done.returncode == 1
    assert "give other files now than were locked: lib/libz.so.1" in done.stderr
    assert "Renew it: lamina lock own" in done.stderr
    bench.fine("lock", "own")
    assert bench.lock_path("own").read_text() == before
    assert bench.base.containers() == []


@pytest.mark.parametrize(
    ("packages", "entries", "code", "said"),
    [
        ('["no-such-package"]', '["libx.so.1"]', 4, "apt-get does not install no-such-package:"),
        ("[]", '["libnowhere.so.1"]', 2, "libnowhere.so.1: the loader of the image finds no such library"),
        ("[]", '["/usr/share/doc/nowhere"]', 2, "/usr/share/doc/nowhere: there is no such path in the image"),
        ("[]", '["/etc/alternatives"]', 2, "is a link to "),
    ],
)
def test_what_the_stand_in_does_not_give_is_told(
    bench: Bench, packages: str, entries: str, code: int, said: str
) -> None:
    bench.recipe("none", packages=packages, entries=entries)
    done = bench.run("lock", "none")
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert bench.base.name in done.stderr
    assert not bench.lock_path("none").exists()
    assert bench.base.containers() == []


def test_an_interrupt_leaves_no_container_of_the_stand_in(bench: Bench) -> None:
    bench.recipe("gomp", packages='["libgomp1", "tesseract-ocr"]', entries='["libgomp.so.1"]')
    command = [sys.executable, "-m", "lamina", "lock", "gomp"]
    with subprocess.Popen(
        command, cwd=bench.root, env=bench.environment(), stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("installing "):
                break
        time.sleep(1)
        assert len(bench.base.containers()) == 1
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    assert not bench.lock_path("gomp").exists()
    assert bench.base.containers() == []
    assert not list(bench.store.glob("tmp/*"))


def _inside(base: Base, opt: Path, command: list[str]) -> str:
    """What a program says that runs in the stand-in, with the layer as its /opt and Lambda's LD_LIBRARY_PATH."""
    import docker

    client = docker.from_env()
    try:
        said = client.containers.run(
            base.name,
            command[1:],
            entrypoint=command[:1],
            environment={
                "LD_LIBRARY_PATH": "/opt/lib",
                "PYTHONPATH": "/opt/python",
                "TESSDATA_PREFIX": "/opt/share/tesseract-ocr/5/tessdata",
            },
            volumes={str(opt): {"bind": "/opt", "mode": "ro"}},
            network_mode="none",
            remove=True,
            stdout=True,
            stderr=True,
        )
    finally:
        client.close()
    return bytes(said).decode()
