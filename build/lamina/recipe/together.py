"""How the values of a recipe must fit together. Values that are wrong by themselves are left out of the comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lamina import target
from lamina.recipe import sizes
from lamina.recipe.model import PROVIDED
from lamina.recipe.spelling import canonical, is_local, local_project
from lamina.recipe.values import requirement
from lamina.recipe.words import Mistake, Path, render, show
from lamina.runtimes import quotas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.requirements import Requirement


class Draft:
    """A recipe's parsed TOML, of which only what is sound can be seen."""

    def __init__(self, raw: Mapping[str, Any], faulty: frozenset[Path]) -> None:
        self._raw = raw
        self._faulty = faulty

    def get(self, *path: str | int) -> Any:  # noqa: ANN401 - whatever TOML holds; its type was checked if it is sound
        """Return the value at ``path``; None when it is missing, or wrong, or stands in something wrong."""
        value: Any = self._raw
        for depth, step in enumerate(path, 1):
            if path[:depth] in self._faulty:
                return None
            try:
                value = value[step]
            except (KeyError, IndexError):
                return None
        return value

    def strings(self, key: str, *inner: str) -> Iterator[tuple[Path, str]]:
        """Yield the sound strings of a list, or what its tables hold at ``inner``, each with its path."""
        for position in range(len(self.get(key) or ())):
            path: Path = (key, position, *inner)
            value = self.get(*path)
            if value is not None:
                yield path, value


def together(draft: Draft, stem: str) -> Iterator[Mistake]:
    """Yield every mistake that concerns several values; ``stem`` is the file's name without its ending, or empty."""
    yield from _name(draft, stem)
    yield from _requirements(draft)
    yield from _targets(draft)
    yield from _budget(draft)
    yield from _artefacts(draft)
    yield from _environment(draft)
    yield from _indexes(draft)


def _name(draft: Draft, stem: str) -> Iterator[Mistake]:
    name = draft.get("name")
    if name and stem and name != stem:
        message = f"expected {show(stem)} as the file is named, since locks and artefacts are, found {show(name)}"
        yield Mistake(("name",), message)


def _parsed(draft: Draft) -> Iterator[tuple[Path, Requirement]]:
    for path, text in draft.strings("requirements"):
        parsed = None if is_local(text) else requirement(text)
        if parsed:
            yield path, parsed


def _requirements(draft: Draft) -> Iterator[Mistake]:
    first: dict[tuple[str, str], Path] = {}
    direct: set[str] = set()
    provided = _provided(draft)
    for path, parsed in _parsed(draft):
        name = canonical(parsed.name)
        direct.add(name)
        before = first.setdefault((name, str(parsed.marker or "")), path)
        if before != path:
            yield Mistake(path, f"{show(parsed.name)} is required by {render(before)} already; make one of the two")
        if name in map(canonical, provided):
            rest = json.dumps([other for other in provided if canonical(other) != name])
            message = f"{show(parsed.name)} is provided by the runtime and not shipped; drop it here, or ship your own "
            yield Mistake(path, f"{message}with provided = {rest}")
    yield from _local(draft)
    yield from _omitted(draft, direct)


def _local(draft: Draft) -> Iterator[Mistake]:
    first: dict[str, Path] = {}
    for path, text in draft.strings("requirements"):
        local = local_project(text) if is_local(text) else None
        before = path if local is None else first.setdefault(local.path, path)
        if before != path:
            yield Mistake(path, f"{show(text)} is required by {render(before)} already; make one of the two")


def _provided(draft: Draft) -> list[str]:
    stated = [name for _, name in draft.strings("provided")]
    return stated if draft.get("provided") is not None else list(PROVIDED)


def _omitted(draft: Draft, direct: set[str]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for path, name in draft.strings("omit", "name"):
        if canonical(name) in seen:
            yield Mistake(path, f"{show(name)} is omitted twice")
        seen.add(canonical(name))
        if canonical(name) in direct:
            yield Mistake(path, f"{show(name)} is a requirement of this recipe; remove it there instead")


def _targets(draft: Draft) -> Iterator[Mistake]:
    first: dict[str, Path] = {}
    artefacts = [kind for _, kind in draft.strings("artefacts")]
    own = target.has_own_base(artefacts, draft.get("image", "base"))
    for path, python in draft.strings("target", "python"):
        place = path[:-1]
        rest = {key: draft.get(*place, key) for key in ("platform", "architecture") if key in draft.get(*place)}
        if None in rest.values():
            continue
        wrong = target.mistakes(python, **rest, own_base=own)
        yield from (Mistake((*place, error.key), str(error)) for error in wrong)
        if not wrong:
            name = target.target_for(python, **rest, own_base=own).name
            before = first.setdefault(name, place)
            if before != place:
                yield Mistake(place, f"the same target as {render(before)}, {name}")


def _budget(draft: Draft) -> Iterator[Mistake]:
    unzipped, warn = draft.get("budget", "unzipped"), draft.get("budget", "warn")
    limit = sizes.to_bytes(unzipped) if unzipped is not None else quotas().unzipped
    if warn is not None and sizes.to_bytes(warn) > limit:
        yield Mistake(("budget", "warn"), f"expected no more than unzipped, {limit} bytes, found {show(warn)}")
    for position, entry in enumerate(draft.get("budget", "stack") or ()):
        if entry == draft.get("name") and isinstance(entry, str):
            yield Mistake(("budget", "stack", position), f"{show(entry)} is this recipe itself")


def _artefacts(draft: Draft) -> Iterator[Mistake]:
    """A function is packed from ``[function]``, and judged beside its layer, which is built with it."""
    stated = {kind: path for path, kind in draft.strings("artefacts")}
    if "function" not in stated:
        return
    if "function" not in draft.get():
        yield Mistake(stated["function"], "there is no [function] that says what goes into it")
    if "layer" not in stated and len(stated) == len(draft.get("artefacts")):
        yield Mistake(stated["function"], 'a function is built with its layer; expected ["layer", "function"]')


def _environment(draft: Draft) -> Iterator[Mistake]:
    for name in draft.get("function", "environment") or ():
        path = ("function", "environment", name)
        variable = draft.get(*path)
        if variable is None or any(draft.get(*path, key) is None for key in variable):
            continue
        if len(variable) != 1 or False in variable.values():
            yield Mistake(path, 'expected exactly one of value = "...", required = true and secret = true')


def _indexes(draft: Draft) -> Iterator[Mistake]:
    """Each package has one index, and each index a variable of its own in the environment."""
    names: dict[str, Path] = {}
    packages: dict[str, Path] = {}
    for path, name in draft.strings("index", "name"):
        before = names.setdefault(name.upper().replace("-", "_"), path)
        if before != path:
            yield Mistake(path, f"{show(name)} would be overridden by the same variable as {render(before)}")
        for position in range(len(draft.get(*path[:-1], "packages") or ())):
            place = (*path[:-1], "packages", position)
            package = draft.get(*place)
            before = packages.setdefault(canonical(package), place) if package else place
            if before != place:
                yield Mistake(place, f"{show(package)} has an index already, by {render(before)}")
