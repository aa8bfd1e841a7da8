"""Where the files of a wheel stand in a layer, by the installation schemes that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from lamina import wheel as wheels
from lamina.archive import REPORT, check_collisions
from lamina.errors import UnsafeWheelError

#: Where a layer has the installation schemes of a wheel, relative to ``/opt``; headers have no place in one.
SCHEMES: Mapping[str, str | None] = MappingProxyType(
    {"purelib": "python/", "platlib": "python/", "scripts": "bin/", "data": "", "headers": None}
)


class Place(NamedTuple):
    """Where one wheel entry goes: its layer path, empty where a layer has no place for it; whether it is a script."""

    entry: wheels.Entry
    path: str
    script: bool


def placed(wheel: wheels.Wheel) -> Iterator[Place]:
    """Map the wheel's schemes to the layer (binary distribution format, "Installing a wheel").

    The layer's prefix is ``/opt``: purelib and platlib are ``python/``, scripts ``bin/``, data the root, so that what
    a wheel puts into ``data/lib`` stands in ``/opt/lib``, where Lambda's loader looks. Headers have no place: an empty
    path.

    Raises:
        UnsafeWheelError: a file in a place that no installation scheme has, or two in one place.
    """
    record = f"{wheel.dist_info}/RECORD"
    taken = {f"python/{record}": record}
    for entry in wheel.entries:
        if entry.name in {record, f"{record}.jws", f"{record}.p7s"}:
            continue  # RECORD is written anew for what ships, and signatures of the old one would lie
        head, _, rest = entry.name.partition("/")
        script = False
        if head not in wheel.data_folders:
            path = f"python/{entry.name}"
        else:
            scheme, _, inner = rest.partition("/")
            script = scheme == "scripts"
            if scheme not in SCHEMES or not inner:
                raise UnsafeWheelError(
                    f"{wheel.filename}: {entry.name!r}: {scheme!r} is no installation scheme",
                    hint="A wheel's .data folder holds purelib, platlib, scripts, data and headers only.",
                )
            root = SCHEMES[scheme]
            path = "" if root is None else root + inner
        if path and taken.setdefault(path, entry.name) != entry.name:
            raise UnsafeWheelError(
                f"{wheel.filename}: {taken[path]!r} and {entry.name!r} would both become {path}", hint=REPORT
            )
        yield Place(entry, path, script)
    check_collisions(wheel.filename, taken)
