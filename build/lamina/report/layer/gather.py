"""Plan, manifests and measures → report: figures are added up here, and nowhere else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from lamina.bytecode.model import Choice
from lamina.emit import stated
from lamina.emit.manifest import Manifest, Proof
from lamina.emit.manifest import Package as Stated
from lamina.layer import Layer
from lamina.part.model import Entry, Facts, Index
from lamina.prove.import_times import ImportTimes
from lamina.prune.model import Decision
from lamina.prune.rules import RULES
from lamina.recipe import Recipe
from lamina.report.diff import Difference
from lamina.report.explain import largest_dropped, largest_kept
from lamina.report.layer.kinds import kind_of
from lamina.report.layer.model import (
    KINDS,
    ArtefactReport,
    Budget,
    BytecodeReport,
    PackageReport,
    Report,
    RuleUse,
    Share,
    Slice,
    TraceReport,
    Veto,
)
from lamina.trace import Traced, stands_for

_MOST_VETOES = 10


class Planned(NamedTuple):
    """What was planned of one order: parts, what was decided of each, bytecode, the layer of that; its trace."""

    parts: Sequence[tuple[Index, Facts]]
    decisions: Sequence[Sequence[Decision]]
    chosen: Choice
    layer: Layer
    traced: Traced | None = None


def gather(
    recipe: Recipe,
    target: str,
    planned: Planned,
    emitted: Sequence[tuple[str, Manifest]],
    budget: Budget,
    *,
    notes: Sequence[str] = (),
    imports: ImportTimes | None = None,
    changes: Difference | None = None,
) -> Report:
    """The report of what ``emitted`` names: artefacts with their manifests, the layer or the image first."""
    indexes = [index for index, _ in planned.parts]
    said = planned.chosen.over(planned.decisions)
    manifest = emitted[0][1]
    bytecode = [entry for forms in planned.layer.bytecode for _, entries in forms for entry in entries]
    packages = _packages(planned, said, {package.name: package for package in manifest.packages})
    return Report(
        name=manifest.name,
        description=recipe.description,
        target=manifest.target,
        runtime=manifest.runtime,
        architecture=manifest.architecture,
        lamina_version=manifest.lamina_version,
        artefacts=tuple(_artefact(name, one, _of_layer(one, *emitted[0])) for name, one in emitted),
        budget=budget,
        packages=packages,
        rest=_slices(
            (file.path, file.kind, len(file.content))
            for file in planned.layer.generated
            if file.owner not in {index.wheel for index in indexes}
        ),
        rules=_rules(one for part in said for one in part),
        vetoes=_vetoes(indexes, said),
        largest_kept=tuple(largest_kept(_trimmed(indexes, recipe), said)),
        largest_dropped=tuple(largest_dropped(indexes, said)),
        bytecode=BytecodeReport(
            mode=recipe.bytecode.mode,
            compiler=planned.chosen.compiler,
            files=len(bytecode),
            bytes=sum(entry.size for entry in bytecode),
            left=planned.chosen.left,
            left_bytes=planned.chosen.left_bytes,
            failed=planned.chosen.failed,
        ),
        prove=f"lamina prove {recipe.name} --target {target}",
        trace=f"lamina trace {recipe.name} --target {target}",
        notes=tuple(notes),
        imports=imports,
        changes=changes,
        traced=None if planned.traced is None else _traced(packages, planned.traced, manifest),
    )


def budget_of(recipe: Recipe, layer: int, others: Iterable[tuple[str, int]], quota: int) -> Budget:
    """The budget of a function: ``layer`` is this layer's bytes, ``others`` are labels and bytes of what shares it."""
    shares = (Share("this layer", layer), *(Share(label, size) for label, size in others))
    return Budget(shares, recipe.budget.warn, recipe.budget.unzipped, quota)


def _of_layer(manifest: Manifest, layer: str, beside: Manifest) -> tuple[Proof, ...]:
    """The proofs of ``manifest`` that ran with the layer as it is: a function keeps its own when the layer changes."""
    stated = [(proof, proof.detail.rpartition(f"; with {layer}, sha256 ")) for proof in manifest.proofs]
    return tuple(proof for proof, (_, found, digest) in stated if not found or digest == beside.sha256)


def _artefact(name: str, manifest: Manifest, proofs: tuple[Proof, ...]) -> ArtefactReport:
    return ArtefactReport(
        name,
        manifest.sha256,
        manifest.zipped_bytes,
        manifest.unzipped_bytes,
        manifest.entries,
        manifest.findings,
        proofs,
    )


def _trimmed(indexes: Sequence[Index], recipe: Recipe) -> list[Index]:
    """The parts as they ship: without the smaller forms of native files where the recipe does not want those."""
    return [index if recipe.native.trim else msgspec.structs.replace(index, trimmed=()) for index in indexes]


def _packages(
    planned: Planned, said: Sequence[Sequence[Decision]], told: Mapping[str, Stated]
) -> tuple[PackageReport, ...]:
    """Every package, that of which most ships first."""
    made = []
    forms = planned.layer.bytecode or [()] * len(planned.parts)
    generated = defaultdict(list)
    for file in planned.layer.generated:
        generated[file.owner].append((file.path, file.kind, len(file.content)))
    kept = {one.path: one.reason for own in planned.chosen.sources for one in own if not one.dropped}
    touched = planned.traced.touched if planned.traced is not None else frozenset[str]()
    links = planned.layer.links or [()] * len(planned.parts)
    rows = zip(planned.parts, planned.layer.picks, said, forms, links, strict=True)
    for (index, facts), pick, own, pieces, gone in rows:
        compiled = [entry for _, more in pieces for entry in more]
        files = [(entry.path, entry.kind, entry.size) for entry in (*pick, *compiled)]
        files += [(link.entry.path, link.entry.kind, 0) for link in gone]  # which hold no bytes
        kinds = _slices([*files, *generated[index.wheel]])
        licence = stated.licence(facts.metadata)
        used = [entry.size for entry in (*pick, *compiled) if stands_for(entry.path) in touched]
        manifest = told.get(index.name)
        made.append(
            PackageReport(
                name=index.name,
                version=index.version,
                shipped_bytes=sum(one.bytes for one in kinds),
                pruned_bytes=manifest.pruned_bytes if manifest else 0,
                trimmed_bytes=manifest.trimmed_bytes if manifest else 0,
                bytecode_bytes=sum(entry.size for entry in compiled),
                kinds=kinds,
                rules=_rules(own),
                licences=licence.values,
                licence_field=licence.source,
                modules=sum(entry.path.endswith(".py") for entry in pick),
                compiled=len(compiled),
                sources_kept=_reason(pick, kept),
                traced_files=len(used),
                traced_bytes=sum(used),
            )
        )
    return tuple(sorted(made, key=lambda package: (-package.shipped_bytes, package.name)))


def _traced(packages: Iterable[PackageReport], traced: Traced, manifest: Manifest) -> TraceReport:
    figures = [(package.traced_files, package.traced_bytes) for package in packages]
    files, sizes = (sum(column) for column in zip(*figures, strict=True)) if figures else (0, 0)
    return TraceReport(files, sizes, traced.lock != manifest.lock_sha256)


def _reason(pick: Iterable[Entry], kept: Mapping[str, str]) -> str:
    return next((kept[entry.path] for entry in pick if entry.path in kept), "")


def _slices(files: Iterable[tuple[str, int, int]]) -> tuple[Slice, ...]:
    """Files, as path, kind of content and bytes, added up by kind."""
    counted: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for path, content, size in files:
        kind = kind_of(path, content)
        counted[kind] += 1
        sizes[kind] += size
    return tuple(Slice(kind, counted[kind], sizes[kind]) for kind in KINDS if counted[kind])


def _rules(said: Iterable[Decision]) -> tuple[RuleUse, ...]:
    """What each rule dropped and left, the one that dropped most first."""
    figures: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for one in said:
        at = 0 if one.dropped else 2
        figures[one.rule][at] += 1
        figures[one.rule][at + 1] += one.size
    uses = [RuleUse(rule, *numbers) for rule, numbers in figures.items()]
    return tuple(sorted(uses, key=lambda use: (-use.dropped_bytes, -use.kept_bytes, use.rule)))


def _vetoes(indexes: Sequence[Index], said: Sequence[Sequence[Decision]]) -> tuple[Veto, ...]:
    """The vetoes that keep most bytes."""
    files: Counter[tuple[str, str, str]] = Counter()
    sizes: Counter[tuple[str, str, str]] = Counter()
    for index, own in zip(indexes, said, strict=True):
        for one in own:
            if one.rule in RULES and not one.dropped:
                key = index.name, one.rule, one.reason
                files[key] += 1
                sizes[key] += one.size
    largest = sorted(sizes, key=lambda key: (-sizes[key], key))[:_MOST_VETOES]
    return tuple(Veto(*key, files[key], sizes[key]) for key in largest)
