"""Dependencies that a project takes from its own workspace, and that an index must never be asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli

from lamina.lock import canonical
from lamina.recipe.spelling import requirement_name


def siblings(pyproject: Path, requires: Iterable[str]) -> tuple[str, ...]:
    """Names among ``requires`` that ``[tool.uv.sources]`` says are members of the workspace, or stand in a folder.

    The backend knows nothing of that table, and states them in the wheel like any other; somebody else's project of
    such a name on a public index would then be taken.
    """
    try:
        stated: Any = tomli.loads(pyproject.read_text(encoding="utf-8"))
        sources = stated.get("tool", {}).get("uv", {}).get("sources", {})
        own = {canonical(name) for name, source in sources.items() if _is_own(source)}
    except (OSError, ValueError, AttributeError):  # no such file, or a table of another shape: then nothing is said
        return ()
    return tuple(sorted(own & {requirement_name(text) for text in requires}))


def _is_own(source: Any) -> bool:  # noqa: ANN401 - whatever TOML holds
    several = source if isinstance(source, list) else [source]
    return any(isinstance(one, dict) and ("path" in one or "workspace" in one) for one in several)
