"""Taking files in a container: what is run there, what is believed of its answers, which image it is."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from lamina.engine.images import Image as Found
from lamina.engine.model import Outcome
from lamina.engine.probe import About
from lamina.errors import IndexAccessError, IntegrityError, MissingToolError
from lamina.progress import Progress
from lamina.recipe import Builder, Image, Overlay, Recipe, TargetSpec
from lamina.taken import take as edge
from lamina.target import target_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = target_for("cp311", platform="manylinux2014_x86_64")
LIB = "/usr/lib64/libx.so.1"


def outcome(stdout: bytes = b"", stderr: bytes = b"", code: int = 0) -> Outcome:
    return Outcome("exited", code, stdout, stderr, 0.1, 0)


class Room:
    """A container that answers what it is told to."""

    def __init__(self, manager: str = "dnf", digest: str = "sha256:1") -> None:
        self.image = Found("id", "base:1", digest)
        self.about = About("Linux", "3.11.2", "x86_64", (2, 26), (), (), manager)
        self.ran: list[tuple[list[str], dict[str, Any]]] = []
        self.installs = outcome()
        self.answers: list[object] = []
        self.files = {LIB: b"text"}
        self.closed = False

    def run(self, command: list[str], **more: Any) -> Outcome:  # noqa: ANN401 - those of Room.run
        self.ran.append((command, more))
        return self.installs

    def python(self, *_: str, stdin: bytes, **__: object) -> Outcome:
        answer = self.answers.pop(0) if self.answers else {"found": [], "names": ["libz.so.1"]}
        if isinstance(answer, bytes):
            return outcome(answer, b"first\nlast line\n")
        assert json.loads(stdin)["folders"] == [*TARGET.runtime.library_path]
        return outcome(json.dumps(answer).encode())

    def get(self, path: str) -> Iterator[bytes]:
        if path not in self.files:
            raise FileNotFoundError(path)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            info = tarfile.TarInfo(path.rpartition("/")[2])
            info.size = len(self.files[path])
            archive.addfile(info, io.BytesIO(self.files[path]))
        yield out.getvalue()

    def close(self) -> None:
        self.closed = True


def recipe(*packages: str, **keys: Any) -> Recipe:  # noqa: ANN401 - the recipe's
    more = {"builder": Builder(system_packages=packages), "overlay": Overlay(from_image=("/usr/share/x",)), **keys}
    return Recipe("demo", ("alpha",), (TargetSpec("cp311", "manylinux2014_x86_64"),), **more)


def take(room: Room, *packages: str, **keys: Any) -> edge.Taken:  # noqa: ANN401 - of take
    return edge.take(room, recipe(*packages), TARGET, **keys)  # type: ignore[arg-type]


def answers(room: Room, *found: object) -> None:
    room.answers = [{"found": [], "names": []}, {"found": [*found], "names": []}]


def test_packages_are_installed_without_questions_before_files_are_taken() -> None:
    told: list[str] = []

    class Told(Progress):
        def stage(self, message: str) -> None:
            told.append(message)

    room = Room()
    room.files = {"/usr/share/x": b"data"}
    answers(room, "/usr/share/x")
    taken = take(room, "one", "two", progress=Told())
    assert [(file.path, file.content) for file in taken.files] == [("share/x", b"data")]
    assert taken.image == "sha256:1"
    ((command, _),) = room.ran
    assert command[-3:] == ["install", "one", "two"]
    assert told == ["installing one, two in a container of base:1", "taking /usr/share/x from base:1"]


def test_nothing_is_run_where_no_package_is_named() -> None:
    room = Room(manager="")
    room.files = {"/usr/share/x": b"data"}
    answers(room, "/usr/share/x")
    assert take(room, offline=True).files[0].path == "share/x"
    assert room.ran == []


def test_offline_nothing_is_installed() -> None:
    with pytest.raises(IndexAccessError) as caught:
        take(Room(), "one", offline=True)
    assert caught.value.message == "base:1: its package manager needs the network for one"
    assert caught.value.hint == "Run the command once without --offline; the store keeps what comes of it."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "last line"),
        (b"[" * 100_000, "last line"),
        (b"[]", "last line"),
        ({"found": [], "names": []}, "the search for files answers something else"),
        ({"found": [None], "names": [1]}, "the search for files answers something else"),
        ({"found": ["usr/x"], "names": []}, "the search for files answers 'usr/x'"),
        ({"found": ["/usr/../x"], "names": []}, "the search for files answers '/usr/../x'"),
        ({"found": [7], "names": []}, "the search for files answers 7"),
        ({"found": ["/gone"], "names": []}, "/gone is not there"),
    ],
)
def test_an_image_is_not_believed(answer: object, said: str) -> None:
    room = Room()
    room.answers = [{"found": [], "names": []}, answer]
    with pytest.raises(IntegrityError) as caught:
        take(room)
    assert caught.value.message == f"base:1: {said}"
    assert caught.value.hint == "Look at what the image holds, or take another one."


@pytest.mark.parametrize(
    ("keys", "runtime"),
    [({}, True), ({"artefacts": ("image",), "image": Image(base="other:1")}, False)],
)
def test_what_the_runtime_has_counts_but_on_a_base_of_its_own(
    monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], *, runtime: bool
) -> None:
    there: list[set[str]] = []
    monkeypatch.setattr(edge, "collect", lambda *_, **more: there.append(more["there"]) or ())
    edge.take(Room(), recipe(**keys), TARGET)  # type: ignore[arg-type]
    assert "libz.so.1" in there[0]
    assert ("libstdc++.so.6" in there[0]) == runtime


def test_the_image_of_the_lock_is_taken_where_it_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = {"host:5000/base:1": Room(digest="sha256:2"), "host:5000/base@sha256:1": Room()}
    monkeypatch.setattr(edge, "open_room", lambda name, *_, **__: rooms[name])
    environment = {"LAMINA_BASE_IMAGE": "host:5000/base:1"}
    room: Any = edge.open_base(recipe(), TARGET, environment, image="sha256:1")
    assert room is rooms["host:5000/base@sha256:1"]
    assert rooms["host:5000/base:1"].closed
    room = edge.open_base(recipe(), TARGET, environment, image="sha256:2")
    assert room is rooms["host:5000/base:1"]


def test_where_it_is_not_the_one_of_that_name_may_do(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Room(digest="sha256:2")
    asked: list[tuple[str, bool]] = []

    def opened(name: str, *_: object, network: bool, **__: object) -> Room:
        asked.append((name, network))
        if "@" in name:
            raise MissingToolError("cannot be pulled")
        return here

    monkeypatch.setattr(edge, "open_room", opened)
    room: Any = edge.open_base(recipe("one"), TARGET, {}, image="sha256:1")
    assert room is here
    assert not here.closed
    aws = "public.ecr.aws/lambda/python"
    assert asked == [(f"{aws}:3.11", True), (f"{aws}@sha256:1", True)]
    edge.open_base(recipe("one"), TARGET, {}, offline=True)
    edge.open_base(recipe(), TARGET, {})
    assert [network for _, network in asked[2:]] == [False, False]
