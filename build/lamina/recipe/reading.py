"""TOML to :class:`~lamina.recipe.model.Recipe`: with every check for people, and the quick way for what was checked."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec
import tomli

from lamina.errors import RecipeError
from lamina.recipe import sizes
from lamina.recipe.model import Recipe

if TYPE_CHECKING:
    from lamina.target import Target

#: The keys whose sizes may be written with a unit; beside them the entries of budget.stack.
_SIZED = (("budget", "unzipped"), ("budget", "warn"), ("function", "memory"))

_HELP = "`lamina recipe new NAME` writes a recipe that explains every key; its first line lets editors check it."


def load(path: Path) -> Recipe:
    """Read and check the recipe at ``path``.

    Raises:
        RecipeError: there is no such file, it cannot be read, or it has mistakes; see :func:`parse`.
    """
    where = path.as_posix()
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise RecipeError(f"{where}: no such recipe", hint=_others(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        if isinstance(error, OSError) and path.is_dir():  # which Windows reports as a lack of permission
            raise RecipeError(f"{where}: a folder, not a recipe", hint=_others(path)) from error
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeError(f"{where}: cannot be read: {reason}", hint="Check the path and its permissions.") from error
    return parse(decode(data, where), where)


def decode(data: bytes, where: str) -> str:
    """Decode a recipe's bytes, which must be UTF-8; a byte order mark and CRLF are fine and change nothing.

    Raises:
        RecipeError: they are not UTF-8; the message names the line and the byte.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"{where}: line {line}: not UTF-8: byte 0x{data[error.start]:02x}"
        raise RecipeError(message, hint="Save the file as UTF-8.") from error


def parse(text: str, where: str) -> Recipe:
    """Check a recipe's text and make its value. ``where`` is the file's path, for messages and to compare the name.

    Raises:
        RecipeError: the text is no TOML, or has mistakes: then the message holds every one, a line each, as
            ``recipes/x.toml: target[0].platform: ...``.
    """
    from lamina.recipe.check import mistakes
    from lamina.recipe.words import render

    raw = _toml(text, where)
    stem = PurePosixPath(where.replace("\\", "/")).name
    found = mistakes(raw, stem.removesuffix(".toml") if stem.endswith(".toml") else "")
    if found:
        lines = [f"{where}: {render(mistake.path)}: {mistake.message}" for mistake in found]
        raise RecipeError("\n".join(lines), hint=_HELP)
    return _recipe(raw)


def trusted(text: str) -> Recipe:
    """Make the value of a text that :func:`parse` accepted before, by this version of lamina, without its checks."""
    return _recipe(tomli.loads(text.removeprefix("\ufeff")))


def targets(recipe: Recipe) -> tuple[Target, ...]:
    """Make the recipe's targets, in its order.

    Raises:
        RecipeError: one of them does not exist, which :func:`parse` has ruled out.
    """
    from lamina.target import TargetError, has_own_base, target_for

    own = has_own_base(recipe.artefacts, recipe.base)
    try:
        return tuple(
            target_for(spec.python, platform=spec.platform, architecture=spec.architecture, own_base=own)
            for spec in recipe.target
        )
    except TargetError as error:
        raise RecipeError(f"{recipe.name}: target: {error}") from error


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomli.loads(text.removeprefix("\ufeff"))
    except tomli.TOMLDecodeError as error:
        place = f"{where}: line {error.lineno}, column {error.colno}"
        raise RecipeError(f"{place}: not TOML: {error.msg}", hint="TOML's syntax: https://toml.io") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits; lists in lists in lists
        raise RecipeError(f"{where}: not a recipe: {error}", hint="TOML's syntax: https://toml.io") from error


def _recipe(raw: dict[str, Any]) -> Recipe:
    """Convert checked TOML, after writing its sizes as bytes. ``raw`` was just parsed and belongs to this function."""
    for table, key in _SIZED:
        if key in raw.get(table, ()):
            raw[table][key] = sizes.to_bytes(raw[table][key])
    if "stack" in raw.get("budget", ()):
        raw["budget"]["stack"] = [_stacked(entry) for entry in raw["budget"]["stack"]]
    return msgspec.convert(raw, Recipe)


def _stacked(entry: str | int) -> str | int:
    return entry if isinstance(entry, str) and not sizes.is_size(entry) else sizes.to_bytes(entry)


def _others(path: Path) -> str:
    """Name the recipes that stand where one was looked for, the nearest first."""
    import difflib

    names = sorted(other.stem for other in path.parent.glob("*.toml"))
    if not names:
        return "Write one with `lamina recipe new NAME`."
    near = difflib.get_close_matches(path.stem, names, n=1)
    guess = f"Did you mean {near[0]}? " if near else ""
    return f"{guess}Recipes in {path.parent.as_posix()}: {', '.join(names)}."
