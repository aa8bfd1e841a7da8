"""Local projects as requirements that uv understands: their wheels, each under its own name, in a folder."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lamina.recipe.spelling import is_local, local_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina.built import Built
    from lamina.recipe import Recipe
    from lamina.store import Store


@contextlib.contextmanager
def given(recipe: Recipe, local: Mapping[str, Built], store: Store) -> Iterator[Recipe]:
    """The recipe with ``name[extra] @ file:///…`` in place of its local projects; a context manager.

    To uv such a requirement is the one place that the name can come from, whoever else needs it: no index is asked
    about it, so nobody can register the name there and be taken for it.
    """
    if not local:
        yield recipe
        return
    with tempfile.TemporaryDirectory(prefix="lamina-") as folder:
        for built in local.values():
            wheel = built.wheel
            shutil.copyfile(store.path("wheels", wheel.sha256, ".whl"), Path(folder, wheel.filename))
        stated = tuple(_stated(text, local, Path(folder)) for text in recipe.requirements)
        yield msgspec.structs.replace(recipe, requirements=stated)


def _stated(text: str, local: Mapping[str, Built], folder: Path) -> str:
    project = local_project(text) if is_local(text) else None
    if project is None:
        return text
    wheel = local[project.path].wheel
    extras = f"[{','.join(project.extras)}]" if project.extras else ""
    return f"{wheel.name}{extras} @ {(folder / wheel.filename).as_uri()}"
