"""The base image of a target: which one it is, how an engine calls it, and whether it is one for the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.engine.probe import read, version
from lamina.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina.engine.model import Outcome
    from lamina.engine.probe import About
    from lamina.errors import MissingToolError
    from lamina.recipe import Recipe
    from lamina.target import Target

#: Characters of what an image says of itself, where that is shown.
_LONGEST = 100

#: Names the image where the recipe does not.
OVERRIDE = "LAMINA_BASE_IMAGE"


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
    """What :data:`lamina.engine.probe.PROBE` printed, held against the target.

    Raises:
        UsageError: the image has another Python or architecture, or does not say.
    """
    found = read(outcome.stdout)
    if found is None:
        raise silent(name, target, outcome)
    if version(found.python)[:2] != target.runtime.python:
        raise UsageError(f"{needed(name, target)}; it has CPython {found.python[:_LONGEST]}", hint=hint(target))
    if found.machine != target.architecture:
        message = f"{needed(name, target)}, for {target.architecture}; it is for {found.machine[:_LONGEST]}"
        raise UsageError(message, hint=hint(target))
    return found


def silent(name: str, target: Target, outcome: Outcome) -> UsageError:
    """The error where an image does not say what it is."""
    said = outcome.stderr.decode(errors="replace").strip().splitlines()
    what = said[-1] if said else "what is there says nothing of itself"
    return UsageError(f"{needed(name, target)}: {what}", hint=hint(target))


def bare(name: str, target: Target, refusal: MissingToolError) -> UsageError | None:
    """The error where an engine refuses to start an image because its interpreter is not there; else nothing."""
    if "no such file or directory" in refusal.message and target.runtime.interpreter in refusal.message:
        return UsageError(f"{needed(name, target)}; there is none", hint=hint(target))
    return None
