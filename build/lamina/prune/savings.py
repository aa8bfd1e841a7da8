"""When a layer is too large: what could go, how much that would save, and what to write into the recipe for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from lamina.lock import canonical
from lamina.part.model import Facts, Index
from lamina.part.source import resolve
from lamina.prune.model import Decision, Saving
from lamina.prune.references import module_name
from lamina.prune.rules import RULES, propose
from lamina.recipe import Prune, Recipe
from lamina.recipe.spelling import is_local

_ROOT = "python/"
_MOST = 10


def largest(
    parts: Sequence[tuple[Index, Facts]], decisions: Sequence[Sequence[Decision]], recipe: Recipe, local: Iterable[str]
) -> list[Saving]:
    """The ten largest things that could go, the largest first. ``local`` are the names of the recipe's own projects.

    These are packages that the recipe does not name itself and folders of packages, both only where no code that ships
    imports them as it is imported; what rules would drop that are not switched on; and what rules proposed but
    references kept.
    """
    from packaging.requirements import Requirement

    found: list[Saving] = []
    required = {canonical(Requirement(text).name) for text in recipe.requirements if not is_local(text)} | {*local}
    needed = _needed(parts, decisions)
    for (index, _), said in zip(parts, decisions, strict=True):
        gone = {decision.path for decision in said if decision.dropped}
        ships = {entry.path: entry.size for entry in index.entries if entry.path not in gone}
        tops = {path.removeprefix(_ROOT).partition("/")[0].partition(".")[0] for path in ships}
        if index.name not in required and tops.isdisjoint(needed):
            how = f'omit = [{{ name = "{index.name}", reason = "…" }}], where no code of yours leads to it'
            found.append(
                Saving(sum(ships.values()), f"{index.name} {index.version}, which another package requires", how)
            )
        else:
            found += _folders(index, ships, needed)
        found += _rules(index, ships, recipe.prune)
        found += _kept(index, said)
    found.sort(key=lambda saving: (-saving.bytes, saving.what))
    return [saving for saving in found[:_MOST] if saving.bytes]


def _needed(parts: Sequence[tuple[Index, Facts]], decisions: Sequence[Sequence[Decision]]) -> set[str]:
    """Packages and their sub-packages that code outside of them imports when it is imported itself, as dotted names."""
    needed = set()
    for (_, facts), said in zip(parts, decisions, strict=True):
        gone = {decision.path for decision in said if decision.dropped}
        for path, source in facts.sources.items():
            if path in gone:
                continue
            inside = path.removeprefix(_ROOT)
            module = module_name(inside)
            own = {".".join(module.split(".")[:1]), ".".join(module.split(".")[:2])}
            for imported in source.imports:
                if not imported.lazy:
                    for name in resolve(imported, module, inside.endswith("/__init__.py")):
                        needed |= {".".join(name.split(".")[:depth]) for depth in (1, 2)} - own
    return needed


def _folders(index: Index, ships: dict[str, int], needed: AbstractSet[str]) -> Iterator[Saving]:
    """Folders directly below a package's own: parts that a function may never import."""
    sizes: dict[str, int] = defaultdict(int)
    for path, size in ships.items():
        folders = path.removeprefix(_ROOT).split("/")[:-1]
        if len(folders) > 1 and not folders[0].endswith((".dist-info", ".libs")):
            sizes["/".join(folders[:2])] += size
    for folder, size in sizes.items():
        if f"{_ROOT}{folder}/__init__.py" in ships and folder.replace("/", ".") not in needed:
            yield Saving(
                size, f"{folder} of {index.name}", f'prune.drop = ["{folder}/"], where nothing you call imports it'
            )


def _rules(index: Index, ships: dict[str, int], prune: Prune) -> Iterator[Saving]:
    """What the rules that the recipe left out would drop."""
    inside = [path.removeprefix(_ROOT) for path in ships if path.startswith(_ROOT)]
    sizes: dict[str, int] = defaultdict(int)
    for path, rule in propose(inside, set(RULES).difference(prune.rules)).items():
        sizes[rule] += ships[_ROOT + path]
    for rule, size in sizes.items():
        yield Saving(size, f"{rule} of {index.name}", f'add "{rule}" to prune.rules')


def _kept(index: Index, said: Sequence[Decision]) -> Iterator[Saving]:
    """What rules proposed and code that refers to it kept."""
    sizes: dict[str, int] = defaultdict(int)
    for decision in said:
        if not decision.dropped and decision.rule in RULES:
            sizes[decision.rule] += decision.size
    for rule, size in sizes.items():
        how = f"see lamina explain, then prune.drop what your code never reaches ({index.name})"
        yield Saving(size, f"{rule} of {index.name} that its code refers to", how)
