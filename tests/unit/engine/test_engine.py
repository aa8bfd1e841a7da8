"""Which engine is asked, and what is said without one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lamina.engine import connect as engine
from lamina.engine.base import reference
from lamina.errors import MissingToolError
from lamina.target import target_for

_ELSEWHERE = "Build and audit need none; lamina prove without --in runs on this machine, where that is Linux."


def test_without_the_sdk_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(MissingToolError) as caught:
        engine.connect({})
    assert caught.value.message == "a proof in a container needs the docker SDK, which is not installed"
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
    monkeypatch.setattr(engine, "_context", lambda: iter([("unix:///context.sock", False)]))
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


def test_docker_host_shuts_out_all_others() -> None:
    assert [*engine._hosts({"DOCKER_HOST": "tcp://10.0.0.1:2375"})] == [("tcp://10.0.0.1:2375", False)]


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
