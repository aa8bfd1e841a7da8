"""The base image of a target: which one it is, and what it says of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from lamina.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina.engine.model import Outcome
    from lamina.recipe import Recipe
    from lamina.target import Target

#: Names the image where the recipe does not.
OVERRIDE = "LAMINA_BASE_IMAGE"

#: Printed as one line of JSON by the image's interpreter.
PROBE = """
import json, os, platform, shutil
told = {"python": platform.python_version(), "machine": platform.machine(), "glibc": "", "system": "Linux"}
try:
    told["glibc"] = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
except (AttributeError, IndexError, OSError, ValueError):
    pass
try:
    with open("/etc/os-release") as file:
        for line in file:
            if line.startswith("PRETTY_NAME="):
                told["system"] = line.partition("=")[2].strip().strip("\\"'")
except OSError:
    pass
managers = ("microdnf", "dnf", "yum", "apt-get")
told["manager"] = next((name for name in managers if shutil.which(name)), "")
print(json.dumps(told))
"""


class About(NamedTuple):
    """What an image is. ``manager`` installs its packages: ``microdnf``, ``dnf``, ``yum``, ``apt-get``, or nothing."""

    system: str
    python: tuple[int, ...]
    machine: str
    glibc: tuple[int, ...]
    manager: str


def reference(stated: str | None, target: Target, environment: Mapping[str, str]) -> str:
    """The image for a target: the recipe's, or LAMINA_BASE_IMAGE, or AWS's own."""
    return stated or environment.get(OVERRIDE) or target.base_image


def engine_name(stated: str) -> str:
    """How an engine calls the image that is stated as skopeo names it (containers-transports(5)).

    Raises:
        UsageError: it lies in a file, where no engine runs it.
    """
    for transport in ("docker-daemon:", "docker://"):
        if stated.startswith(transport):
            return stated.removeprefix(transport)
    if stated.startswith(("oci:", "oci-archive:", "docker-archive:")):
        raise UsageError(
            f"{stated}: lies in a file, and a container engine runs only what it has itself",
            hint=f"Load it, and name it by {OVERRIDE}: skopeo copy {stated} docker-daemon:NAME:TAG",
        )
    return stated


def runnable(recipe: Recipe, target: Target, environment: Mapping[str, str]) -> str:
    """The base image of a recipe's target, as an engine calls it.

    Raises:
        UsageError: it lies in a file, where no engine runs it.
    """
    return engine_name(reference(recipe.base, target, environment))


def needed(name: str, target: Target) -> str:
    """How a refusal of an image begins."""
    python = "{}.{}".format(*target.runtime.python)
    return f"{name}: {target.name} needs an image with CPython {python} as {target.runtime.interpreter}"


def hint(target: Target) -> str:
    """What to do about an image that is refused."""
    return f"Name an image in AWS's layout, as {target.base_image} is, or leave the name out."


def about(name: str, target: Target, outcome: Outcome) -> About:
    """What :data:`PROBE` printed, held against the target.

    Raises:
        UsageError: the image has another Python or architecture, or does not say.
    """
    try:
        told = json.loads(outcome.stdout)
        found = About(
            str(told["system"]),
            numbers(told["python"]),
            str(told["machine"]),
            numbers(told["glibc"]),
            str(told["manager"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        said = outcome.stderr.decode(errors="replace").strip().splitlines()
        what = said[-1] if said else "what is there says nothing of itself"
        raise UsageError(f"{needed(name, target)}: {what}", hint=hint(target)) from None
    if found.python[:2] != target.runtime.python:
        raise UsageError(f"{needed(name, target)}; it has CPython {told['python']}", hint=hint(target))
    if found.machine != target.architecture:
        message = f"{needed(name, target)}, for {target.architecture}; it is for {found.machine}"
        raise UsageError(message, hint=hint(target))
    return found


def numbers(text: str) -> tuple[int, ...]:
    """``2.36`` as numbers; what follows the first part that is no number is left out."""
    parts: list[int] = []
    for part in text.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        parts.append(int(part))
    return tuple(parts)
