"""For a package whose libraries cannot load: the newest version that would, as the index tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lamina.resolve.fit import Fit, final, releases
from lamina.target import target_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lamina.findings import Finding
    from lamina.index import IndexClient
    from lamina.target import Target

#: What another version, or another wheel of the same one, can mend.
_MENDED = frozenset(
    "windows-binary macos-binary wrong-architecture wrong-python-abi glibc-too-new libstdcxx-too-new".split()
)


def advise(
    findings: Sequence[Finding], owner: Callable[[str], str], client: IndexClient, target: Target
) -> tuple[Finding, ...]:
    """The findings, those of packages that the index knows with the newest version that would load in their hint.

    Raises:
        IndexAccessError: an index does not answer, or refuses.
    """
    # The bytes are judged against the runtime, so is what would load: a lower platform is the builder's own choice.
    fit = Fit(target_for(target.python, architecture=target.architecture))
    names = {owner(finding.path) for finding in findings if finding.code in _MENDED} - {""}
    told = {name: _newest(name, client, fit) for name in sorted(names)}

    def with_advice(finding: Finding) -> Finding:
        advice = told.get(owner(finding.path), "") if finding.code in _MENDED else ""
        return msgspec.structs.replace(finding, hint=f"{finding.hint}\n{advice}".strip()) if advice else finding

    return tuple(map(with_advice, findings))


def _newest(name: str, client: IndexClient, fit: Fit) -> str:
    """The sentence about one package; empty where the index has no such project."""
    table = releases(client.project(name))
    if not table:
        return ""
    best = next((file for version in reversed(final(table)) if (file := fit.best(table[version])) is not None), None)
    runtime = fit.target.runtime.name
    if best is None:
        return f"The index has no version of {name} with a wheel for {runtime} on {fit.target.lambda_architecture}."
    return f"The newest version that would load on {runtime}: {name} {best.version} ({best.filename})."
