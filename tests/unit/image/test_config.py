"""The configuration of an image: the base's, with Lambda's command and environment, our layers and labels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import IntegrityError, UsageError
from lamina.image import config as configs
from lamina.recipe.model import Function, Source, Variable
from lamina.target import target_for

TARGET = target_for("cp311", platform="manylinux2014_x86_64")
AWS = "Name AWS's base image of the runtime, or one with its entry point (/lambda-entrypoint.sh) as base."


def base(**changes: object) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2025-11-03T10:00:00Z",
        "container": "0123",
        "docker_version": "20.10",
        "config": {
            "Entrypoint": ["/lambda-entrypoint.sh"],
            "Cmd": ["base.handler"],
            "WorkingDir": "/var/task",
            "User": "",
            "Env": ["PATH=/var/lang/bin:/usr/bin", "LANG=en_US.UTF-8"],
            "Labels": {"maker": "someone"},
            "Hostname": "0123",
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1", "sha256:2"]},
        "history": [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}, {"created_by": "c"}],
        **changes,
    }


def function(**environment: Variable) -> Function:
    return Function(handler="app.handler", source=(Source(from_="src"),), environment=environment)


def read(config: dict[str, Any], layers: int = 2) -> dict[str, Any]:
    return configs.read(json.dumps(config).encode(), "base:1", layers, TARGET)


def made(config: dict[str, Any], given_function: Function | None) -> dict[str, Any]:
    added = [configs.Added("sha256:3", "dependencies of x"), configs.Added("sha256:4", "function of x")]
    plain: dict[str, Any] = json.loads(configs.make(read(config), added, given_function, {"title": "x"}))
    return plain


def test_command_and_environment_are_the_functions_and_the_rest_is_the_bases() -> None:
    stated = function(
        LANG=Variable(value="C.UTF-8"),
        BUCKET=Variable(required=True),
        KEY=Variable(secret=True),
        LEVEL=Variable(value="INFO"),
    )
    assert made(base(), stated) == {
        "architecture": "amd64",
        "os": "linux",
        "created": "2025-11-03T10:00:00Z",
        "config": {
            "Entrypoint": ["/lambda-entrypoint.sh"],
            "Cmd": ["app.handler"],
            "WorkingDir": "/var/task",
            "User": "",
            "Env": ["PATH=/var/lang/bin:/usr/bin", "LANG=C.UTF-8", "LEVEL=INFO"],
            "Labels": {"maker": "someone", "title": "x"},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1", "sha256:2", "sha256:3", "sha256:4"]},
        "history": [
            {"created_by": "a"},
            {"created_by": "b", "empty_layer": True},
            {"created_by": "c"},
            {"created": "2025-11-03T10:00:00Z", "created_by": "lamina: dependencies of x"},
            {"created": "2025-11-03T10:00:00Z", "created_by": "lamina: function of x"},
        ],
    }


def test_without_a_function_the_command_stays() -> None:
    config = made(base(), None)["config"]
    assert config["Cmd"] == ["base.handler"]
    assert config["Env"] == ["PATH=/var/lang/bin:/usr/bin", "LANG=en_US.UTF-8"]


@pytest.mark.parametrize("created", [None, "0001-01-01T00:00:00Z"])
def test_a_base_without_a_date_gets_the_date_of_the_files(created: str | None) -> None:
    assert made(base(created=created), None)["created"] == "1980-02-01T00:00:00Z"


@pytest.mark.parametrize("history", [None, [], [{"created_by": "a"}], "all of it"])
def test_a_history_that_does_not_fit_the_layers_is_replaced(history: object) -> None:
    entries = made(base(history=history), None)["history"]
    assert [entry["created_by"] for entry in entries] == [
        "the base image",
        "the base image",
        "lamina: dependencies of x",
        "lamina: function of x",
    ]


def test_a_base_for_another_architecture_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        read(base(architecture="arm64"))
    assert caught.value.message == ("base:1: is an image for linux/arm64; cp311-manylinux2014_x86_64 needs linux/amd64")
    assert caught.value.hint == "Name one that has it, or choose the recipe's other target by --target."


@pytest.mark.parametrize("run", [{}, None, {"Entrypoint": []}, {"Entrypoint": None}, {"Entrypoint": "/bin/sh"}])
def test_a_base_without_an_entry_point_is_refused(run: object) -> None:
    with pytest.raises(UsageError) as caught:
        read(base(config=run))
    assert caught.value.message == "base:1: states no entry point, so nothing in it would start a function"
    assert caught.value.hint == AWS


@pytest.mark.parametrize("rootfs", [None, {}, {"diff_ids": ["sha256:1"]}, {"diff_ids": [1, 2]}, []])
def test_a_configuration_that_contradicts_its_manifest_is_refused(rootfs: object) -> None:
    with pytest.raises(IntegrityError) as caught:
        read(base(rootfs=rootfs))
    assert caught.value.message == "base:1: its configuration does not know the 2 layers of its manifest"


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b"null"])
def test_a_configuration_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"^base:1: its configuration cannot be read: "):
        configs.read(content, "base:1", 1, TARGET)


NAMES = st.sampled_from("A B C D PATH".split())
VALUES = st.text(max_size=8)


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES))
def test_the_functions_values_win_and_no_name_stands_twice(below: dict[str, str], above: dict[str, str]) -> None:
    stated = function(**{name: Variable(value=value) for name, value in above.items()})
    merged = configs.environment([f"{name}={value}" for name, value in below.items()], stated)
    assert dict(one.split("=", 1) for one in merged) == {**below, **above}
    assert len(merged) == len({**below, **above})
    assert [one.partition("=")[0] for one in merged][: len(below)] == list(below)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys("created author history variant Env Labels User Volumes".split(), JSON),
    )
)
def test_whatever_a_base_states_the_result_can_be_read(stated: dict[str, Any]) -> None:
    run = {**base()["config"], **{key: stated[key] for key in ("Env", "Labels", "User", "Volumes") if key in stated}}
    config = made(
        {**base(), **{key: value for key, value in stated.items() if key[0].islower()}, "config": run}, function()
    )
    assert config["config"]["Cmd"] == ["app.handler"]
    assert config["rootfs"]["diff_ids"][-1] == "sha256:4"
    assert sum(not entry.get("empty_layer") for entry in config["history"]) == 4
