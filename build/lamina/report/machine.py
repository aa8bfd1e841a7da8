"""What commands print with ``--json``, as types, and the JSON schema that is shipped for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from lamina import trace
from lamina.audit.owners import Owners
from lamina.emit.manifest import Manifest, Proof
from lamina.findings import Finding
from lamina.prune.model import Saving, Thing
from lamina.target import Target

if TYPE_CHECKING:
    from lamina.audit.model import Artefact


class FunctionBuild(msgspec.Struct, frozen=True):
    """The function beside a layer. ``artefact`` is the zip's path, null where an error forbade one.

    ``withheld`` tells that the error is the layer's.
    """

    artefact: str | None
    manifest: Manifest
    withheld: bool = False


class ImageBuild(msgspec.Struct, frozen=True):
    """``lamina image``: one target. ``artefact`` is the archive's path, null where a finding forbade one.

    ``loaded`` is the name under which a running engine has it, ``pushed`` that in a registry; each empty where it was
    not handed there. ``pushed_bytes`` are those of the blobs that the registry did not have.
    """

    artefact: str | None
    warm: bool
    notes: tuple[str, ...]
    manifest: Manifest
    loaded: str = ""
    pushed: str = ""
    pushed_bytes: int = 0


class Build(msgspec.Struct, frozen=True):
    """``lamina build``: one target. ``artefact`` is the zip's path, null where a finding forbade one.

    ``function`` and ``image`` are null where the recipe's artefacts name none. Where they name nothing but an image,
    ``artefact`` and ``manifest`` are the image's.
    """

    artefact: str | None
    warm: bool
    notes: tuple[str, ...]
    manifest: Manifest
    savings: tuple[Saving, ...] = ()
    function: FunctionBuild | None = None
    image: ImageBuild | None = None


class Placed(Finding, frozen=True):
    """A finding, and the package that its path belongs to; empty for the artefact itself."""

    package: str = ""


class Audited(msgspec.Struct, frozen=True):
    """One artefact that was audited. Sizes are bytes; ``zipped_bytes`` is null for a folder."""

    name: str
    kind: str
    zipped_bytes: int | None
    unzipped_bytes: int
    entries: int
    findings: tuple[Placed, ...]


class Audit(msgspec.Struct, frozen=True):
    """``lamina audit``: the artefacts, and in ``stack`` what was found on all of them together."""

    target: str
    runtime: str
    architecture: str
    artefacts: tuple[Audited, ...]
    stack: tuple[Placed, ...] = ()


class Proven(msgspec.Struct, frozen=True):
    """``lamina prove``: one target. ``passed`` tells that every proof did; ``notes`` are sentences."""

    name: str
    target: str
    passed: bool
    proofs: tuple[Proof, ...]
    notes: tuple[str, ...] = ()


class Trace(msgspec.Struct, frozen=True):
    """``lamina trace``: one target. ``path`` is the file that holds the trace.

    ``changed`` tells that what was traced is not what the file held. It is null, and so is ``traced``, where a proof
    failed; then the file is as it was.
    """

    name: str
    target: str
    path: str
    passed: bool
    changed: bool | None
    traced: trace.Traced | None
    proofs: tuple[Proof, ...]
    notes: tuple[str, ...] = ()


class Lock(msgspec.Struct, frozen=True):
    """``lamina lock``: one target. ``changes``, ``held_back`` and ``notes`` are sentences.

    ``taken`` counts the files of the base image, whose digest ``image`` is; empty where there are none.
    """

    path: str
    written: bool
    wheels: int
    fetch_bytes: int
    changes: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    taken: int = 0
    image: str = ""


class Decided(msgspec.Struct, frozen=True):
    """One file that a rule or the recipe spoke of. ``bytes`` is its unpacked size."""

    path: str
    bytes: int
    rule: str
    dropped: bool
    reason: str


class Explain(msgspec.Struct, frozen=True):
    """``lamina explain``: one package for one target; files that are not listed ship because nothing spoke of them.

    ``largest_kept`` and ``largest_dropped`` are those of the ten largest things of the whole layer that are of this
    package; both are empty where a path was asked for. ``trimmed_bytes`` is what its native files that ship, or those
    of them at the path, ship smaller by, ``linked_bytes`` what of them ships as links to identical files.
    """

    target: str
    package: str
    version: str
    decisions: tuple[Decided, ...]
    largest_kept: tuple[Thing, ...] = ()
    largest_dropped: tuple[Thing, ...] = ()
    trimmed_bytes: int = 0
    linked_bytes: int = 0


class Kind(msgspec.Struct, frozen=True):
    """One kind of entry in the store."""

    kind: str
    files: int
    bytes: int


class Cache(msgspec.Struct, frozen=True):
    """``lamina cache info``."""

    root: str
    kinds: tuple[Kind, ...]


def audit(judged: Iterable[tuple[Artefact, Sequence[Finding]]], stack: Iterable[Finding], target: Target) -> Audit:
    """The result of an audit, each finding with its package."""
    artefacts = []
    for artefact, found in judged:
        owner = Owners(artefact).of
        artefacts.append(
            Audited(
                name=artefact.name,
                kind=artefact.kind,
                zipped_bytes=artefact.zipped,
                unzipped_bytes=artefact.unzipped,
                entries=sum(item.kind != "folder" for item in artefact.items),
                findings=tuple(_placed(finding, owner(finding.path)) for finding in found),
            )
        )
    return Audit(
        target=target.name,
        runtime=target.runtime.name,
        architecture=target.lambda_architecture,
        artefacts=tuple(artefacts),
        stack=tuple(_placed(finding, "") for finding in stack),
    )


def _placed(finding: Finding, package: str) -> Placed:
    return Placed(**msgspec.structs.asdict(finding), package=package)


def render(value: object) -> str:
    """The JSON text of one of these, or of a list of them."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def schema() -> dict[str, Any]:
    """One schema for all commands: ``properties`` names each command's output."""
    from lamina.prove.trial import Trial  # a build prints none of these
    from lamina.report.diff import Difference
    from lamina.report.layer.model import Report

    types = {
        "build": list[Build],
        "image": list[ImageBuild],
        "audit": Audit,
        "prove": list[Proven],
        "invoke": list[Trial],
        "trace": list[Trace],
        "lock": list[Lock],
        "explain": list[Explain],
        "cache info": Cache,
        "diff": Difference,
        "report": list[Report],
    }
    shapes, definitions = msgspec.json.schema_components(types.values(), ref_template="#/$defs/{name}")
    described = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Output of lamina --json",
        "description": "Each property describes what the command of that name prints.",
        "type": "object",
        "properties": dict(zip(types, shapes, strict=True)),
        "$defs": definitions,
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described))  # as it is read back: no tuples
    return plain
