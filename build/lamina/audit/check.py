"""artefacts → findings: every check, over everything that one function will hold together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lamina.audit.abi import check_abi
from lamina.audit.libraries import check_libraries
from lamina.audit.model import Artefact
from lamina.audit.platform import check_platform
from lamina.audit.versions import check_versions
from lamina.audit.world import world_of
from lamina.findings import Finding
from lamina.target import Target


def check(
    artefacts: Sequence[Artefact], target: Target, *, provided: Sequence[str] = ()
) -> tuple[tuple[Finding, ...], ...]:
    """The findings on each artefact, in the order of ``artefacts``, which stand together in one function.

    ``provided`` are packages that the runtime has beside those that every one has.
    """
    world = world_of(artefacts, target)

    def of(artefact: Artefact) -> Iterator[Finding]:
        yield from artefact.findings
        yield from check_platform(artefact, world)
        yield from check_abi(artefact, world)
        yield from check_versions(artefact, world)
        yield from check_libraries(artefact, world)

    return tuple(tuple(of(artefact)) for artefact in artefacts)
