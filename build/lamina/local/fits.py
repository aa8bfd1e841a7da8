"""Whether a wheel that was built in a container is the one that was asked for, and for the target, by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lamina.errors import ResolutionError, UnsafeWheelError
from lamina.lock import canonical

if TYPE_CHECKING:
    from lamina.local.native import Sources
    from lamina.target import Target

_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_")


def check_fits(filename: str, sources: Sources, target: Target) -> None:
    """Hold the name of a wheel against what it was built from and for; its content is checked when it is opened.

    Raises:
        ResolutionError: the target does not accept it.
        UnsafeWheelError: it is of another project or version.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename
    from packaging.version import InvalidVersion, Version

    try:
        name, version, _, tags = parse_wheel_filename(filename)
        wanted = Version(sources.version) if sources.version else version
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise UnsafeWheelError(f"{sources.where}: {error}", hint="Look at what builds it.") from error
    if (sources.name and name != canonical(sources.name)) or version != wanted:
        raise UnsafeWheelError(
            f"{sources.where}: builds to {filename}, which is not {sources.name} {sources.version}".rstrip(),
            hint="Its file name and its metadata disagree: report it to the project, or require another version.",
        )
    if {str(tag) for tag in tags}.isdisjoint(target.tags()):
        raise ResolutionError(f"{sources.where}: builds to {filename}{_why(filename, target)}", hint=_HINT)


_HINT = (
    "Build in a base image whose glibc is not above the target's ([image] base, LAMINA_BASE_IMAGE), or raise platform\n"
    "in the recipe's [[target]] where its runtime loads more."
)


def _why(filename: str, target: Target) -> str:
    found = [(int(major), int(minor)) for major, minor in _GLIBC.findall(filename)]
    if found and min(found) > target.ceiling:
        needs = "{}.{}".format(*min(found))
        return f", which needs glibc {needs}; {target.name} has {'{}.{}'.format(*target.ceiling)}"
    return f", which {target.name} does not accept"
