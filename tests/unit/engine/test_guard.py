"""What the guard does where the engine is late: a fake of its API, whose events come by a clock of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound
from requests import Response

from lamina.engine import guard
from lamina.engine.engine import LABEL, Engine
from lamina.errors import MissingToolError

NAME, ID = "lamina-proof:0123", "sha256:aa"


def conflict() -> APIError:
    response = Response()
    response.status_code = 409
    return APIError("conflict", response)


class Fake:
    """An engine, which is its own client and API: images by their ids with their names, containers by their labels.

    ``later`` are events, each with the second at which it happens. An image that a container has is not removed.
    """

    def __init__(self) -> None:
        self.images: dict[str, list[str]] = {}
        self.containers_of: dict[str, str] = {}
        self.stuck: dict[str, float] = {}
        self.asked_to_remove: list[str] = []
        self.old: set[str] = set()
        self.down = 0.0
        self.now = 0.0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.removing: Callable[[], None] = lambda: None

    @property
    def api(self) -> Fake:
        return self

    def close(self) -> None:
        pass

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for event in [event for event in self.later if event[0] <= self.now]:
            self.later.remove(event)
            event[1]()

    def connect(self, _: Mapping[str, str]) -> Engine:
        if self.now < self.down:
            raise MissingToolError("no container engine answers", hint="Start it.")
        return Engine(self, "fake")

    def containers(self, *, all: bool, filters: Mapping[str, str]) -> list[dict[str, Any]]:  # noqa: A002 - the SDK's
        assert (all, filters) == (True, {"label": LABEL})
        return [
            {
                "Id": name,
                "Labels": {LABEL: label},
                "State": "created",
                "Created": time.time() - 3600 * (name in self.old),
            }
            for name, label in self.containers_of.items()
        ]

    def remove_container(self, name: str, *, v: bool, force: bool) -> None:
        assert v
        assert force
        self.asked_to_remove.append(name)
        if self.now < self.stuck.get(name, 0):
            raise APIError("could not kill it")
        del self.containers_of[name]

    def inspect_image(self, name: str) -> dict[str, Any]:
        for identity, names in self.images.items():
            if name == identity or name in names:
                return {"Id": identity, "RepoTags": list(names)}
        raise ImageNotFound(name)

    def remove_image(self, name: str) -> None:
        identity = self.inspect_image(name)["Id"]
        names = self.images[identity]
        if len(names) < 2 and self.containers_of:
            raise conflict()
        if name in names:
            names.remove(name)
        self.removing()
        if not names and not self.containers_of:
            del self.images[identity]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(guard, "connect", fake.connect)
    monkeypatch.setattr(guard, "time", fake)
    return fake


def test_an_image_with_its_containers_is_gone_at_once_and_half_a_minute_later_so_is_the_guard(engine: Fake) -> None:
    engine.images[ID] = [NAME]
    engine.containers_of = {"one": "0123", "two": "0123-ab", "other": "01234"}
    engine.later = [(0.1, lambda: engine.containers_of.pop("other"))]
    guard.clear(NAME, None, {})
    assert (engine.images, engine.containers_of) == ({}, {})
    assert 30 < engine.now < 40


def test_an_image_whose_loading_ends_minutes_later_is_removed(engine: Fake) -> None:
    engine.later = [(400, lambda: engine.images.update({ID: [NAME]}))]
    guard.clear(NAME, None, {})
    assert engine.images == {}


def test_an_image_that_never_comes_is_not_waited_for_for_ever(engine: Fake) -> None:
    engine.images = {"sha256:bb": [], "sha256:cc": ["own:1"]}
    guard.clear(NAME, None, {})
    assert engine.images == {"sha256:bb": [], "sha256:cc": ["own:1"]}
    assert 600 <= engine.now < 610


def test_a_container_that_is_made_as_the_name_is_taken_does_not_keep_the_image(engine: Fake) -> None:
    def made() -> None:
        engine.removing = lambda: None
        engine.containers_of["late"] = "0123-ab"

    engine.images[ID] = [NAME]
    engine.removing = made
    guard.clear(NAME, None, {})
    assert (engine.images, engine.containers_of) == ({}, {})


def test_a_container_that_is_made_when_the_image_is_gone_is_removed(engine: Fake) -> None:
    engine.images[ID] = [NAME]
    engine.later = [(20, lambda: engine.containers_of.update(late="0123-ab"))]
    guard.clear(NAME, None, {})
    assert (engine.images, engine.containers_of) == ({}, {})


def test_a_container_that_is_not_to_be_removed_at_first_is_removed_later(engine: Fake) -> None:
    engine.images[ID] = [NAME]
    engine.containers_of = {"one": "0123"}
    engine.stuck = {"one": 100}
    guard.clear(NAME, None, {})
    assert (engine.images, engine.containers_of) == ({}, {})


def test_its_own_containers_come_before_those_that_nobody_will_start(engine: Fake) -> None:
    engine.containers_of = {"abandoned": "89ab", "one": "0123", "new": "cdef"}
    engine.old = {"abandoned"}
    Engine(engine, "fake").remove_all("0123")
    assert engine.asked_to_remove == ["one", "abandoned"]
    assert [*engine.containers_of] == ["new"]


def test_an_engine_that_does_not_answer_is_asked_again(engine: Fake) -> None:
    engine.images[ID] = [NAME]
    engine.down = 60
    guard.clear(NAME, None, {})
    assert engine.images == {}


def test_an_image_that_has_another_name_keeps_that(engine: Fake) -> None:
    engine.images[ID] = ["own:1", NAME]
    guard.clear(NAME, None, {})
    assert engine.images == {ID: ["own:1"]}
    assert engine.now < 40


def test_an_image_that_is_known_and_has_no_name_any_more_is_removed_with_its_container(engine: Fake) -> None:
    engine.images = {ID: [], "sha256:bb": []}
    engine.containers_of = {"one": "0123"}
    guard.clear(NAME, ID, {})
    assert (engine.images, engine.containers_of) == ({"sha256:bb": []}, {})
    assert engine.now < 40
