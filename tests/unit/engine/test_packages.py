"""Packages of the base image: which commands install them, and what is told where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lamina.engine.images import Image
from lamina.engine.model import Outcome
from lamina.engine.packages import install, offline_error
from lamina.engine.probe import About
from lamina.errors import IndexAccessError, LaminaError, UsageError
from lamina.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

KNOWN = "apt-get, dnf, microdnf, yum"
HINT = "Check the names in builder.system-packages, and that containers of this engine reach the network."


class Room:
    """A container with one package manager, whose commands end as ``outcomes`` say, or well."""

    def __init__(self, manager: str, *outcomes: Outcome) -> None:
        self.image = Image("id", "base:1", "sha256:1")
        self.about = About("Linux", "3.11.2", "x86_64", (2, 26), (), (), manager)
        self.ran: list[tuple[Sequence[str], dict[str, Any]]] = []
        self._outcomes = list(outcomes)

    def run(self, command: Sequence[str], **more: Any) -> Outcome:  # noqa: ANN401 - those of Room.run
        self.ran.append((command, more))
        return self._outcomes.pop(0) if self._outcomes else Outcome("exited", 0, b"", b"", 0.1, 0)


@pytest.mark.parametrize(
    ("manager", "commands"),
    [
        ("apt-get", ["apt-get -q update", "apt-get -q -y --no-install-recommends install one two"]),
        ("dnf", ["dnf -y --setopt=install_weak_deps=0 --setopt=tsflags=nodocs install one two"]),
        ("microdnf", ["microdnf -y --setopt=install_weak_deps=0 --nodocs install one two"]),
        ("yum", ["yum -y --setopt=tsflags=nodocs install one two"]),
    ],
)
def test_packages_are_installed_without_questions(manager: str, commands: list[str]) -> None:
    told: list[str] = []

    class Told(Progress):
        def stage(self, message: str) -> None:
            told.append(message)

    room = Room(manager)
    install(room, ["one", "two"], progress=Told())  # type: ignore[arg-type]
    assert [" ".join(command) for command, _ in room.ran] == [f"/usr/bin/env {command}" for command in commands]
    assert {more["environment"]["DEBIAN_FRONTEND"] for _, more in room.ran} == {"noninteractive"}
    assert told == ["installing one, two in a container of base:1"]


@pytest.mark.parametrize(
    ("manager", "outcomes", "kind", "message", "hint"),
    [
        (
            "",
            [],
            UsageError,
            f"base:1: has no package manager that is known ({KNOWN}), so one, two cannot be installed",
            "Name an image that has one as base in the recipe's [image], or in LAMINA_BASE_IMAGE.",
        ),
        (
            "apt-get",
            [Outcome("exited", 0, b"", b"", 0.1, 0), Outcome("exited", 100, b"much\n", b"no package one\n", 0.1, 0)],
            IndexAccessError,
            "base:1: apt-get does not install one, two:\n  much\n  no package one",
            HINT,
        ),
        (
            "dnf",
            [Outcome("timeout", None, b"", b"", 1800.0, 0)],
            IndexAccessError,
            "base:1: dnf does not install one, two:\n  it printed nothing",
            HINT,
        ),
    ],
)
def test_what_cannot_be_installed_is_told(
    manager: str, outcomes: list[Outcome], kind: type[LaminaError], message: str, hint: str
) -> None:
    with pytest.raises(kind) as caught:
        install(Room(manager, *outcomes), ["one", "two"])  # type: ignore[arg-type]
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_offline_nothing_can_be_installed() -> None:
    error = offline_error("base:1", ["one", "two"])
    assert error.message == "base:1: its package manager needs the network for one, two"
    assert error.hint == "Run the command once without --offline; the store keeps what comes of it."
