"""What is held back: newer versions that the platform or the Python of the target excludes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from lamina.resolve.fit import final
from lamina.resolve.model import Answer
from lamina.resolve.uv import KNOWN_GLIBC, platform_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lamina.index.model import IndexFile
    from lamina.resolve.settle import Settled, Settler


def held_back(settler: Settler, settled: Settled) -> tuple[str, ...]:
    """A line for each package that ships and of which the target excludes a newer version.

    ``numpy 2.2.6 (2.4.6 needs glibc 2.27; 2.5.5 has no cp311 wheel)``. What requirements exclude is not told: that is
    found by resolving once more under the highest platform, where only the platform's exclusions fall.
    """
    unbound = _unbound(settler, settled)
    lines = []
    for name in settled.shipped:
        locked = Version(settled.versions[name])
        reasons = [*_by_glibc(settler, name, locked, unbound), *_by_python(settler, name, locked, unbound)]
        if reasons:
            lines.append(f"{name} {locked} ({'; '.join(reasons)})")
    return tuple(lines)


def _unbound(settler: Settler, settled: Settled) -> Mapping[str, str]:
    """The versions that would be chosen if the target had the newest glibc; empty if that makes no difference."""
    if not any(_glibc_excludes(settler, name, settled.versions[name]) for name in settled.shipped):
        return {}
    platform = platform_for(settler.target, (2, KNOWN_GLIBC[-1]))
    answer = settler.resolver.ask(settler.question({}, {}, platform=platform))
    return answer.versions if isinstance(answer, Answer) else {}


def _glibc_excludes(settler: Settler, name: str, version: str) -> bool:
    """Whether there is any newer version of which nothing but glibc excludes a wheel."""
    table = settler.releases(name)
    newer = (one for one in final(table) if one > Version(version))
    return any(settler.fit.best(table[one]) is None and settler.fit.needs(table[one]) is not None for one in newer)


def _by_glibc(settler: Settler, name: str, locked: Version, unbound: Mapping[str, str]) -> list[str]:
    would = Version(unbound.get(name, str(locked)))
    files = settler.releases(name).get(would, [])
    if would <= locked or settler.fit.best(files) is not None:
        return []
    needed = settler.fit.needs(files)
    if needed is None or needed <= settler.target.ceiling:
        return []
    runtime = settler.target.runtime
    has = f", which {runtime.name} has" if needed <= runtime.glibc else ""
    return [f"{would} needs glibc {needed[0]}.{needed[1]}{has}"]


def _by_python(settler: Settler, name: str, locked: Version, unbound: Mapping[str, str]) -> list[str]:
    """The newest version of all, where this Python has no wheel of it and has the newest that it can have."""
    table = settler.releases(name)
    have = max(locked, Version(unbound.get(name, str(locked))))
    releases = final(table)
    possible = [one for one in releases if settler.fit.needs(table[one]) is not None]
    newer = [one for one in releases if one > have and settler.limits(name).contains(one)]
    if not newer or (possible and possible[-1] > have):
        return []
    return [_why_not(settler, newer[-1], table[newer[-1]])]


def _why_not(settler: Settler, version: Version, files: Sequence[IndexFile]) -> str:
    """Why the target's Python has no wheel of a version."""
    target, fit = settler.target, settler.fit
    if not files:
        return f"{version} has no wheel"
    asks = next((file.requires_python for file in files if fit.glibc(file) is not None), None)
    if asks:
        return f"{version} asks for Python {asks}"
    if any(fit.interpreter_fits(file) and fit.python_fits(file) for file in files):
        return f"{version} has no {target.python} wheel for Linux on {target.architecture}"
    return f"{version} has no {target.python} wheel"
