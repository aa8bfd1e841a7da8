"""Packages of a base image's system, installed in a container by the image's own package manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.errors import IndexAccessError, UsageError
from lamina.process import last_lines
from lamina.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina.engine.room import Room
    from lamina.progress import Progress

#: What installs without a question, without what is only recommended and without documentation, for each manager; the
#: packages follow. Sources: apt-get(8), dnf(8), yum(8), the help of microdnf.
_COMMANDS = {
    "apt-get": (("apt-get", "-q", "update"), ("apt-get", "-q", "-y", "--no-install-recommends", "install")),
    "dnf": (("dnf", "-y", "--setopt=install_weak_deps=0", "--setopt=tsflags=nodocs", "install"),),
    "microdnf": (("microdnf", "-y", "--setopt=install_weak_deps=0", "--nodocs", "install"),),
    "yum": (("yum", "-y", "--setopt=tsflags=nodocs", "install"),),
}
_SECONDS = 1800.0


def install(room: Room, packages: Sequence[str], *, progress: Progress = SILENT) -> None:
    """Install packages in a container that has a network.

    Raises:
        UsageError: the image has no package manager that is known here.
        IndexAccessError: they cannot be had; the message holds the last lines of what the manager said.
        MissingToolError: the engine refuses.
    """
    image, manager, listed = room.image.reference, room.about.manager, ", ".join(packages)
    if manager not in _COMMANDS:
        raise UsageError(
            f"{image}: has no package manager that is known ({', '.join(_COMMANDS)}), so {listed} cannot be installed",
            hint="Name an image that has one as base in the recipe's [image], or in LAMINA_BASE_IMAGE.",
        )
    progress.stage(f"installing {listed} in a container of {image}")
    *before, command = _COMMANDS[manager]
    for words in (*before, (*command, *packages)):
        done = room.run(["/usr/bin/env", *words], environment={"DEBIAN_FRONTEND": "noninteractive"}, seconds=_SECONDS)
        if done.code != 0:
            said = last_lines((done.stdout + done.stderr).decode(errors="replace"))
            raise IndexAccessError(
                f"{image}: {manager} does not install {listed}:\n{said}",
                hint="Check the names in builder.system-packages, and that containers of this engine reach the "
                "network.",
            )


def offline_error(image: str, packages: Sequence[str]) -> IndexAccessError:
    """The error where packages are wanted and the network is not."""
    return IndexAccessError(
        f"{image}: its package manager needs the network for {', '.join(packages)}",
        hint="Run the command once without --offline; the store keeps what comes of it.",
    )
