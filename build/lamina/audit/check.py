"""artefacts → findings: every check, over everything that one function will hold together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lamina.audit.abi import check_abi
from lamina.audit.imports import check_imports
from lamina.audit.layout import check_layout, check_modes
from lamina.audit.libraries import check_libraries
from lamina.audit.model import Artefact
from lamina.audit.modules import Modules
from lamina.audit.needs import check_needs
from lamina.audit.platform import check_platform
from lamina.audit.stripped import check_stripped
from lamina.audit.versions import check_versions
from lamina.audit.world import world_of
from lamina.findings import Finding
from lamina.target import Target


def check(
    artefacts: Sequence[Artefact],
    target: Target,
    *,
    provided: Sequence[str] = (),
    built: bool = False,
    last: int | None = None,
) -> tuple[tuple[Finding, ...], ...]:
    """The findings on each artefact, in the order of ``artefacts``, which stand together in one function.

    With ``last`` only the last so many are judged, beside the others.

    ``provided`` are packages that the runtime has beside those that every one has. Of a layer that is being ``built``,
    :func:`lamina.audit.metadata.check_metadata` tells what metadata is gone; it knows why.
    """
    world = world_of(artefacts, target)
    modules = Modules(artefacts, target, provided)

    def of(artefact: Artefact) -> Iterator[Finding]:
        yield from artefact.findings
        yield from check_layout(artefact, target)
        if artefact.kind != "wheel":  # installers take only the executable bit from a wheel, and the rest from umask
            yield from check_modes(artefact)
        yield from check_platform(artefact, world)
        yield from check_abi(artefact, world)
        yield from check_versions(artefact, world)
        yield from check_libraries(artefact, world)
        yield from check_needs(artefact, modules)
        yield from check_imports(artefact, modules)
        if not built:
            yield from check_stripped(artefact, modules)

    return tuple(tuple(of(artefact)) for artefact in artefacts[-last if last else 0 :])
