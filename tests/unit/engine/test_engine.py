"""Which engine is asked, and what is said without one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lamina.engine import connect as engine
from lamina.engine.attached import told
from lamina.engine.base import about, engine_name, reference, runnable
from lamina.engine.model import Outcome
from lamina.errors import MissingToolError, UsageError
from lamina.recipe import Image, Recipe, TargetSpec
from lamina.target import target_for

_ELSEWHERE = (
    "Without an engine work: lamina lock with the builder uv, build, audit, image with a base from a registry or an "
    "archive, and prove without --in, where this machine is Linux."
)


def test_without_the_sdk_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(MissingToolError) as caught:
        engine.connect({})
    assert caught.value.message == "to work with containers lamina needs the docker SDK, which is not installed"
    assert caught.value.hint == f"Install it: pip install docker. {_ELSEWHERE}"
    assert caught.value.exit_code == 5


def test_without_a_socket_it_is_told_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_hosts", lambda _: iter(()))
    with pytest.raises(MissingToolError) as caught:
        engine.connect({})
    assert caught.value.message == "no container engine answers; tried: nothing, as no socket of one is there"
    hint = "Start Docker or Podman (podman system service), or name its socket in DOCKER_HOST."
    assert caught.value.hint == f"{hint} {_ELSEWHERE}"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has pipes instead")
def test_a_users_own_sockets_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_context", lambda _: iter([("unix:///context.sock", False)]))
    for name in ("run/podman/podman.sock", "home/.docker/run/docker.sock"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    found = [
        host
        for host, _ in engine._hosts({"HOME": f"{tmp_path}/home", "XDG_RUNTIME_DIR": f"{tmp_path}/run"})
        if str(tmp_path) in host or "context" in host
    ]
    assert found == [
        "unix:///context.sock",
        f"unix://{tmp_path}/home/.docker/run/docker.sock",
        f"unix://{tmp_path}/run/podman/podman.sock",
    ]


@pytest.mark.parametrize(
    "environment",
    [
        {"DOCKER_HOST": "tcp://10.0.0.1:2375", "CONTAINER_HOST": "tcp://10.0.0.2:1", "DOCKER_CONTEXT": "absent"},
        {"CONTAINER_HOST": "tcp://10.0.0.1:2375", "DOCKER_CONTEXT": "absent"},
    ],
)
def test_an_engine_that_the_environment_names_shuts_out_all_others(environment: dict[str, str]) -> None:
    assert [*engine._hosts(environment)] == [("tcp://10.0.0.1:2375", False)]


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Docker configuration whose current context is ``remote``."""
    from docker.context import ContextAPI

    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text('{"currentContext": "remote"}')
    for name in ("remote", "other"):
        ContextAPI.create_context(name, host=f"unix:///{name}.sock")


@pytest.mark.usefixtures("contexts")
def test_the_current_context_comes_before_the_usual_sockets() -> None:
    assert next(engine._hosts({})) == ("unix:///remote.sock", False)


@pytest.mark.usefixtures("contexts")
def test_a_context_that_the_environment_names_shuts_out_all_others() -> None:
    assert [*engine._hosts({"DOCKER_CONTEXT": "other"})] == [("unix:///other.sock", False)]


@pytest.mark.usefixtures("contexts")
def test_a_context_that_is_not_there_is_told() -> None:
    with pytest.raises(MissingToolError) as caught:
        engine.connect({"DOCKER_CONTEXT": "absent"})
    assert caught.value.message == "DOCKER_CONTEXT names the Docker context 'absent', and there is none of that name"
    assert caught.value.hint == "Take one of those that docker context ls lists, or unset DOCKER_CONTEXT."


def test_a_refusal_within_other_errors_is_what_is_told() -> None:
    inner = PermissionError(13, "Permission denied")
    assert told(ConnectionError(ValueError("Connection aborted.", inner))) == "Permission denied"
    outer = ValueError("Error while fetching: see above")
    outer.__cause__ = ConnectionError(inner)
    assert told(outer) == "Permission denied"
    assert told(ValueError("a\n  b")) == "a b"
    assert told(ValueError("x" * 600)) == "x" * 500


@pytest.mark.parametrize(
    ("stated", "environment", "image"),
    [
        ("own:1", {"LAMINA_BASE_IMAGE": "other:1"}, "own:1"),
        (None, {"LAMINA_BASE_IMAGE": "other:1"}, "other:1"),
        (None, {}, "public.ecr.aws/lambda/python:3.12"),
    ],
)
def test_the_image_is_the_recipes_or_the_variables_or_aws_own(
    stated: str | None, environment: dict[str, str], image: str
) -> None:
    assert reference(stated, target_for("cp312", architecture="x86_64"), environment) == image


@pytest.mark.parametrize("stated", ["own:1", "docker://own:1", "docker-daemon:own:1"])
def test_an_image_is_called_by_the_name_that_the_engine_knows(stated: str) -> None:
    assert engine_name(stated) == "own:1"


def test_what_runs_is_the_base_of_the_recipe_as_an_engine_calls_it() -> None:
    target = target_for("cp312", architecture="x86_64")
    spec = TargetSpec("cp312", architecture="x86_64")
    for image, name in ((None, "other:1"), (Image(), "other:1"), (Image("docker-daemon:own:1"), "own:1")):
        recipe = Recipe("x", ("a",), (spec,), image=image)
        assert runnable(recipe, target, {"LAMINA_BASE_IMAGE": "docker://other:1"}) == name


@pytest.mark.parametrize("stated", ["oci:base", "oci-archive:base.tar", "docker-archive:base.tar"])
def test_an_image_in_a_file_is_none_of_an_engine(stated: str) -> None:
    with pytest.raises(UsageError) as caught:
        engine_name(stated)
    assert caught.value.message == f"{stated}: lies in a file, and a container engine runs only what it has itself"
    assert caught.value.hint == (
        f"Load it, and name it by LAMINA_BASE_IMAGE: skopeo copy {stated} docker-daemon:NAME:TAG"
    )


DEEP = b"[" * 200_000
ABOUT = {"python": "3.11.2", "machine": "x86_64", "glibc": "2.36", "system": "Debian", "manager": ""}


def said(stdout: bytes) -> Outcome:
    return Outcome("exited", 0, stdout, b"", 0.1, 0)


@pytest.mark.parametrize("answer", [b"", b"\xff", b"[]", b"null", b'{"python": 3}', DEEP, b'{"a": ' + DEEP])
def test_an_image_that_answers_anything_says_nothing_of_itself(answer: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        about("a:b", target_for("cp311", architecture="x86_64"), said(answer))
    assert caught.value.message == (
        "a:b: cp311-manylinux_2_26_x86_64 needs an image with CPython 3.11 as /var/lang/bin/python3.11: "
        "what is there says nothing of itself"
    )


@pytest.mark.parametrize("key", ["python", "machine", "system"])
def test_what_an_image_says_of_itself_is_shown_in_short(key: str) -> None:
    answer = said(json.dumps({**ABOUT, key: "9" * 1_000_000}).encode())
    try:
        shown = about("a:b", target_for("cp311", architecture="x86_64"), answer).system
    except UsageError as error:
        shown = error.message
    assert len(shown) < 300
