"""Where recipes live, and what is to be built: recipe, target and lock, read and checked."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import lamina
from lamina import lock as locks
from lamina import recipe as recipes
from lamina.lock import Lock
from lamina.recipe import Recipe
from lamina.store import Store
from lamina.target import Target


class Project(NamedTuple):
    """Where a recipe lives: its file, the project's root, and the folder that artefacts go to."""

    recipe_path: Path
    root: Path
    output: Path

    @property
    def where(self) -> str:
        """The recipe's path as messages show it."""
        return self.shown(self.recipe_path)

    def shown(self, path: Path) -> str:
        """A path of the project as messages show it: from the current folder, where it lies below."""
        with contextlib.suppress(ValueError):
            return Path(os.path.abspath(path)).relative_to(Path.cwd()).as_posix()  # noqa: PTH100 - links stay links
        return str(path)


class Order(NamedTuple):
    """One layer that is to be built: a recipe for one of its targets, with the lock that says of which wheels."""

    project: Project
    recipe: Recipe
    target: Target
    lock: Lock
    lock_path: Path

    @property
    def name(self) -> str:
        """The stem of everything that is emitted: ``sklearn-cp311-manylinux2014_x86_64``."""
        return f"{self.recipe.name}-{self.target.name}"


def load_recipe(project: Project, store: Store) -> Recipe:
    """The project's recipe, checked.

    A text that was found valid once is remembered by its digest, so that a warm build checks no requirement strings.

    Raises:
        RecipeError: see :func:`lamina.recipe.load`.
    """
    try:
        text = project.recipe_path.read_bytes()
    except OSError:
        return recipes.load(Path(project.where))  # which says what is wrong, and which recipes there are
    seen = hashlib.sha256(f"{lamina.__version__}\n{project.recipe_path.stem}\n".encode() + text).hexdigest()
    memo = store.path("memos", seen)
    if memo.exists():
        return recipes.trusted(text.decode())
    recipe = recipes.parse(recipes.decode(text, project.where), project.where)
    with contextlib.suppress(OSError), store.create(memo) as beside:  # a store that cannot be written costs only time
        beside.touch()
    return recipe


def order(project: Project, recipe: Recipe, target: Target) -> Order:
    """The order for one target, its lock read and found to be made from what the recipe states.

    Raises:
        MissingLockError: there is no lock for the target.
        StaleLockError: the lock was made from other inputs.
        UsageError: the lock is not one that lamina wrote.
    """
    path = locks.lock_path(project.recipe_path, recipe.name, target)
    lock = locks.read(Path(project.shown(path)))
    locks.check(lock, recipe, target, project.shown(path))
    return Order(project, recipe, target, lock, path)
