"""Files of the image in a lock and in a build: when they are taken, when they stay, and what is said otherwise."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pytest

from lamina import taken
from lamina.engine.engine import ELSEWHERE
from lamina.engine.images import Image
from lamina.errors import MissingToolError, StaleLockError
from lamina.lock import Lock, LockedFile, inputs_digest, parse, render
from lamina.overlay import Generated, kind_of
from lamina.project import Order, Project
from lamina.recipe import Builder, Overlay, Recipe, TargetSpec
from lamina.store import Store
from lamina.taken import locking
from lamina.taken.take import Taken
from lamina.target import target_for

if TYPE_CHECKING:
    from pathlib import Path

TARGET = target_for("cp311", platform="manylinux2014_x86_64")
FIRST, SECOND = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


class Room:
    """A container that only knows its image."""

    def __init__(self, digest: str) -> None:
        self.image = Image("id", "base:1", digest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Bench:
    """A store and an engine that gives what it is told to; ``times`` counts how often something was taken."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.store, self.digest, self.times = root, Store(root / "store"), FIRST, 0
        self.gives = {"bin/tool": b"#!/bin/sh\n", "lib/liba.so.1": b"\x7fELF", "share/empty": b""}
        self.refuses: MissingToolError | None = None
        monkeypatch.setattr(locking, "open_base", self._open)
        monkeypatch.setattr(locking, "take", self._take)

    def _open(self, *_: object, **__: object) -> Room:
        if self.refuses is not None:
            raise self.refuses
        return Room(self.digest)

    def _take(self, *_: object, **__: object) -> Taken:
        self.times += 1
        files = (Generated(path, content, kind_of(content), taken.OWNER) for path, content in self.gives.items())
        return Taken(self.digest, tuple(files))

    def recipe(self, *entries: str) -> Recipe:
        more: dict[str, Any] = {
            "builder": Builder(system_packages=("tool",)),
            "overlay": Overlay(from_image=entries or ("tool",)),
        }
        return Recipe("demo", ("alpha",), (TargetSpec("cp311", "manylinux2014_x86_64"),), **more)

    def lock(self, previous: Lock | None = None, recipe: Recipe | None = None, **keys: Any) -> tuple[Lock, list[str]]:  # noqa: ANN401
        recipe = recipe or self.recipe()
        bare = Lock(TARGET.name, "uv 1", inputs_digest(recipe, TARGET), (), "demo")
        lock, lines = locking.lock_taken(
            bare, recipe, TARGET, previous=previous, store=self.store, environment={}, **keys
        )
        return lock, list(lines)

    def order(self, lock: Lock) -> Order:
        project = Project(self.root / "recipes" / "demo.toml", self.root, self.root / "dist")
        return Order(project, self.recipe(), TARGET, lock, self.root / "lock.txt")

    def again(self, lock: Lock) -> None:
        locking.take_again(self.order(lock), store=self.store, environment={})


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_lock_lists_what_was_taken_and_the_store_has_it(bench: Bench) -> None:
    lock, lines = bench.lock()
    assert lock.image == FIRST
    assert lock.taken == tuple(LockedFile(path, digest(data), len(data)) for path, data in bench.gives.items())
    assert lines == []
    assert parse(render(lock), "lock") == lock
    got = taken.contents(bench.order(lock), bench.store, None)
    assert {file.path: file.content for file in got} == bench.gives
    assert [file.mode for file in got] == [0o755, 0o755, 0o644]


def test_what_was_taken_stays_until_it_is_upgraded(bench: Bench) -> None:
    lock, _ = bench.lock()
    bench.gives["lib/liba.so.1"] = b"\x7fELF newer"
    assert bench.lock(lock) == (lock, [])
    assert bench.times == 1
    upgraded, lines = bench.lock(lock, upgrade=True)
    assert lines == ["lib/liba.so.1 of the image has other bytes now"]
    assert upgraded.taken[1].sha256 == digest(b"\x7fELF newer")
    assert bench.lock(upgraded) == (upgraded, [])
    assert bench.times == 2


def test_another_version_of_the_resolver_alone_is_no_change(bench: Bench) -> None:
    lock, _ = bench.lock()
    older = msgspec.structs.replace(lock, builder="uv 0")
    assert bench.lock(older) == (older, [])


@pytest.mark.parametrize("what", ["image", "entries", "store", "previous"])
def test_what_was_taken_for_something_else_does_not_stay(bench: Bench, what: str) -> None:
    lock, _ = bench.lock()
    recipe = bench.recipe("tool", "liba.so.1") if what == "entries" else None
    if what == "image":
        bench.digest = SECOND
    elif what == "store":
        taken.place(bench.store, lock.taken[1].sha256).write_bytes(b"\x7fELG")
    elif what == "previous":  # a colleague has renewed the lock meanwhile
        lock = msgspec.structs.replace(lock, taken=lock.taken[:1])
    del bench.gives["share/empty"]
    found, lines = bench.lock(lock, recipe)
    assert bench.times == 2
    assert [file.path for file in found.taken] == ["bin/tool", "lib/liba.so.1"]
    assert lines == {
        "image": [f"files are taken from the image {SECOND}, was {FIRST}", "share/empty of the image removed"],
        "previous": ["lib/liba.so.1 of the image added"],
    }.get(what, ["share/empty of the image removed"])


def test_a_build_takes_again_what_its_store_lacks(bench: Bench, tmp_path: Path) -> None:
    lock, _ = bench.lock()
    bench.store = Store(tmp_path / "other")
    got = taken.contents(bench.order(lock), bench.store, lambda _: bench.again(lock))
    assert {file.path: file.content for file in got} == bench.gives
    assert bench.times == 2
    taken.contents(bench.order(lock), bench.store, lambda _: bench.again(lock))
    assert bench.times == 2
    assert bench.lock(lock) == (lock, [])
    assert bench.times == 2


def test_other_files_than_locked_are_a_stale_lock(bench: Bench, tmp_path: Path) -> None:
    lock, _ = bench.lock()
    bench.store = Store(tmp_path / "other")
    bench.gives = {"bin/tool": b"#!/bin/bash\n", "lib/liba.so.1": b"\x7fELF", "lib/new.so": b""}
    with pytest.raises(StaleLockError) as caught:
        taken.contents(bench.order(lock), bench.store, lambda _: bench.again(lock))
    assert caught.value.message == (
        f"{tmp_path}/lock.txt: stale: the packages of base:1 give other files now than were locked: bin/tool, "
        "lib/new.so, share/empty"
    )
    assert caught.value.hint == "Renew it: lamina lock demo"
    assert not (tmp_path / "other" / "taken").exists()


def test_without_an_engine_a_build_says_what_would_do(bench: Bench, tmp_path: Path) -> None:
    lock, _ = bench.lock()
    bench.store = Store(tmp_path / "other")
    bench.refuses = MissingToolError("no container engine answers; tried: x", hint=f"Start one. {ELSEWHERE}")
    with pytest.raises(MissingToolError) as caught:
        taken.contents(bench.order(lock), bench.store, lambda _: bench.again(lock))
    assert caught.value.exit_code == 5
    assert caught.value.message == (
        f"{tmp_path}/lock.txt: 3 files of the base image not in the store, and they cannot be taken again: "
        "no container engine answers; tried: x"
    )
    assert caught.value.hint == (
        "Build on a machine that has them, or with a CI cache of its store (LAMINA_CACHE names the folder); or let an "
        "engine take them: Start one."
    )


def test_without_an_engine_a_lock_says_what_wants_one(bench: Bench) -> None:
    bench.refuses = MissingToolError("no container engine answers; tried: x", hint=f"Start one. {ELSEWHERE}")
    with pytest.raises(MissingToolError) as caught:
        bench.lock()
    assert caught.value.message == (
        "demo: overlay.from-image takes files from the base image: no container engine answers; tried: x"
    )
    assert caught.value.hint == "Start one."


def test_a_command_that_takes_nothing_says_which_does(bench: Bench, tmp_path: Path) -> None:
    lock, _ = bench.lock()
    with pytest.raises(MissingToolError) as caught:
        taken.contents(bench.order(lock), Store(tmp_path / "other"), None)
    assert caught.value.message == (
        f"{tmp_path}/lock.txt: 3 files of the base image not in the store, and this command does not take them"
    )
    assert caught.value.hint == "Run lamina build demo where a container engine is."


def test_a_lock_that_lost_its_files_is_stale(bench: Bench, tmp_path: Path) -> None:
    lock, _ = bench.lock()
    taken.check(bench.order(lock))
    with pytest.raises(StaleLockError) as caught:
        taken.check(bench.order(msgspec.structs.replace(lock, taken=())))
    assert caught.value.message == (f"{tmp_path}/lock.txt: lists no file of the base image, against overlay.from-image")
    assert caught.value.hint == "Renew it: lamina lock demo"
