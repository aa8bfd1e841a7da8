"""Which CPython compiles for an order."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lamina.bytecode import compilers
from lamina.bytecode.compilers import OnHost, compiler_for
from lamina.errors import MissingToolError, UsageError
from lamina.interpreters import Interpreter
from lamina.process import Completed
from lamina.progress import SILENT
from lamina.target import target_for


class _Builder(NamedTuple):
    kind: str


class _Recipe(NamedTuple):
    builder: _Builder
    base: str | None = None


class _Order(NamedTuple):
    recipe: _Recipe
    target: Any = target_for("cp311", architecture="x86_64")


class _Image(NamedTuple):
    name: str
    offline: bool


@pytest.mark.parametrize(
    ("kind", "here", "engine", "wanted"),
    [
        ("uv", True, True, "host"),
        ("uv", True, False, "host"),
        ("uv", False, True, _Image("base:3.11", offline=True)),
        ("docker", True, True, _Image("base:3.11", offline=False)),
        ("docker", True, False, "host"),
        ("docker", False, True, _Image("base:3.11", offline=False)),
    ],
)
def test_the_host_compiles_or_else_the_base_image(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    here: bool,  # noqa: FBT001
    engine: bool,  # noqa: FBT001
    wanted: object,
) -> None:
    found = _found(monkeypatch, kind, here=here, engine=engine)
    assert ("host" if isinstance(found, OnHost) else found) == wanted


@pytest.mark.parametrize("kind", ["uv", "docker"])
def test_without_both_it_is_told_how_to_get_an_interpreter(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    with pytest.raises(MissingToolError) as caught:
        _found(monkeypatch, kind, here=False, engine=False)
    assert caught.value.message == "bytecode is compiled by CPython 3.11, and there is none on this machine"
    assert caught.value.hint == "Get one: uv python install 3.11, or name one in LAMINA_PYTHON."


def test_an_image_in_a_file_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> Interpreter:
        raise MissingToolError("none", hint="Get one.")

    monkeypatch.setattr("lamina.interpreters.compiler", missing)
    order: Any = _Order(_Recipe(_Builder("docker"), "oci:/images/base"))
    with pytest.raises(UsageError):
        compilers._in_image(order, {}, offline=True, progress=SILENT)
    with pytest.raises(MissingToolError, match="none"):
        compiler_for(order, {}, offline=True, progress=SILENT)


def test_an_interrupted_compiler_is_not_taken_for_one_that_a_source_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = {"code": -signal.SIGINT}
    monkeypatch.setattr(compilers, "run", lambda words, **_: Completed(tuple(words), ended["code"], "", ""))
    here = OnHost(Interpreter(Path("python3.11"), (3, 11, 7)))
    with pytest.raises(KeyboardInterrupt):
        here.run(Path("sources"), Path("results"))
    ended["code"] = -signal.SIGSEGV
    assert here.run(Path("sources"), Path("results")) is False
    ended["code"] = 0
    assert here.run(Path("sources"), Path("results")) is True


def _found(monkeypatch: pytest.MonkeyPatch, kind: str, *, here: bool, engine: bool) -> object:
    def image(name: str, *_: object, offline: bool, progress: object) -> _Image:
        assert progress is SILENT
        if not engine:
            raise MissingToolError("no engine")
        return _Image(name, offline)

    monkeypatch.setattr(compilers, "InImage", image)
    monkeypatch.setattr("lamina.interpreters.candidates", lambda *_: iter([Path("/python3.11")] if here else []))
    if here:
        monkeypatch.setattr("lamina.interpreters.compiler", lambda *_: Interpreter(Path("/python3.11"), (3, 11, 7)))
    order: Any = _Order(_Recipe(_Builder(kind)))
    return compiler_for(order, {"LAMINA_BASE_IMAGE": "base:3.11"}, offline=False, progress=SILENT)
