"""Why there is no resolution: which requirement, which wheels exist, and what would work."""

from __future__ import annotations

import itertools
import re
import textwrap
from typing import TYPE_CHECKING

from lamina.errors import ResolutionError
from lamina.lock import canonical
from lamina.resolve.fit import Fit, admitted, final, glibc_of
from lamina.resolve.model import Answer, Refusal
from lamina.target import runtimes, target_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.version import Version

    from lamina.index.model import IndexFile
    from lamina.resolve.settle import Settler

#: Lines of uv's explanation that are shown. Longer ones repeat themselves.
_SHOWN = 14

#: Versions that are shown of a list of them.
_FOLDED = 4

_PLATFORMS = {
    "any": "every platform",
    "linux": "Linux without a stated glibc",
    "macosx": "macOS",
    "musllinux": "Linux with musl",
    "win": "Windows",
}

#: How uv and pip name packages that it could not have at all.
_MENTIONED = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*?)(?:\[[^\]]*\])?(?:[=<>!~]\S*)? "
    r"(?:was not found in|has no wheels|have no wheels|has no usable|have no usable|has no available|have no available)"
    r"|(?:there are no versions of|No matching distribution found for) ([A-Za-z0-9][A-Za-z0-9._-]*)"
)


def explain(settler: Settler, refusal: Refusal, shut_out: Mapping[str, str]) -> ResolutionError:
    """The error for a refusal, as exact as the index allows: a single impossible requirement, or a conflict."""
    target = settler.target
    said = " ".join(refusal.text.split())
    mentioned = [canonical(found[1] or found[2]) for found in _MENTIONED.finditer(said)]
    problems = _problems(settler, settler.requirements) or _problems(settler, dict.fromkeys((*mentioned, *shut_out)))
    if problems:
        message = "\n".join([f"nothing can be resolved for {target.name}:", *(problem for problem, _ in problems)])
        return ResolutionError(message, hint="\n".join(hint for _, hint in problems if hint))
    if settler.provided and isinstance(settler.resolver.ask(settler.question({}, shut_out, provided=False)), Answer):
        return _against_provided(settler, refusal, shut_out)
    message = f"the requirements contradict each other for {target.name}:\n{_said(settler, refusal, shut_out)}"
    return ResolutionError(message, hint="Loosen one of the requirements or constraints named there.")


def _problems(settler: Settler, names: Iterable[str]) -> list[tuple[str, str]]:
    asked = [name for name in names if name not in settler.local]
    settler.prefetch(asked)
    return [problem for name in asked if (problem := _impossible(settler, name)) is not None]


def _against_provided(settler: Settler, refusal: Refusal, shut_out: Mapping[str, str]) -> ResolutionError:
    """The error where only what the runtime provides stands in the way.

    uv is asked once more with nothing but the newest of it: it then names the one limit that matters, rather than those
    of a thousand old versions.
    """
    newest = {name: f"{name}>={version}" for name in settler.provided if (version := settler.newest(name)) is not None}
    shorter = settler.resolver.ask(settler.question({}, {**newest, **shut_out}))
    said = _said(settler, shorter if isinstance(shorter, Refusal) else refusal, shut_out)
    names = ", ".join(sorted(settler.provided))
    hint = (
        "Loosen the requirement named there. Or ship copies of your own: leave the package out of `provided`\n"
        "(provided = [] for none), and add it to `requirements` if your code imports it."
    )
    return ResolutionError(f"the requirements do not go with what the runtime provides ({names}):\n{said}", hint=hint)


def _impossible(settler: Settler, name: str) -> tuple[str, str] | None:
    """Problem and way out, if this package alone makes a resolution impossible."""
    project = settler.client.project(name)
    stated = _stated(settler, name)
    if not project.found:
        return _unknown(settler, name, stated)
    table = settler.releases(name)
    allowed = admitted(list(table), settler.limits(name))
    if not table:
        return f"  {stated}: the index has no files of this project", ""
    if not allowed:
        newest = (final(table) or list(table))[-1]
        fitting = _fitting(settler.fit, table)
        hint = f"{name}: {_ranges(fitting)} for this target." if fitting else ""
        return f"  {stated}: no version fits; the newest is {newest}", hint
    if any(settler.fits(name, str(version)) for version in allowed):
        return None
    shown = max((version for version in allowed if table[version]), default=None)
    if shown is None:
        message = f"  {stated}: there are only source distributions, and with the builder uv lamina builds none"
        hint = (
            f"{name}: build a wheel of it for the target, and put it into a folder that find-links names. Or have it "
            'built inside the base image: [builder] kind = "docker".'
        )
        fitting = _fitting(settler.fit, table)
        if fitting:
            hint = f"{name}: {_ranges(fitting)} for this target.\n{hint}"
        return message, hint
    return f"  {stated}: no wheel for the target; {_offer(shown, table[shown])}", _ways_out(
        settler, name, table, allowed
    )


def _unknown(settler: Settler, name: str, stated: str) -> tuple[str, str]:
    own = settler.client.indexes.serving(name)
    if own is None:
        hint = f"{name}: check the spelling; if it is on an index of your own, name that in UV_INDEX."
        return f"  {stated}: no index has a project of this name", hint
    hint = f"{name}: take it out of that index's packages in the recipe, or let {own.variable} name another index."
    return f"  {stated}: the index {own.name}, which alone serves it, has no project of this name", hint


def _stated(settler: Settler, name: str) -> str:
    """The requirement as the recipe has it, else the name alone."""
    stated = [str(one) for one in (*settler.requirements.get(name, ()), *settler.constraints.get(name, ()))]
    return " with ".join(stated) or name


def _ways_out(settler: Settler, name: str, table: dict[Version, list[IndexFile]], allowed: Sequence[Version]) -> str:
    """Other versions for this target, and other targets for these versions."""
    lines = []
    fitting = _fitting(settler.fit, table)
    if fitting:
        lines.append(f"{name}: {_ranges(fitting)} for this target.")
    targets = _other_targets(settler, [table[version] for version in allowed])
    if targets:
        stated = f'python = "{targets[-1]}", architecture = "{settler.target.architecture}"'
        lines.append(f"{name}: what is required has wheels for {', '.join(targets)} ({stated}).")
    if not lines:
        lines.append(f"{name}: no version has a wheel for a Lambda runtime on {settler.target.architecture}.")
    return "\n".join(lines)


def _fitting(fit: Fit, table: dict[Version, list[IndexFile]]) -> list[Version]:
    return [version for version in final(table) if fit.best(table[version])]


def _ranges(versions: Sequence[Version]) -> str:
    """The oldest and the newest of some versions, and that they have wheels."""
    if len(versions) == 1:
        return f"{versions[0]} has a wheel"
    return f"{versions[0]} to {versions[-1]} have wheels"


def _other_targets(settler: Settler, releases: Sequence[Sequence[IndexFile]]) -> list[str]:
    """Pythons whose runtimes, on the same architecture, load a wheel of one of these versions."""
    found = []
    for runtime in runtimes():
        target = target_for(runtime.abi, architecture=settler.target.architecture)
        fit = Fit(target)
        if target.name != settler.target.name and any(fit.best(files) for files in releases):
            found.append(target.python)
    return found


def _offer(version: Version, files: Sequence[IndexFile]) -> str:
    """For which Pythons and platforms a version has wheels."""
    pythons = sorted({_python(file) for file in files}, key=lambda text: (*map(int, re.findall(r"\d+", text)), text))
    platforms = sorted({platform for file in files for platform in _platforms(file)})
    return f"{version} has wheels for {', '.join(pythons)} on {', '.join(platforms)}"


def _python(file: IndexFile) -> str:
    """A wheel's Python: ``cp39`` (written so that it sorts before cp310), ``cp37 and newer``, ``cp313t``."""
    python, abi, _ = file.tags[0].split("-")
    if abi == "abi3":
        return f"{python} and newer"
    return python + ("t" if abi.endswith("t") else "")


def _platforms(file: IndexFile) -> Iterable[str]:
    """A wheel's platforms in words; of several glibc versions the least."""
    least: dict[str, tuple[int, int]] = {}
    for tag in file.tags:
        platform = tag.rpartition("-")[2]
        linux = re.fullmatch(r"manylinux(?:\d+|_\d+_\d+)_(\w+)", platform)
        needed = glibc_of(platform, linux[1]) if linux else None
        if linux and needed is not None:
            least[linux[1]] = min(needed, least.get(linux[1], needed))
        else:
            yield next((words for start, words in _PLATFORMS.items() if platform.startswith(start)), platform)
    for architecture, (major, minor) in least.items():
        yield f"Linux {architecture} with glibc {major}.{minor}"


def _said(settler: Settler, refusal: Refusal, shut_out: Mapping[str, str]) -> str:
    """Explanation of uv's without its banner, its hints on its own options, and its markers; shortened."""
    text = re.sub(r"\{[^}]*\}", "", re.split(r"cause:|╰─▶", refusal.text, maxsplit=1)[-1])  # the latter before uv 0.12
    text = re.split(r"\n\s*hint:", text, maxsplit=1)[0]
    lines = _folded([line.strip() for line in text.splitlines() if line.strip()])
    if len(lines) > _SHOWN:
        lines = [*lines[: _SHOWN - 1], "(and so on)"]
    lines += [f"({limit})" for name in sorted(shut_out) if name in text and (limit := _limit(settler, name))]
    return textwrap.indent("\n".join(lines), "  ")


def _folded(lines: Sequence[str]) -> list[str]:
    """Lines that list versions of one package, one a line, as a single line."""
    folded: list[str] = []
    for name, group in itertools.groupby(lines, key=_listed_name):
        found = list(group)
        if not name or len(found) == 1:
            folded += found
        else:
            several = [line.removeprefix(name) for line in found]
            more = f" and {len(several) - _FOLDED} more" if len(several) > _FOLDED else ""
            folded.append(f"{name}: {'; '.join(several[:_FOLDED])}{more}")
    return folded


def _listed_name(line: str) -> str:
    found = re.fullmatch(r"([A-Za-z0-9._-]+)(?:[<>=!~]\S*)", line)
    return found[1] if found else ""


def _limit(settler: Settler, name: str) -> str:
    """What the target's glibc leaves of a package."""
    table = settler.releases(name)
    newest = settler.newest(name)
    above = [settler.fit.needs(table[version]) for version in final(table) if newest is None or version > newest]
    needed = min((glibc for glibc in above if glibc is not None), default=None)
    if newest is None or needed is None:
        return ""
    return f"{name} {newest} is the newest for this target; newer ones need glibc {needed[0]}.{needed[1]}"
