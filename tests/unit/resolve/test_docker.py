"""pip-tools in a container, without one: what it is asked, and what is made of its answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lamina import lock as locks
from lamina.engine.images import Image
from lamina.engine.model import Ended, Outcome
from lamina.engine.probe import About
from lamina.errors import IndexAccessError, LaminaError, ResolutionError
from lamina.resolve import docker
from lamina.resolve.model import Answer, Question, Refusal
from lamina.resolve.uv import platform_for
from lamina.tarformat import File
from lamina.target import target_for

AL2 = target_for("cp311", architecture="x86_64")
LOCK = locks.read(Path(docker.__file__).with_name("pip-tools.txt"))
DIGEST, OTHER = "ab" * 32, "cd" * 32
OUTPUT = f"""\
numpy==2.2.6 \\
    --hash=sha256:{DIGEST} \\
    --hash=sha256:{OTHER}
    # via
    #   -r requirements.txt
    #   pandas
Own_Project[x] @ file:///tmp/lamina-resolve/given/own_project-1.5-py3-none-any.whl \\
    --hash=sha256:{OTHER}
    # via -r requirements.txt
pandas==2.3.2 ; python_version < "4" \\
    --hash=sha256:{DIGEST}
    # via own-project
"""


class FakeRoom:
    """Answers as the program inside would."""

    image = Image("sha256:1", "base:3.11", "sha256:2")

    def __init__(self, text: str = "", *, glibc: tuple[int, ...] = (2, 36), said: str = "", **told: object) -> None:
        self.about = About("Some Linux", "3.11.2", "x86_64", glibc, (), (), "apt-get")
        markers = {"python_full_version": "3.11.2", "os_name": "posix"}
        self.stdout = json.dumps({"code": 0, "text": text, "reasons": [], "markers": markers, **told}).encode()
        self.said = said
        self.ended: Ended = "exited"
        self.order: dict[str, Any] = {}
        self.ports: tuple[int, ...] = ()
        self.environment: Mapping[str, str] = {}
        self.given: list[tuple[str, bytes]] = []

    def python(
        self, *_: str, environment: Mapping[str, str], stdin: bytes, ports: tuple[int, ...], seconds: float
    ) -> Outcome:
        self.order, self.ports, self.environment = json.loads(stdin), ports, environment
        return Outcome(self.ended, 0, self.stdout, self.said.encode(), seconds, 0)

    def put(self, folder: str, files: Iterable[File]) -> None:
        assert folder == "/tmp"  # noqa: S108 - of the container
        self.given = [(file.path, b"".join(file.pieces())) for file in files]


class FakeServer:
    url = "http://127.0.0.1:7/word/simple/"
    port = 7
    failure: LaminaError | None = None


def ask(room: FakeRoom, *requirements: str, server: FakeServer | None = None, **more: Any) -> Answer | Refusal:  # noqa: ANN401 - fields of the question
    asked = Question(requirements, more.pop("constraints", ()), "3.11.10", platform_for(AL2), {"numpy": "2.2.6"})
    made = docker.Docker(room, AL2, server or FakeServer(), LOCK)  # type: ignore[arg-type]
    found = made.ask(msgspec.structs.replace(asked, **more))
    room.notes = made.notes  # type: ignore[attr-defined]
    return found


def test_the_question_as_the_program_inside_gets_it(tmp_path: Path) -> None:
    wheel = tmp_path / "own project" / "own_project-1.5-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"wheel")
    room = FakeRoom()
    ask(room, f"own-project[x] @ {wheel.as_uri()}", "numpy", constraints=("pandas<3",))
    assert room.order["requirements.txt"] == [
        "own-project[x] @ file:///tmp/lamina-resolve/given/own_project-1.5-py3-none-any.whl",
        "numpy",
    ]
    assert (room.order["constraints.txt"], room.order["pins.txt"]) == (["pandas<3"], ["numpy==2.2.6"])
    assert (room.order["index"], room.order["glibc"], room.ports) == (FakeServer.url, [2, 26], (7,))
    netrc = "/tmp/lamina-resolve/netrc"  # noqa: S108
    assert dict(room.environment) == {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INPUT": "1", "NETRC": netrc}
    assert [path for path, _ in room.given] == ["lamina-resolve/given/own_project-1.5-py3-none-any.whl"]
    ask(room, "numpy", platform="x86_64-manylinux_2_40")
    assert room.order["glibc"] == [2, 36]  # of another platform the image can tell as far as its own glibc goes


def test_the_answer_states_versions_parents_and_hashes() -> None:
    room = FakeRoom(OUTPUT, said="WARNING: pandas 2.3.2 does not provide the extra 'y'\nWARNING: other\n")
    assert ask(room, "numpy") == Answer(
        {"numpy": "2.2.6", "own-project": "1.5", "pandas": "2.3.2"},
        {
            "numpy": frozenset({"pandas"}),
            "own-project": frozenset(),
            "pandas": frozenset({"own-project"}),
        },
        frozenset({"own-project"}),
        ("pandas 2.3.2 does not provide the extra 'y'",),
        {
            "numpy": frozenset({DIGEST, OTHER}),
            "own-project": frozenset({OTHER}),
            "pandas": frozenset({DIGEST}),
        },
    )


def test_what_the_image_is_and_the_target_is_not_is_told() -> None:
    room = FakeRoom(OUTPUT, glibc=(2, 17))
    ask(room, "numpy")
    ours = AL2.markers()["python_full_version"]
    assert room.notes == (  # type: ignore[attr-defined]
        f"markers are those of base:3.11: python_full_version 3.11.2 (the target: {ours})",
        "base:3.11 has glibc 2.17; wheels that need more, up to 2.26, were not considered",
    )


def test_a_refusal_has_pips_reasons_and_the_constraints_on_what_they_name() -> None:
    room = FakeRoom(code=1, reasons=["a 1.0 depends on Some.Package<2"])
    shut_out = "some-package!=1.0,!=1.1"
    found = ask(room, "a", constraints=("some-package>1", "other<3", shut_out))
    assert found == Refusal("a 1.0 depends on Some.Package<2\nconstraint: some-package>1")


def test_a_failure_of_the_index_comes_before_what_pip_makes_of_it() -> None:
    server = FakeServer()
    server.failure = IndexAccessError("the index is closed")
    with pytest.raises(IndexAccessError, match=r"^the index is closed$"):
        ask(FakeRoom(code=1, reasons=["No matching distribution found for a"]), "a", server=server)


def test_other_failures_are_told_without_the_address_of_the_index() -> None:
    room = FakeRoom(code=1, said=f"error: no compiler\n\n  {FakeServer.url}a/ is odd\n")
    with pytest.raises(ResolutionError) as caught:
        ask(room, "a")
    expected = "pip-compile failed inside the base image:\n  error: no compiler\n    index:a/ is odd"
    assert caught.value.message == expected
    room = FakeRoom()
    room.stdout = b"no JSON"
    with pytest.raises(ResolutionError, match=r"^pip-compile failed inside the base image:\n  it printed nothing$"):
        ask(room, "a")
    room.ended = "timeout"
    with pytest.raises(ResolutionError, match=r"^pip-compile found no end within 1800 s$"):
        ask(room, "a")


def test_the_builder_in_a_lock_is_one_that_locks_can_state() -> None:
    builder = docker.Docker(FakeRoom(), AL2, FakeServer(), LOCK).version()  # type: ignore[arg-type]
    versions = {wheel.name: wheel.version for wheel in LOCK.wheels}
    assert builder == f"pip-tools {versions['pip-tools']} with pip {versions['pip']} in docker"
    lock = locks.Lock(AL2.name, builder, "0" * 64, (), "x")
    assert locks.parse(locks.render(lock), "x") == lock


def test_pip_tools_is_pure_python_for_every_image() -> None:
    assert [wheel.filename for wheel in LOCK.wheels if not wheel.filename.endswith("-none-any.whl")] == []


@pytest.mark.parametrize("stdout", [b"[" * 200_000, b'{"x": ' + b"[" * 200_000, b'{"text": "\xff"}', b"{}", b"\0"])
def test_an_image_that_answers_anything_is_a_failed_resolution(stdout: bytes) -> None:
    room = FakeRoom()
    room.stdout = stdout
    with pytest.raises(ResolutionError) as caught:
        ask(room, "numpy")
    assert caught.value.message == "pip-compile failed inside the base image:\n  it printed nothing"
