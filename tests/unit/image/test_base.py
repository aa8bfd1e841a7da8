"""Where a base is looked for, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import IndexAccessError, LaminaError, MissingToolError, UsageError
from lamina.image import daemon
from lamina.image.base import open_base
from lamina.oci import registry
from lamina.progress import SILENT
from lamina.store import Store
from lamina.target import target_for

TARGET = target_for("cp311", architecture="x86_64")
DIGEST = f"sha256:{'0' * 64}"
NOT_THERE = MissingToolError("not in the engine", hint="Load it.")
OTHER = UsageError("for another architecture", hint="Pull it.")
NO_ANSWER = IndexAccessError("no answer", hint="Check the network.")

Asked = Callable[..., tuple[Any, list[str]]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What is found, and who was asked: the engine and the registry give their names, or the errors stated."""

    def ask(
        reference: str, *, engine: LaminaError | None = None, hub: LaminaError | None = None
    ) -> tuple[Any, list[str]]:
        order: list[str] = []

        def answer(name: str, error: LaminaError | None) -> Callable[..., object]:
            def call(*_: object, **__: object) -> object:
                order.append(name)
                if error is not None:
                    raise error
                return name

            return call

        monkeypatch.setattr(daemon, "engine_image", answer("engine", engine))
        monkeypatch.setattr(registry, "open_image", answer("registry", hub))
        found: object
        try:
            found = open_base(reference, TARGET, store=Store(tmp_path), env={}, offline=False, progress=SILENT)
        except LaminaError as error:
            found = error
        return found, order

    return ask


@pytest.mark.parametrize(
    ("reference", "order"),
    [
        ("base:1", ["engine"]),
        ("team/base:1", ["engine"]),
        ("docker-daemon:base:1", ["engine"]),
        ("docker.io/team/base:1", ["registry"]),
        ("localhost/base:1", ["registry"]),
        ("127.0.0.1:5000/base:1", ["registry"]),
        ("public.ecr.aws/lambda/python:3.11", ["registry"]),
        ("docker://base:1", ["registry"]),
        (f"base@{DIGEST}", ["registry"]),  # a manifest, which an engine need not have kept
    ],
)
def test_a_name_without_a_host_is_the_engines_first(asked: Asked, reference: str, order: list[str]) -> None:
    assert asked(reference) == (order[-1], order)


def test_what_no_engine_has_is_the_registrys(asked: Asked) -> None:
    assert asked("base:1", engine=NOT_THERE) == ("registry", ["engine", "registry"])
    assert asked("base:1", engine=OTHER) == ("registry", ["engine", "registry"])


def test_what_no_registry_gives_is_the_engines(asked: Asked) -> None:
    assert asked("host.example/base:1", hub=NO_ANSWER) == ("engine", ["registry", "engine"])


@pytest.mark.parametrize("reference", ["base:1", "host.example/base:1"])
def test_what_nobody_has_is_told_of_both(asked: Asked, reference: str) -> None:
    error, order = asked(reference, engine=NOT_THERE, hub=NO_ANSWER)
    assert isinstance(error, IndexAccessError)
    assert (error.message, error.hint) == (
        "no answer",
        "Check the network. No running engine has an image of this name either.",
    )
    assert sorted(order) == ["engine", "registry"]


def test_an_engines_image_for_another_architecture_is_told_of_where_no_registry_answers(asked: Asked) -> None:
    assert asked("base:1", engine=OTHER, hub=NO_ANSWER) == (OTHER, ["engine", "registry"])


def test_what_a_scheme_says_is_a_registrys_is_looked_for_nowhere_else(asked: Asked) -> None:
    assert asked("docker://base:1", hub=NO_ANSWER) == (NO_ANSWER, ["registry"])
