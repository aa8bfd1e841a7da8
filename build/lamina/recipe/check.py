"""All mistakes of a recipe at once, in the order of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamina.recipe.model import Recipe
from lamina.recipe.shape import shape
from lamina.recipe.together import Draft, together

if TYPE_CHECKING:
    from lamina.recipe.words import Mistake, Path


def mistakes(raw: dict[str, Any], stem: str) -> list[Mistake]:
    """Collect what is wrong with parsed TOML; ``stem`` is the file's name without its ending, or empty if it has none.

    Ordered as the file has its keys; missing keys come after those that stand beside them.
    """
    found = list(shape(raw, Recipe))
    found += together(Draft(raw, frozenset(mistake.path for mistake in found)), stem)
    return sorted(found, key=lambda mistake: _rank(raw, mistake.path))


def _rank(node: Any, path: Path) -> tuple[int, ...]:  # noqa: ANN401 - whatever TOML holds
    if not path:
        return ()
    if isinstance(node, list) and isinstance(path[0], int):
        return path[0], *_rank(node[path[0]], path[1:])
    keys = list(node) if isinstance(node, dict) else []
    return (keys.index(path[0]), *_rank(node[path[0]], path[1:])) if path[0] in keys else (len(keys),)
