"""Whether local projects still go together: their versions are no part of a lock, and they limit each other's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from lamina.lock import canonical
from lamina.recipe.spelling import is_local, local_project

if TYPE_CHECKING:
    from lamina.built import Built
    from lamina.recipe import Recipe
    from lamina.target import Target


def disagreements(recipe: Recipe, target: Target, built: Mapping[str, Built]) -> Iterator[str]:
    """A line for each local project whose version another one, or the recipe's constraints, excludes on the target."""
    by_name = {one.wheel.name: (path, one.wheel.version) for path, one in built.items()}
    stated = (local_project(text) for text in recipe.requirements if is_local(text))
    extras = {local.path: local.extras for local in stated if local is not None}
    rows = [(path, text, ("", *extras.get(path, ()))) for path, one in built.items() for text in one.requires]
    rows += [("constraints", text, ("",)) for text in recipe.constraints]
    for who, text, wanted in rows:
        requirement = Requirement(text)
        path, version = by_name.get(canonical(requirement.name), ("", ""))
        if not path or requirement.specifier.contains(version, prereleases=True):
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**target.markers(), "extra": extra}) for extra in wanted):
            yield f"{who} asks for {requirement.name}{requirement.specifier}, and {path} is {version}"
