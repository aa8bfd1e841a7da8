"""What a report tells, as one frozen value. Texts are as wheels and manifests have them: renderers make them safe."""

from __future__ import annotations

from typing import Literal

import msgspec

from lamina.emit.manifest import Proof
from lamina.findings import Finding
from lamina.prove.import_times import ImportTimes
from lamina.prune.model import Thing
from lamina.report.diff import Difference

Kind = Literal["native", "bytecode", "python", "data", "metadata", "commands", "notices"]
#: What the files of a layer are, in the order in which they are drawn and told.
KINDS: tuple[Kind, ...] = ("native", "bytecode", "python", "data", "metadata", "commands", "notices")


class Slice(msgspec.Struct, frozen=True):
    """The files of one kind; ``bytes`` are unpacked."""

    kind: Kind
    files: int
    bytes: int


class RuleUse(msgspec.Struct, frozen=True):
    """What one rule, ``metadata``, ``keep``, ``drop`` or ``bytecode`` dropped, and what it had to leave. Bytes."""

    rule: str
    dropped_files: int
    dropped_bytes: int
    kept_files: int
    kept_bytes: int


class Veto(msgspec.Struct, frozen=True):
    """What a rule proposed to drop of one package and code that ships kept, by the reason."""

    package: str
    rule: str
    reason: str
    files: int
    bytes: int


class PackageReport(msgspec.Struct, frozen=True):
    """One package. ``shipped_bytes`` is the sum of its ``kinds``; ``licences`` are METADATA's, by ``licence_field``.

    ``modules`` counts its Python sources that ship, ``compiled`` the bytecode files; ``sources_kept`` says why sources
    ship where bytecode stands in the place of others. ``traced_files`` of what ships were touched by the proofs, as the
    trace has it; bytecode and its source are touched together.
    """

    name: str
    version: str
    shipped_bytes: int
    pruned_bytes: int
    trimmed_bytes: int
    bytecode_bytes: int
    kinds: tuple[Slice, ...]
    rules: tuple[RuleUse, ...] = ()
    licences: tuple[str, ...] = ()
    licence_field: str = ""
    modules: int = 0
    compiled: int = 0
    sources_kept: str = ""
    traced_files: int = 0
    traced_bytes: int = 0


class BytecodeReport(msgspec.Struct, frozen=True):
    """What ships as bytecode: by which CPython, how much, and what has none.

    ``left`` modules have none as the budget has no room for their ``left_bytes``; ``failed`` do not compile.
    """

    mode: str
    compiler: str
    files: int
    bytes: int
    left: int
    left_bytes: int
    failed: tuple[str, ...]


class TraceReport(msgspec.Struct, frozen=True):
    """What the proofs touch of what ships, by the trace. ``stale`` tells that it was made with another lock. Bytes."""

    files: int
    bytes: int
    stale: bool


class Share(msgspec.Struct, frozen=True):
    """What counts against the quota: this layer first, then what shares the function with it. Bytes."""

    label: str
    bytes: int


class Budget(msgspec.Struct, frozen=True):
    """The function's bytes against the recipe's budget and Lambda's quota."""

    shares: tuple[Share, ...]
    warn: int
    limit: int
    quota: int

    @property
    def total(self) -> int:
        """All that shares the function, in bytes."""
        return sum(share.bytes for share in self.shares)


class ArtefactReport(msgspec.Struct, frozen=True):
    """What was emitted, as its manifest has it; ``sha256`` is null where errors forbade it.

    ``proofs`` are those that ran with the layer as it is now.
    """

    name: str
    sha256: str | None
    zipped_bytes: int
    unzipped_bytes: int
    entries: int
    findings: tuple[Finding, ...]
    proofs: tuple[Proof, ...]


class Report(msgspec.Struct, frozen=True):
    """``lamina report``: one recipe and target. Bytes are unpacked.

    ``packages`` are sorted by what ships of them; ``rest`` is what belongs to none: overlay, notices. ``prove`` and
    ``trace`` are the commands for that. ``imports`` is null where they were not to be measured, ``changes`` where
    nothing was compared, ``traced`` where there is no trace for the target.
    """

    name: str
    description: str
    target: str
    runtime: str
    architecture: str
    lamina_version: str
    artefacts: tuple[ArtefactReport, ...]
    budget: Budget
    packages: tuple[PackageReport, ...]
    rest: tuple[Slice, ...]
    rules: tuple[RuleUse, ...]
    vetoes: tuple[Veto, ...]
    largest_kept: tuple[Thing, ...]
    largest_dropped: tuple[Thing, ...]
    bytecode: BytecodeReport
    prove: str
    trace: str
    notes: tuple[str, ...] = ()
    imports: ImportTimes | None = None
    changes: Difference | None = None
    traced: TraceReport | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all artefacts."""
        return tuple(finding for artefact in self.artefacts for finding in artefact.findings)

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Of all artefacts."""
        return tuple(proof for artefact in self.artefacts for proof in artefact.proofs)

    @property
    def made(self) -> bool:
        """Whether everything that was asked for is there."""
        return all(artefact.sha256 is not None for artefact in self.artefacts)

    def verdict(self) -> tuple[Literal["good", "warning", "bad"], str]:
        """How it stands, as a word for colours and as a sentence."""
        errors = sum(one.severity == "error" and not one.accepted for one in self.findings)
        warnings = sum(one.severity == "warning" and not one.accepted for one in self.findings)
        failed = sum(not proof.passed for proof in self.proofs)
        if not self.made or errors:
            return "bad", f"not built: {_count(errors, 'error')}"
        if failed:
            return "bad", f"built, but {failed:,} of {_count(len(self.proofs), 'proof')} failed"
        proven = f"{_count(len(self.proofs), 'proof')} passed" if self.proofs else "not proven yet"
        if warnings:
            return "warning", f"built, with {_count(warnings, 'warning')}; {proven}"
        return ("good" if self.proofs else "warning"), f"built; {proven}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
