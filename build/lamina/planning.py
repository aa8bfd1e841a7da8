"""parts → plan: what ships is decided, merged and laid out, once for each set of wheels and rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from lamina.audit.check import check
from lamina.audit.layers import artefact_of
from lamina.audit.metadata import check_metadata
from lamina.audit.model import Artefact
from lamina.bytecode.model import Choice
from lamina.emit import layout, notices, sbom
from lamina.emit import manifest as manifests
from lamina.emit.dedupe import linked
from lamina.errors import StaleLockError
from lamina.findings import Finding
from lamina.layer import Layer, assemble, shipped_by_package
from lamina.lock import Lock, canonical, required
from lamina.overlay import Generated
from lamina.part.compress import libdeflate, smallest
from lamina.part.model import PLAIN, EntryPoint, Facts, Index
from lamina.part.scan import scan
from lamina.plan import Plan
from lamina.project import Order
from lamina.prune.decide import decide
from lamina.prune.model import Decision
from lamina.prune.references import PROOF, Package
from lamina.prune.untraced import RULE as UNTRACED
from lamina.prune.untraced import Touched
from lamina.recipe import Recipe

#: Gives the bytecode that ships of parts in a layer that has none yet.
Compile = Callable[[Sequence[tuple[Index, Facts]], Layer], Choice]
#: Gives the same layer of entries that were compressed again, and the names of their data.
Shrink = Callable[[Sequence[tuple[Index, Facts]], Layer], tuple[Layer, Sequence[str]]]


class Decided(NamedTuple):
    """What a layer is put together from: parts, what was decided of each, and the files that are beside them."""

    order: Order
    overlay: Sequence[Generated]
    parts: Sequence[tuple[Index, Facts]]
    decisions: Sequence[Sequence[Decision]]


def make_plan(
    order: Order,
    overlay: Sequence[Generated],
    parts: Sequence[tuple[Index, Facts]],
    keys: Sequence[str],
    *,
    compiled: Compile | None = None,
    shrink: Shrink | None = None,
    traced: AbstractSet[str] = frozenset(),
) -> tuple[Plan, list[list[Decision]], Choice]:
    """Decide what ships of the parts, merge it, and lay out the zip and what stands beside it.

    ``keys`` are the parts' names in the store, in the same order. ``compiled`` gives the bytecode of a layer, and
    ``shrink`` its entries compressed again, where the recipe asks for either. ``traced`` are the layer paths that a
    trace touched. The plan's digest is empty: only writing tells it.
    """
    recipe, target = order.recipe, order.target
    _check_complete(order, parts)
    decisions = decide(parts, recipe.prune, _own(recipe, overlay), Touched(traced, recipe.name))
    shipping = [
        part
        for part, said in zip(parts, decisions, strict=True)
        if sum(decision.dropped for decision in said) < len(part[0].entries)
    ]
    texts = notices.render(shipping)
    decided = Decided(order, overlay, parts, decisions)
    plain = _assembled(decided, texts)
    bare = _linked(decided, plain)
    chosen = Choice(()) if compiled is None else compiled(parts, bare)
    layer = layer_of(decided, texts, chosen) if chosen.picks else bare
    sizes = shipped_by_package(parts, layer)
    plan = Plan(
        blueprint=layout.draw(layer, keys, libdeflate)
        if shrink is None
        else layout.draw(*shrink(parts, layer), smallest),
        sha256="",
        unzipped_bytes=layer.unzipped_bytes,
        entries=layer.files,
        packages=tuple(
            manifests.Package(index.name, index.version, index.wheel, index.wheel_sha256, *sizes[index.name])
            for index, _ in parts
        ),
        bytecode=_bytecode(chosen),
        findings=(*layer.findings, *check_metadata(parts, decisions), *_audited(order, parts, plain)),
        notes=(
            *_idle_omits(order),
            *_notes(parts, layer),
            *_untraced_notes(decisions),
            *_bytecode_notes(chosen),
            *_link_notes(layer),
        ),
        sbom=sbom.render(recipe.name, recipe.description, target.name, shipping),
        notices=texts,
    )
    return plan, decisions, chosen


def layer_artefact(decided: Decided) -> Artefact:
    """The layer that was planned so, as checks judge it; its notices, which no check reads, are left empty."""
    return artefact_of(decided.order.name, decided.parts, _assembled(decided, b""))


def layer_of(decided: Decided, texts: bytes, chosen: Choice) -> Layer:
    """The layer that was planned so, as it ships, with the notices ``texts`` and the bytecode that was chosen."""
    return _linked(decided, _assembled(decided, texts, chosen))


def composing_findings(decided: Decided) -> tuple[Finding, ...]:
    """What putting the layer together found, whatever it stands in: conflicts, and metadata that is gone."""
    layer = _assembled(decided, b"")
    return (*layer.findings, *check_metadata(decided.parts, decided.decisions))


def _assembled(decided: Decided, texts: bytes, chosen: Choice | None = None) -> Layer:
    order = decided.order
    return assemble(
        decided.parts,
        decided.decisions,
        interpreter=order.target.runtime.interpreter,
        overlay=decided.overlay,
        notices=Generated(f"licenses/{order.recipe.name}.txt", texts, PLAIN, "lamina"),
        trim=order.recipe.native.trim,
        bytecode=[] if chosen is None else [[(one.key, one.entries) for one in forms] for forms in chosen.picks],
        replaced=frozenset() if chosen is None else chosen.replaced,
    )


def _linked(decided: Decided, layer: Layer) -> Layer:
    """The layer as it ships. What is audited is the one before: the loader takes a link for a file where it stands."""
    return linked(layer, decided.parts) if decided.order.recipe.emit.dedupe else layer


def _audited(order: Order, parts: Sequence[tuple[Index, Facts]], layer: Layer) -> tuple[Finding, ...]:
    """What ``lamina audit`` would find in the layer."""
    [found] = check([artefact_of(order.name, parts, layer)], order.target, provided=order.recipe.provided, built=True)
    return found


def _own(recipe: Recipe, overlay: Sequence[Generated]) -> Package:
    """What the project itself refers to: the code of its overlay, and what its proof imports."""
    inside = {file.path.removeprefix("python/"): file for file in overlay if file.path.startswith("python/")}
    return Package(
        name="the recipe",
        paths=frozenset(inside),
        sources={path: scan(file.content) for path, file in inside.items() if path.endswith(".py")},
        entry_points=tuple(EntryPoint(PROOF, name, name, "") for name in recipe.proof.imports),
    )


def _check_complete(order: Order, parts: Sequence[tuple[Index, Facts]]) -> None:
    """Hold the lock against what its wheels require of each other.

    Raises:
        StaleLockError: a wheel requires what the lock does not have, so the lock lost a line.
    """
    recipe = order.recipe
    there = _locked(order.lock).union(map(canonical, recipe.provided))
    for index, facts in parts:
        stated = [value for key, value in facts.metadata if key.lower() == "requires-dist"]
        for name in required(stated, order.target):
            if name not in there:
                raise StaleLockError(
                    f"{order.project.shown(order.lock_path)}: has no wheel of {name}, which {index.wheel} requires",
                    hint=f"Renew it: lamina lock {recipe.name}",
                )


def _locked(lock: Lock) -> frozenset[str]:
    """The names of all that a lock holds."""
    return frozenset(wheel.name for wheel in lock.wheels) | {source.name for source in lock.sources}


def _idle_omits(order: Order) -> Iterator[str]:
    """Packages that the recipe omits and nothing requires: a typing error, or a requirement that has gone."""
    locked = _locked(order.lock)
    for omit in order.recipe.omit:
        if canonical(omit.name) not in locked:
            yield f"omit: {omit.name} is not in the lock for {order.target.name}, so there is nothing to omit"


def _notes(parts: Sequence[tuple[Index, Facts]], layer: Layer) -> Iterator[str]:
    """What is worth knowing and no finding: an empty layer; ``.pth`` files, which Lambda evaluates."""
    if not parts:
        yield "no wheel is locked for this target: the layer holds no package"
    for (index, facts), pick in zip(parts, layer.picks, strict=True):
        for entry in pick:
            if entry.path.endswith(".pth") and entry.path.count("/") == 1:
                source = facts.sources.get(entry.path)
                kind = "runs code" if source is None or source.imports else "adds folders to sys.path"
                yield f"{entry.path} of {index.name} {kind} at start-up; Lambda evaluates it in /opt/python"


def _bytecode(chosen: Choice) -> manifests.Bytecode | None:
    """What the manifest says of it."""
    entries = [entry for forms in chosen.picks for form in forms for entry in form.entries]
    return manifests.Bytecode(chosen.compiler, len(entries), sum(entry.size for entry in entries)) if entries else None


def _untraced_notes(decisions: Sequence[Sequence[Decision]]) -> Iterator[str]:
    """What rests on a trace is never dropped in silence."""
    gone = [one.size for said in decisions for one in said if one.dropped and one.rule == UNTRACED]
    if gone:
        files = f"{len(gone):,} file{'s' * (len(gone) != 1)}"
        yield (
            f"prune.untraced: {files}, {sum(gone):,} bytes, left out, as no trace touched them; that nothing of that "
            "is missed is what the proofs tell, and nothing else"
        )


def _bytecode_notes(chosen: Choice) -> Iterator[str]:
    """What has no bytecode, though it should: what else had no room, ``lamina explain`` tells."""
    if chosen.lacking:
        yield (
            f"bytecode: the budget leaves no room for {chosen.lacking:,} of the modules that the proof loads; "
            "they are compiled at each cold start"
        )
    if chosen.failed:
        more = f" and {len(chosen.failed) - 1:,} more" if len(chosen.failed) > 1 else ""
        yield f"bytecode: {chosen.failed[0]}{more} of the sources do not compile, and ship without"


def _link_notes(layer: Layer) -> Iterator[str]:
    """That the zip holds links, which not everything unpacks as such."""
    links = [link for links in layer.links for link in links]
    if links:
        saved = sum(link.entry.size for link in links)
        yield (
            f"dedupe: links in place of identical files: {len(links):,}, {saved:,} bytes less; unpack the zip "
            "with unzip, not with Python's zipfile, which writes links as small text files"
        )
