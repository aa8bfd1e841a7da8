"""Targets: a CPython on a Lambda runtime, the wheels that load there, and the markers it answers with.

A target is always an argument. Nothing here asks the machine that builds what *it* is: no ``sys_tags``, no default
marker environment, no platform module. What is known of Lambda comes from :mod:`lamina.runtimes`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from lamina.runtimes import Architecture, Glibc, Quotas, Runtime, facts, quotas, runtimes

__all__ = [
    "Quotas",
    "Runtime",
    "Target",
    "TargetError",
    "has_own_base",
    "is_aws_base",
    "mistakes",
    "quotas",
    "runtimes",
    "target_for",
]


class TargetError(ValueError):
    """A target that does not exist. ``key`` is the recipe's key at fault: python, platform or architecture.

    The message says what is wrong and what to write, and names no file: the reader of the recipe knows the place.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Target(msgspec.Struct, frozen=True):
    """A CPython ABI and a wheel platform on a Lambda runtime. Made by :func:`target_for`.

    ``platform`` caps the choice of wheels and can be below what the runtime loads; ``architecture`` is spelled as in
    wheels (``x86_64``, ``aarch64``).
    """

    python: str
    platform: str
    architecture: str
    runtime: Runtime

    @property
    def name(self) -> str:
        """The target in names of files and on the command line: ``cp311-manylinux2014_x86_64``."""
        return f"{self.python}-{self.platform}"

    @property
    def lambda_architecture(self) -> str:
        """The architecture as Lambda spells it: ``x86_64`` or ``arm64``."""
        return _architecture(self.architecture).lambda_name

    @property
    def ceiling(self) -> Glibc:
        """The glibc that the platform caps the choice of wheels to: ``(2, 17)`` for manylinux2014."""
        return _glibc_of(self.platform.removesuffix(f"_{self.architecture}"))

    @property
    def base_image(self) -> str:
        """AWS's own base image of the runtime."""
        return f"{facts().base_images.repository}:{'{}.{}'.format(*self.runtime.python)}"

    def platforms(self) -> tuple[str, ...]:
        """Every accepted platform, highest first: the name of PEP 600, then its older name where there is one.

        ``linux_<arch>`` promises nothing of glibc and ``musllinux`` never loads on Lambda: neither is among them.
        """
        older = {version: policy for policy, version in facts().manylinux.aliases.items()}
        floor = _architecture(self.architecture).floor
        major, top = self.ceiling
        policies = []
        for minor in range(top, floor[1] - 1, -1):
            policies.append(f"manylinux_{major}_{minor}")
            policies.extend([older[major, minor]] if (major, minor) in older else [])
        return tuple(f"{policy}_{self.architecture}" for policy in policies)

    def tags(self) -> tuple[str, ...]:
        """Every wheel tag that the target accepts, best first: ``cp311-cp311-manylinux_2_17_x86_64`` and so on.

        The order is that of installers: the interpreter's own ABI, abi3, no ABI, older abi3 down to cp32, then
        ``py3``; in each, the platforms from the highest down. Of a compressed tag set one accepted tag is enough
        (PEP 425). Free-threaded and debug ABIs are never among them.
        """
        return _tags(self.runtime.python, self.platforms())

    def markers(self) -> dict[str, str]:
        """The environment in which environment markers are evaluated: every name of PEP 508 but ``extra``."""
        full = self.runtime.python_full_version
        return {
            **facts().markers.environment,
            "implementation_version": full,
            "platform_machine": self.architecture,
            "python_full_version": full,
            "python_version": "{}.{}".format(*self.runtime.python),
        }


def target_for(
    python: str, *, platform: str | None = None, architecture: str | None = None, own_base: bool = False
) -> Target:
    """Make the target of a recipe's ``python`` and either ``platform`` or ``architecture``.

    With ``architecture`` only, the platform is the highest that the runtime loads: ``manylinux_2_26_x86_64`` for
    cp311, ``manylinux_2_34_x86_64`` for cp313. ``arm64`` is accepted there for aarch64. With ``own_base`` the target is
    an image on a base that is not AWS's: its glibc, which only the base itself tells, may be above the runtime's.

    Raises:
        TargetError: what is stated names no runtime, no platform of Lambda, or one above what the runtime loads.
    """
    runtime = _runtime_named(python)
    stated = _stated(platform, architecture)
    if not stated.policy:
        policy = "manylinux_{}_{}".format(*runtime.glibc)
    elif _glibc_of(stated.policy) > runtime.glibc and not own_base:
        raise TargetError("platform", _too_new(runtime, stated))
    else:
        policy = stated.policy
    return Target(runtime.abi, f"{policy}_{stated.architecture}", stated.architecture, runtime)


def mistakes(
    python: str, *, platform: str | None = None, architecture: str | None = None, own_base: bool = False
) -> tuple[TargetError, ...]:
    """All that :func:`target_for` objects to, where it raises only the first; empty when the target exists."""
    found = []
    for check in (functools.partial(_runtime_named, python), functools.partial(_stated, platform, architecture)):
        try:
            check()
        except TargetError as error:
            found.append(error)
    if not found:  # only a platform that exists can be above a runtime that exists
        try:
            target_for(python, platform=platform, architecture=architecture, own_base=own_base)
        except TargetError as error:
            found.append(error)
    return tuple(found)


def is_aws_base(reference: str) -> bool:
    """Whether an image is one of AWS's own base images, of which the facts on the runtime hold."""
    repository = reference.partition("@")[0].rpartition("/")
    return f"{repository[0]}/{repository[2].partition(':')[0]}" == facts().base_images.repository


def has_own_base(artefacts: Collection[str], base: str | None) -> bool:
    """Whether a recipe makes only an image, on a base that is not AWS's: then that base's own glibc is the limit."""
    return set(artefacts) == {"image"} and base is not None and not is_aws_base(base)


@functools.cache
def _tags(python: tuple[int, int], platforms: tuple[str, ...]) -> tuple[str, ...]:
    from packaging.tags import compatible_tags, cpython_tags  # here, since a warm build needs no tags

    interpreter = "cp{}{}".format(*python)
    own = cpython_tags(python, abis=[interpreter], platforms=platforms)
    pure = compatible_tags(python, interpreter=interpreter, platforms=platforms)
    return tuple(str(tag) for group in (own, pure) for tag in group)


# --- reading what a recipe states ---

#: Ways to write a CPython that are not its tag and leave no doubt: 3.11, py311, python3.11, 3.11.4, cp313t.
_LOOSE_PYTHON = re.compile(r"(?:cp|cpython|py|python)?[ -]?3\.?(\d{1,2})(?:\.\d+)?([dtmu]*)", re.ASCII | re.IGNORECASE)

#: A manylinux policy, and after it an architecture.
_MANYLINUX = re.compile(r"(manylinux(?:_\d_(?:0|[1-9]\d{0,2})|\d+))(?:_(\w+))?", re.ASCII)

#: How platforms begin that never load on Lambda, and why.
_FOREIGN = {
    "win": "is for Windows, and Lambda runs Linux",
    "macosx": "is for macOS, and Lambda runs Linux",
    "musllinux": "is for musl, and Lambda's Linux has glibc",
    "linux": "says nothing of the glibc that its wheels need",
}


class _Stated(NamedTuple):
    """What a recipe's platform or architecture says; with an architecture only, the policy is empty."""

    architecture: str
    policy: str = ""


def _runtime_named(python: str) -> Runtime:
    known = {runtime.abi: runtime for runtime in runtimes()}
    if python in known:
        return known[python]
    loose = _LOOSE_PYTHON.fullmatch(python.strip())
    meant = f"cp3{loose[1]}" if loose else ""
    if loose is None or meant not in known:
        message = f"{python!r} is no CPython of Lambda that lamina knows; known are {_listed(list(known), 'and')}"
    elif loose[2]:
        message = (
            f"{python!r} is not on Lambda, whose CPython is neither free-threaded nor a debug build; write {meant}"
        )
    else:
        message = f"{python!r} is not how wheels name a CPython; write {meant}"
    raise TargetError("python", message)


def _stated(platform: str | None, architecture: str | None) -> _Stated:
    if platform is not None and architecture is not None:
        message = (
            "platform and architecture exclude each other; keep platform to cap the choice of wheels, "
            "or architecture for the highest platform that the runtime loads"
        )
        raise TargetError("architecture", message)
    if platform is not None:
        return _stated_platform(platform)
    if architecture is not None:
        return _stated_architecture(architecture)
    name = facts().architectures[0].name
    raise TargetError("platform", f'missing; write platform = "{_suggested(name)}", or architecture = "{name}"')


def _stated_architecture(architecture: str) -> _Stated:
    meant = _meant(architecture)
    if meant is None:
        names = _listed([known.name for known in facts().architectures], "or")
        raise TargetError("architecture", f"{architecture!r} is no architecture of Lambda; write {names}")
    if architecture != meant.name and architecture not in meant.aliases:
        raise TargetError("architecture", f"{architecture!r} is not how wheels name it; write {meant.name}")
    return _Stated(meant.name)


def _stated_platform(platform: str) -> _Stated:
    match = _MANYLINUX.fullmatch(platform)
    if match is None:
        reasons = (why for kind, why in _FOREIGN.items() if re.match(rf"{kind}(_|\d|$)", platform, re.IGNORECASE))
        reason = next(reasons, "is no platform of manylinux wheels")
        raise TargetError("platform", f"{platform!r} {reason}; write {_suggested(platform)}")
    policy, name = match[1], match[2] or ""
    glibc = _glibc_of(policy)
    meant = _meant(name)
    if meant is None or name != meant.name:
        reason = f"wheels say {meant.name} for {name}" if meant else f"Lambda has no {name}"
        reason = reason if name else "the architecture is missing"
        raise TargetError("platform", f"{platform!r}: {reason}; write {_suggested(name, policy)}")
    if glibc < meant.floor:
        lowest = "manylinux_{}_{}".format(*meant.floor)
        message = f"{platform!r} does not exist: on {name} manylinux begins at {lowest}; write {_suggested(name)}"
        raise TargetError("platform", message)
    return _Stated(name, policy)


def _too_new(runtime: Runtime, stated: _Stated) -> str:
    """Why a platform is above the runtime, and the ways out: a newer runtime where one suffices, a lower platform."""
    have = "{}.{}".format(*runtime.glibc)
    newer = [other.abi for other in runtimes() if other.glibc >= _glibc_of(stated.policy)]
    way = f"{newer[0]} or newer, or " if newer else ""
    lower = "manylinux_{}_{}_{}".format(*runtime.glibc, stated.architecture)
    return f"{runtime.name} on Lambda has glibc {have}; {stated.policy} wheels cannot load there; use {way}{lower}"


def _glibc_of(policy: str) -> Glibc:
    """The glibc of ``manylinux_2_17`` or ``manylinux2014``: ``(2, 17)``."""
    older = facts().manylinux.aliases
    if policy in older:
        return older[policy]
    _, *numbers = policy.split("_")
    if not numbers:
        message = f"there is no {policy!r}; write {_listed([*older, 'manylinux_2_N for glibc 2.N'], 'or')}"
        raise TargetError("platform", message)
    return int(numbers[0]), int(numbers[1])


def _architecture(name: str) -> Architecture:
    return next(known for known in facts().architectures if known.name == name)


def _meant(name: str) -> Architecture | None:
    """The architecture that ``name`` is a name of, be it an accepted one or not."""
    spelled = name.lower()
    names = ((known, (known.name, *known.aliases, *known.mistaken)) for known in facts().architectures)
    return next((known for known, spellings in names if spelled in spellings), None)


def _suggested(stated: str, policy: str = "") -> str:
    """What to write instead of a platform that is wrong: for the architecture it ends in, or else for each.

    A right ``policy`` stays; otherwise it is the newest that has a name of its own, which every runtime loads.
    """
    known = facts().architectures
    parts = stated.split("_")
    ends = [_meant("_".join(parts[start:])) for start in range(len(parts))]
    wanted = [end for end in ends if end] or known
    fit = [each for each in wanted if policy and _glibc_of(policy) >= each.floor]
    if not fit:
        policy = max(facts().manylinux.aliases.items(), key=lambda alias: alias[1])[0]
    return _listed([f"{policy}_{each.name}" for each in fit or wanted], "or")


def _listed(words: list[str], last: str) -> str:
    """``a, b and c``."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
