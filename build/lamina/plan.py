"""The plan of a layer, as a value: everything that its artefacts are written from."""

from __future__ import annotations

import msgspec

from lamina.emit import manifest as manifests
from lamina.emit import zip as zips
from lamina.findings import Finding

#: Counted up with every change of what a plan holds or how it is made.
FORMAT = 17


class Plan(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a layer: everything that its artefacts are written from, and their digest."""

    blueprint: zips.Blueprint
    sha256: str
    unzipped_bytes: int
    entries: int
    packages: tuple[manifests.Package, ...]
    bytecode: manifests.Bytecode | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    sbom: bytes
    notices: bytes
