"""What a place says of itself, asked in the interpreter that runs there: a container, or this machine."""

from __future__ import annotations

import json
from typing import NamedTuple

#: Printed as one line of JSON. A CPython can lack ssl or sqlite3.
PROBE = """
import json, os, platform, shutil
told = {"system": "Linux", "python": platform.python_version(), "machine": platform.machine()}
told.update(glibc="", sqlite="", openssl="")
try:
    told["glibc"] = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
except (AttributeError, IndexError, OSError, ValueError):
    pass
try:
    with open("/etc/os-release") as file:
        for line in file:
            if line.startswith("PRETTY_NAME="):
                told["system"] = line.partition("=")[2].strip().strip("\\"'")
except OSError:
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
managers = ("microdnf", "dnf", "yum", "apt-get")
told["manager"] = next((name for name in managers if shutil.which(name)), "")
print(json.dumps(told))
"""


class About(NamedTuple):
    """What a place is; versions are tuples of numbers, empty where there is no such thing.

    ``manager`` installs packages of its system: ``microdnf``, ``dnf``, ``yum``, ``apt-get``, or nothing.
    """

    system: str
    python: str
    machine: str
    glibc: tuple[int, ...]
    sqlite: tuple[int, ...]
    openssl: tuple[int, ...]
    manager: str


def read(output: bytes) -> About | None:
    """What :data:`PROBE` printed; ``None`` where it is not what it prints."""
    try:
        told = json.loads(output)
        system, python, machine, manager = (str(told[key]) for key in ("system", "python", "machine", "manager"))
        glibc, sqlite, openssl = (version(told[key]) for key in ("glibc", "sqlite", "openssl"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return About(system, python, machine, glibc, sqlite, openssl, manager)


def version(text: str) -> tuple[int, ...]:
    """``2.36`` as numbers; what follows the first part that is no number is left out."""
    numbers: list[int] = []
    for part in text.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part))
    return tuple(numbers)
