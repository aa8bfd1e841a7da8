"""A lock held against its recipe and its target."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

import msgspec

from lamina.errors import StaleLockError, UsageError
from lamina.lock.model import Lock, renewal
from lamina.recipe.spelling import canonical, canonical_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lamina.recipe import Recipe
    from lamina.target import Target


def check(lock: Lock, recipe: Recipe, target: Target, where: str) -> None:
    """Make sure that the lock was made for ``target`` from what the recipe now states.

    Raises:
        StaleLockError: it was not; the hint is the command that renews it.
    """
    hint = f"Renew it: {renewal(recipe.name)}"
    if lock.target != target.name:
        raise StaleLockError(f"{where}: made for {lock.target}, not for {target.name}", hint=hint)
    if lock.inputs != inputs_digest(recipe, target):
        inputs = (
            "requirements, constraints, provided packages, folders, indexes, system packages or files of the base image"
        )
        message = f"{where}: stale: the recipe now states other {inputs}"
        raise StaleLockError(message, hint=hint)


def verify(lock: Lock, recipe: Recipe, target: Target, where: str) -> None:
    """Make sure that the lock is one that resolution can have written. Imports more than a warm build needs.

    Raises:
        UsageError: a wheel is for another Python or platform.
        StaleLockError: a requirement that holds on the target has no wheel, as after a merge that lost a line.
    """
    accepted = frozenset(target.tags())
    for wheel in lock.wheels:
        pythons, abis, platforms = (part.split(".") for part in wheel.filename[: -len(".whl")].rsplit("-", 3)[1:])
        if not any(f"{a}-{b}-{c}" in accepted for a in pythons for b in abis for c in platforms):
            message = f"{where}: {wheel.filename}: {target.name} does not accept this wheel"
            raise UsageError(message, hint=f"Renew the lock: {renewal(recipe.name)}")
    names = {wheel.name for wheel in lock.wheels} | {source.name for source in lock.sources}
    names |= {canonical(name) for name in recipe.provided}
    for name in required(recipe.requirements, target):
        if name not in names:
            raise StaleLockError(
                f"{where}: has no wheel of {name}, which the recipe requires", hint=f"Renew it: {renewal(recipe.name)}"
            )


def required(requirements: Iterable[str], target: Target) -> Iterator[str]:
    """The normalized names of the requirements whose markers hold on the target; what is no requirement is left out."""
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement

    environment = {**target.markers(), "extra": ""}
    for text in requirements:
        with contextlib.suppress(InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                yield canonical(requirement.name)


def inputs_digest(recipe: Recipe, target: Target) -> str:
    """SHA-256 of what resolution starts from, in hexadecimal, whatever the order, spacing and case it is written in.

    That is requirements, constraints, provided packages, folders of wheels and indexes of the recipe, the target, and
    the system packages with what is taken of them; nothing else of the recipe makes a lock stale.
    """
    inputs: dict[str, object] = {
        "requirements": _sorted(recipe.requirements),
        "constraints": _sorted(recipe.constraints),
        "provided": sorted({canonical(name) for name in recipe.provided}),
        "find-links": sorted({folder.replace("\\", "/").rstrip("/") for folder in recipe.find_links}),
        "index": sorted((index.name, index.url, sorted(map(canonical, index.packages))) for index in recipe.index),
        "target": target.name,
    }
    # Left out where there is nothing, so that locks made before these keys existed stay as good as they are.
    system = {
        "system-packages": sorted(recipe.builder.system_packages),
        "from-image": sorted(recipe.overlay.from_image),
    }
    inputs |= {key: value for key, value in system.items() if value}
    return hashlib.sha256(msgspec.json.encode(inputs, order="sorted")).hexdigest()


def _sorted(requirements: Sequence[str]) -> list[str]:
    return sorted({canonical_requirement(text) for text in requirements})
