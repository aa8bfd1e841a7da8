"""Which interpreter fits a target, and what is said where none does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lamina.errors import MissingToolError
from lamina.interpreters import Host, Said, candidates, find, mistake
from lamina.target import target_for

TARGET = target_for("cp311", architecture="x86_64")
FINE = Said(
    "cpython", (3, 11, 7), "final", "x86_64", gil=True, debug=False, bits=64, glibc=True, base="/p", executable="/p/x"
)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"version": (3, 12, 1)}, "is Python 3.12.1"),
        ({"implementation": "pypy"}, "is pypy, not CPython"),
        ({"level": "candidate"}, "is a pre-release"),
        ({"gil": False}, "is free-threaded, which Lambda's is not"),
        ({"debug": True}, "is a debug build, whose ABI is another"),
        ({"machine": "aarch64"}, "is for aarch64"),
        ({"bits": 32}, "is for 32 bits"),
        ({"glibc": False}, "is not built with glibc"),
    ],
)
def test_what_is_wrong_with_an_interpreter_is_told(change: dict[str, object], told: str) -> None:
    assert mistake(msgspec.structs.replace(FINE, **change), TARGET) == told


@pytest.mark.parametrize(
    ("host", "told", "wsl"),
    [
        (Host("win32", "AMD64"), "this is Windows on AMD64", True),
        (Host("darwin", "arm64"), "this is macOS on arm64", False),
        (Host("linux", "aarch64"), "this is Linux on aarch64", False),
    ],
)
def test_a_host_that_cannot_load_the_libraries_is_told_what_to_do(host: Host, told: str, wsl: bool) -> None:  # noqa: FBT001
    with pytest.raises(MissingToolError) as caught:
        find(TARGET, {}, host=host)
    assert caught.value.message == (
        f"cp311-manylinux_2_26_x86_64: its libraries are for Linux on x86_64; {told}, which cannot load them"
    )
    assert caught.value.hint == "\n".join([
        "Build and audit work here. To prove:",
        "  prove in a container: lamina prove --in container",
        *(["  run lamina in WSL, where this machine is x86_64"] if wsl else []),
        "  let CI prove it: the job in .github/workflows/layers.yml runs on Linux of each architecture",
    ])  # fmt: skip


def test_without_any_interpreter_it_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamina.interpreters.candidates", lambda *_: iter(()))
    with pytest.raises(MissingToolError) as caught:
        find(TARGET, {}, host=Host("linux", "x86_64"))
    assert caught.value.exit_code == 5
    assert caught.value.message == (
        "cp311-manylinux_2_26_x86_64: a proof runs in CPython 3.11, and there is none on this machine"
    )
    assert caught.value.hint == (
        "Get one:\n  uv python install 3.11\n  apt-get install python3.11   (where Debian or Ubuntu has it)\n"
        "or name one in LAMINA_PYTHON, or use a container, which prove, trace and invoke take: --in container"
    )


def test_interpreters_are_looked_for_where_they_are_installed(tmp_path: Path) -> None:
    places = [
        "bin/python3.9",
        "uv/cpython-3.9.18-linux-x86_64-gnu/bin/python3.9",
        "uv/cpython-3.9.2-linux-x86_64-gnu/bin/python3.9",
        "pyenv/versions/3.9.18/bin/python3.9",
        "tools/Python/3.9.18/x64/bin/python3.9",
    ]
    for place in (*places, "uv/cpython-3.10.1-linux-x86_64-gnu/bin/python3.10"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    env = {
        "PATH": f"/nowhere::{tmp_path / 'bin'}",
        "UV_PYTHON_INSTALL_DIR": str(tmp_path / "uv"),
        "PYENV_ROOT": str(tmp_path / "pyenv"),
        "RUNNER_TOOL_CACHE": str(tmp_path / "tools"),
    }
    found = [path.relative_to(tmp_path).as_posix() for path in candidates((3, 9), env)]
    assert found == [places[0], places[2], places[1], *places[3:]]


def test_interpreters_are_looked_for_where_windows_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [
        "bin/python.exe",
        "roaming/uv/python/cpython-3.9.18-windows-x86_64-none/python.exe",
        "roaming/uv/data/python/cpython-3.9.18-windows-x86_64-none/python.exe",
        "pyenv-win/versions/3.9.13/python.exe",
        "tools/Python/3.9.13/x64/python.exe",
        "local/Programs/Python/Python39/python.exe",
        "Program Files/Python39/python.exe",
        "local/Python/pythoncore-3.9-64/python.exe",
    ]
    for place in (*places, "local/Programs/Python/Python310/python.exe"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    env = {
        "PATH": str(tmp_path / "bin"),
        "APPDATA": str(tmp_path / "roaming"),
        "LOCALAPPDATA": str(tmp_path / "local"),
        "PROGRAMFILES": str(tmp_path / "Program Files"),
        "PYENV_ROOT": str(tmp_path / "pyenv-win"),
        "RUNNER_TOOL_CACHE": str(tmp_path / "tools"),
    }
    monkeypatch.setattr("sys.platform", "win32")
    assert [path.relative_to(tmp_path).as_posix() for path in candidates((3, 9), env)] == places
    monkeypatch.setattr("sys.platform", "linux")
    assert [path.relative_to(tmp_path).as_posix() for path in candidates((3, 9), env)] == places[1:]


def test_an_empty_environment_names_no_place() -> None:
    assert [*candidates((3, 9), {})] == []
