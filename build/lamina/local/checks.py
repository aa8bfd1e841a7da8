"""What must hold of local projects: where they stand, what they are called, what the lock says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.errors import RecipeError
from lamina.lock import canonical
from lamina.recipe.spelling import is_local, requirement_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lamina.built import Built
    from lamina.lock import LockedLocal
    from lamina.project import Project
    from lamina.recipe import Recipe


def folder_of(project: Project, path: str) -> Path:
    """The folder of a local project.

    Raises:
        RecipeError: it is not there, holds no project, or leads out of the recipe's.
    """
    where = f"{project.where}: requirements: {path}"
    folder = project.root / path
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "there is no such folder"
        hint = "Paths start from the project's root, which is the folder that holds recipes/."
        if path.endswith(".whl"):
            hint = "Put the wheel into a folder that find-links names, and require it by its name."
        raise RecipeError(f"{where}: {what}", hint=hint)
    if not folder.resolve().is_relative_to(project.root.resolve()):
        raise RecipeError(f"{where}: leads out of the project", hint="Put the project itself there, not a link.")
    if not any((folder / name).is_file() for name in ("pyproject.toml", "setup.py")):
        hint = "Give the folder that holds pyproject.toml or setup.py."
        raise RecipeError(f"{where}: no Python project: has neither pyproject.toml nor setup.py", hint=hint)
    return folder


def check_names(project: Project, recipe: Recipe, found: Mapping[str, Built]) -> None:
    """Hold the names, which only a build tells, against each other and against the rest of the recipe.

    Raises:
        RecipeError: two are one, the recipe states it otherwise, or a project of the same workspace is missing.
    """
    first = dict[str, str]()
    stated = {requirement_name(text): "requirements" for text in recipe.requirements if not is_local(text)}
    stated |= {canonical(omit.name): "omit" for omit in recipe.omit}
    stated |= {canonical(name): "provided" for name in recipe.provided}
    for path, built in found.items():
        name, where = built.wheel.name, f"{project.where}: requirements: {path}"
        if first.setdefault(name, path) != path:
            raise RecipeError(f"{where}: is called {name}, as {first[name]} is", hint="Require one of the two.")
        if name in stated:
            message = f"{where}: is called {name}, which {stated[name]} names too"
            raise RecipeError(message, hint="A local project takes the place of every package of its name.")
    for path, built in found.items():
        for name in built.siblings:
            if name not in first:
                message = f"{project.where}: requirements: {path}: needs {name} of its workspace"
                hint = f'Require the folder of {name} as well, as "./packages/{name}"; else an index would be asked.'
                raise RecipeError(message, hint=hint)


def differences(locked: Sequence[LockedLocal], built: Mapping[str, Built]) -> list[str]:
    """What the lock states otherwise of the local projects."""
    before, lines = {one.path: one for one in locked}, []
    for path, one in built.items():
        known = before.get(path)
        if known is None:
            lines.append(f"does not know {path}")
        elif known.name != one.wheel.name:
            lines.append(f"{path} is called {one.wheel.name} now, was {known.name}")
        elif known.metadata != one.metadata:
            lines.append(f"{path} states other dependencies, extras or Pythons than when it was locked")
    return lines
