"""How a proof speaks of the place where it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.prove.model import Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina.engine.probe import About
    from lamina.runtimes import Runtime


def where_of(about: About, *, isolated: bool, how: str) -> Where:
    """A place as proofs speak of it."""
    return Where(about.system, about.python, about.glibc, about.sqlite, about.openssl, isolated, how)


def newer(where: Where, runtime: Runtime) -> tuple[str, ...]:
    """What is newer there than on the runtime, and so can make pass what fails on Lambda.

    Only as many numbers are compared as the runtime's facts have: 2.26 says nothing of 2.26.1.
    """
    held = (
        ("glibc", where.glibc, runtime.glibc),
        ("SQLite", where.sqlite, runtime.sqlite),
        ("OpenSSL", where.openssl, runtime.openssl),
    )
    return tuple(
        f"{name} {dotted(there)} (Lambda: {dotted(lambdas)})"
        for name, there, lambdas in held
        if there[: len(lambdas)] > lambdas
    )


def dotted(numbers: Sequence[int]) -> str:
    """Version numbers as they are written."""
    return ".".join(map(str, numbers))


def place(where: Where, runtime: Runtime) -> str:
    """Where a proof ran, and what is newer there than on the runtime: ``Debian 12, glibc 2.36, …: not Lambda; …``.

    In a container of the runtime's own image nothing is newer, and that it is not Lambda stays true.
    """
    versions = (("glibc", where.glibc), ("SQLite", where.sqlite), ("OpenSSL", where.openssl))
    told = [where.system, *(f"{name} {dotted(numbers)}" for name, numbers in versions if numbers)]
    more = newer(where, runtime)
    tail = f"; newer than the runtime's: {', '.join(more)}" if more else ""
    return f"{', '.join(told)}, CPython {where.python}, {where.how}: not Lambda{tail}"
