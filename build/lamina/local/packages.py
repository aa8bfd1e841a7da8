"""Packages of the base image's system, installed by its own package manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.errors import IndexAccessError, UsageError
from lamina.local.said import last_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina.engine.room import Room
    from lamina.progress import Progress

#: What comes before the names, for each manager; nothing that is only recommended, no documentation.
_COMMANDS = {
    "apt-get": (("apt-get", "-q", "update"), ("apt-get", "-q", "-y", "--no-install-recommends", "install")),
    "dnf": (("dnf", "-y", "--setopt=install_weak_deps=0", "--setopt=tsflags=nodocs", "install"),),
    "microdnf": (("microdnf", "-y", "--setopt=install_weak_deps=0", "--nodocs", "install"),),
    "yum": (("yum", "-y", "--setopt=tsflags=nodocs", "install"),),
}
_SECONDS = 1800.0


def install(room: Room, names: Sequence[str], progress: Progress) -> None:
    """Install packages in a room that has a network.

    Raises:
        UsageError: the image has no package manager that is known here.
        IndexAccessError: they cannot be had; the message holds the last lines of what the manager said.
    """
    image, listed = room.image.reference, ", ".join(names)
    if room.about.manager not in _COMMANDS:
        raise UsageError(
            f"{image}: has no package manager, and the recipe wants {listed}",
            hint="Name a base image with apt-get, dnf, microdnf or yum, or one that has these packages already.",
        )
    progress.stage(f"installing {listed}")
    *before, command = _COMMANDS[room.about.manager]
    for words in (*before, (*command, *names)):
        program = ["/usr/bin/env", *words]
        done = room.run(program, environment={"DEBIAN_FRONTEND": "noninteractive"}, seconds=_SECONDS)
        if done.code != 0:
            said = last_lines((done.stdout + done.stderr).decode(errors="replace"))
            raise IndexAccessError(
                f"{image}: {words[0]} does not install {listed}:\n{said}",
                hint="Check the names in system-packages of the recipe's [builder], and that containers reach the "
                "network.",
            )
