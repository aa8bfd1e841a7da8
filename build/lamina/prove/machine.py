"""What a place is, asked in the interpreter that runs there, and how a proof speaks of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lamina.prove.model import Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina.runtimes import Runtime

#: Printed as one line of JSON by the interpreter that a proof runs in. A CPython can lack ssl or sqlite3.
PROBE = """
import json, os, platform, sys
told = {"python": platform.python_version(), "system": "Linux", "glibc": "", "sqlite": "", "openssl": ""}
try:
    with open("/etc/os-release") as file:
        for line in file:
            if line.startswith("PRETTY_NAME="):
                told["system"] = line.partition("=")[2].strip().strip("\\"'")
except OSError:
    pass
try:
    told["glibc"] = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
except (AttributeError, IndexError, OSError, ValueError):
    pass
try:
    import sqlite3
    told["sqlite"] = sqlite3.sqlite_version
except ImportError:
    pass
try:
    import ssl
    told["openssl"] = ssl.OPENSSL_VERSION.split()[1]
except (ImportError, IndexError):
    pass
print(json.dumps(told))
"""


def read(output: bytes, *, isolated: bool, how: str) -> Where | None:
    """What :data:`PROBE` printed; ``None`` where it is not what it prints."""
    try:
        told = json.loads(output)
        glibc, sqlite, openssl = (version(told[key]) for key in ("glibc", "sqlite", "openssl"))
        return Where(str(told["system"]), str(told["python"]), glibc, sqlite, openssl, isolated, how)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def version(text: str) -> tuple[int, ...]:
    """``2.36`` as numbers; what follows the first part that is no number is left out."""
    numbers: list[int] = []
    for part in text.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part))
    return tuple(numbers)


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
