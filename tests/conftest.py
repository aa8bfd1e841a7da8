"""Fixtures that several tests share: wheels forged in memory, a shared store, the index, layers of real packages."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

# How long one example takes tells of what else the machine does, not of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# A shell that runs the tests in its background has SIGINT ignored, and whatever they start inherits that: programs that
# are to be interrupted would run on.
signal.signal(signal.SIGINT, signal.default_int_handler)

Content = str | bytes


def wheel_bytes(
    name: str = "pkg",
    version: str = "1.0",
    files: Mapping[str, Content] | None = None,
    *,
    metadata: Mapping[str, Content] | None = None,
    record: Mapping[str, str] | None = None,
    requires: tuple[str, ...] = (),
    stored: bool = False,
    dist_info: str = "",
    modes: Mapping[str, int] | None = None,
    without: tuple[str, ...] = (),
) -> bytes:
    """A wheel with these files.

    ``metadata`` adds to ``.dist-info``, ``record`` replaces single hashes in RECORD, ``modes`` are of single files,
    ``without`` leaves files of the finished ``.dist-info`` out, and ``dist_info`` is another name for that folder.
    """
    dist_info = dist_info or f"{name}-{version}.dist-info"
    entries: dict[str, bytes] = {path: _bytes(content) for path, content in (files or {}).items()}
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    stated: dict[str, Content] = {
        "METADATA": "\n".join(lines) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **(metadata or {}),
    }
    entries |= {f"{dist_info}/{path}": _bytes(content) for path, content in stated.items()}
    rows = []
    for path, content in entries.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append((path, (record or {}).get(path, f"sha256={digest}"), str(len(content))))
    rows.append((f"{dist_info}/RECORD", "", ""))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    entries.setdefault(f"{dist_info}/RECORD", text.getvalue().encode())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for path, content in entries.items():
            info = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            info.external_attr = ((modes or {}).get(path, 0o644) | 0o100000) << 16
            if path.removeprefix(f"{dist_info}/") not in without:
                archive.writestr(info, content, archive.compression)
    return out.getvalue()


def elf_bytes(payload: bytes = b"") -> bytes:
    """A shared library for x86_64 that any loader accepts: it needs nothing, offers nothing, and holds ``payload``."""
    symbols = 64 + 2 * 56  # behind the headers: one empty symbol, its hash table, no names
    table, names = symbols + 24, symbols + 24 + 16
    start = names + 8
    tags = ((4, table), (5, names), (6, symbols), (10, 1), (11, 24), (0, 0))
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    whole = start + len(dynamic) + len(payload)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, whole, whole, 0x1000)
    section = struct.pack("<IIQQQQQQ", 2, 4, start, start, start, len(dynamic), len(dynamic), 8)
    return head + load + section + bytes(24) + struct.pack("<IIII", 1, 1, 0, 0) + bytes(8) + dynamic + payload


@pytest.fixture(scope="session")
def make_elf() -> Callable[[bytes], bytes]:
    """:func:`elf_bytes`, for tests whose libraries are audited."""
    return elf_bytes


def _bytes(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content


@pytest.fixture(scope="session")
def make_wheel() -> Callable[..., bytes]:
    """:func:`wheel_bytes`, for tests that write the wheel themselves."""
    return wheel_bytes


@pytest.fixture
def forge(tmp_path: Path) -> Callable[..., Path]:
    """Write a wheel as :func:`wheel_bytes` makes it into a folder of the test, and return its path."""

    def write(
        name: str = "pkg", version: str = "1.0", *args: object, tag: str = "py3-none-any", **kwargs: object
    ) -> Path:
        folder = tmp_path / "wheels"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}-{version}-{tag}.whl"
        path.write_bytes(wheel_bytes(name, version, *args, **kwargs))  # type: ignore[arg-type]
        return path

    return write


def pytest_configure() -> None:
    """Let tests interrupt what they start, though a shell that runs them in the background forbids it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


#: Files whose tests take minutes, the longest first.
LONGEST = (
    "test_image_recipes.py",
    "test_breakages.py",  # needs no engine: it runs while the first worker makes the base image
    "test_resolve_docker.py",
    "test_native_builds.py",
    "test_engines.py",
    "test_whole_way.py",
    "test_kill.py",
    "test_audit.py",
    "test_from_image.py",
    "test_scan_against_ast.py",
    "test_own_proofs.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have what takes long begin first: then the workers, which take file after file, end at about the same time."""

    def place(item: pytest.Item) -> int:
        if item.path.name in LONGEST and "integration" in item.path.parts:
            return LONGEST.index(item.path.name)
        return len(LONGEST) + ("unit" in item.path.parts)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With LAMINA_TESTS_COMPLETE=1, what a machine must have and lacks is a failure, not a line at the end of a log."""
    report = yield
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
    if report.skipped and "LEFT OUT" in reason and os.environ.get("LAMINA_TESTS_COMPLETE") == "1":
        report.outcome, report.longrepr = "failed", reason
    return report


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the session: each wheel is fetched once. ``LAMINA_TEST_CACHE`` keeps it for the next."""
    kept = os.environ.get("LAMINA_TEST_CACHE")
    if kept:
        return Path(kept)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return tmp_path_factory.mktemp("store")
    store = tmp_path_factory.getbasetemp().parent / "store"  # above the folders of the single workers
    store.mkdir(exist_ok=True)
    return store


@pytest.fixture(scope="session")
def index() -> None:
    """Skip, by name, what needs the package index where it does not answer."""
    from lamina.errors import LaminaError
    from lamina.index import IndexClient, from_environment

    try:
        with IndexClient(from_environment(os.environ)) as client:
            client.files("six")
    except LaminaError as error:
        pytest.skip(f"the package index does not answer: {error}")


#: Builds what ``lamina build`` refuses: a layer above Lambda's quota, for packages that are above it by themselves.
BEYOND_QUOTA = """
import sys
from functools import partial
from pathlib import Path
from lamina.cli import common
from lamina.pipeline import bytecode_of
from lamina.planner import Planner
from lamina.progress import SILENT
from lamina.project import order
store = common.open_store()
[(project, recipe, [target])] = common.chosen(sys.argv[1:], (), store, everything=False)
fetch = common.fetcher(project, recipe, (), store, SILENT, offline=False)
ordered = order(project, recipe, target)
compiler = partial(common.compiler, ordered, SILENT, offline=False)
planner = Planner(ordered, store, fetch, SILENT, bytecode=bytecode_of(ordered, compiler))
project.output.mkdir(exist_ok=True)
planner.write(planner.make(), project.output / f"{recipe.name}-{target.name}.zip")
"""
#: These layers are run on this host, which has what Lambda lacks; what the audit says of that has tests of its own.
HERE = "".join(
    f'\n[[accept]]\ncode = "{code}"\npath = "*"\nreason = "the statement runs on this host"\n'
    for code in ("missing-library", "glibc-too-new")
)
#: What precedes every statement: the layer alone on the path, and no way out of the machine.
ALONE = """
import sys
sys.path.insert(0, sys.argv.pop(1))
def _offline(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
        raise PermissionError(f"offline: {event} {arguments[1:]}")
sys.addaudithook(_offline)
"""


class Layers:
    """Layers of real packages: locked, built and unpacked once each, and used by the target's interpreter.

    ``LAMINA_TEST_BYTECODE`` names the mode of bytecode that they are built in, instead of the default.
    """

    def __init__(self, root: Path, store: Path) -> None:
        self._root = root
        self._environment = {**os.environ, "LAMINA_CACHE": str(store)}
        self._built: dict[str, Path | str] = {}

    def open(
        self,
        name: str,
        requirements: Sequence[str],
        *,
        head: str = "",
        extra: str = "",
        python: str = "cp311",
        overlay: Path | None = None,
    ) -> Path:
        """The ``python`` folder of an unpacked layer for ``python`` on x86_64.

        ``head`` and ``extra`` are TOML for the recipe, before its first table and behind the last; ``overlay`` is a
        folder whose files it takes besides.

        A layer that could not be made fails every test that asks for it, with the same message.
        """
        if name not in self._built:
            if overlay is not None:
                shutil.copytree(overlay, self._root / name / "layers" / name / "overlay")
            try:
                self._built[name] = self._make(name, requirements, head, extra, python)
            except (AssertionError, subprocess.SubprocessError) as error:
                self._built[name] = str(error)
        built = self._built[name]
        assert isinstance(built, Path), built
        return built

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments in the project of a layer."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self._root / name,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    def write(
        self, name: str, requirements: Sequence[str], *, head: str = "", extra: str = "", python: str = "cp311"
    ) -> None:
        """Write the recipe of a layer and lock it."""
        recipes = self._root / name / "recipes"
        recipes.mkdir(parents=True)
        quoted = ", ".join(f'"{text}"' for text in requirements)
        head += "provided = []\n" if "boto3" in requirements else ""
        mode = os.environ.get("LAMINA_TEST_BYTECODE")
        extra += f'\n[bytecode]\nmode = "{mode}"\n' if mode else ""
        recipes.joinpath(f"{name}.toml").write_text(
            f'name = "{name}"\ndescription = "for a test"\nrequirements = [{quoted}]\n{head}'
            f'[[target]]\npython = "{python}"\narchitecture = "x86_64"\n{extra}{HERE}'
        )
        locked = self.run(name, "-m", "lamina", "lock", name)
        assert locked.returncode == 0, locked.stderr

    def _make(self, name: str, requirements: Sequence[str], head: str, extra: str, python: str) -> Path:
        self.write(name, requirements, head=head, extra=extra, python=python)
        done = self.run(name, "-m", "lamina", "build", name, "--quiet")
        if done.returncode == 1 and "over-budget" in done.stdout:
            done = self.run(name, "-c", BEYOND_QUOTA, name)
        assert done.returncode == 0, done.stdout + done.stderr
        [artefact] = (self._root / name / "dist").glob("*.zip")
        opt = self._root / name / "opt"
        with zipfile.ZipFile(artefact) as archive:
            for info in archive.infolist():
                Path(archive.extract(info, opt)).chmod(info.external_attr >> 16 & 0o777)
        artefact.unlink()
        return opt / "python"

    def use(self, layer: Path, statement: str, *, interpreter: str) -> None:
        """Run a statement with the layer alone on the path, offline; its failure is the test's."""
        home = layer.parent / "home"
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            [interpreter, "-I", "-S", "-B", "-c", ALONE + statement, str(layer)],
            cwd=home,
            # As on Lambda, what wants to write is told of a folder where it can.
            env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "NUMBA_CACHE_DIR": str(home)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory, shared_store: Path, index: None) -> Iterator[Layers]:  # noqa: ARG001 - skips without the index
    """The workshop of :class:`Layers`; what it unpacked goes at the end, since it is gigabytes."""
    root = tmp_path_factory.mktemp("layers")
    yield Layers(root, shared_store)
    shutil.rmtree(root, ignore_errors=True)


def _interpreter(version: str) -> str | None:
    """A CPython of this version on this machine: the running one, one on the path, or one that uv or pyenv hold."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return candidate
    return None


@pytest.fixture(scope="session")
def python311() -> str:
    """A CPython 3.11, which most layers here are for."""
    return _interpreter("3.11") or pytest.skip("no CPython 3.11 on this machine")


@pytest.fixture(scope="session")
def python312() -> str:
    """A CPython 3.12, for what has no wheel for python3.11's glibc."""
    return _interpreter("3.12") or pytest.skip("no CPython 3.12 on this machine")
