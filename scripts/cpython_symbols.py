"""Write which CPython versions export which symbols: ``build/lamina/audit/cpython_symbols.txt``.

    python scripts/cpython_symbols.py 3.11=PATH 3.12=PATH 3.12=OTHER ... > build/lamina/audit/cpython_symbols.txt

Each PATH is a ``libpython3.X.so.1.0``, or an interpreter that has CPython linked into itself. Several of one version
are joined, since a patch release can export more than the one before. Take release builds with the GIL: a debug or
free-threaded one exports other names, and Lambda has neither. Needs ``nm`` of binutils.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict

_NAME = re.compile(r"_?Py[A-Za-z0-9_]+")
_BUILD_ONLY = re.compile(r"PyInit_")  # of modules built in or not, as the builder chose

HEADER = """\
# Symbols that some CPython versions export and others do not; a symbol that every version here has is left out.
# A name, then the versions that export it: 3.9-3.12 are all from the first to the last, ranges are joined by commas.
# Made by scripts/cpython_symbols.py from the dynamic symbol tables of release builds with the GIL on x86_64 Linux:
# {made}.
# versions {versions}
"""


def exported(path: str) -> set[str]:
    """The names like CPython's that a file offers to what it loads."""
    listed = subprocess.run(
        ["nm", "--dynamic", "--defined-only", path],  # noqa: S607 - the nm of whoever runs this
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = (line.split()[-1].partition("@")[0] for line in listed.splitlines() if line)
    return {name for name in names if _NAME.fullmatch(name) and not _BUILD_ONLY.match(name)}


def ranges(has: set[str], versions: list[str]) -> str:
    """``3.9-3.11,3.14`` of the versions in ``has``; ``versions`` are all, oldest first."""
    runs: list[list[str]] = []
    for before, version in zip(["", *versions], versions, strict=False):
        if version in has:
            if before in has:
                runs[-1].append(version)
            else:
                runs.append([version])
    return ",".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def release(path: str, version: str) -> str:
    """The full version that a file says it is of: ``3.11.7``."""
    with open(path, "rb") as stream:  # noqa: PTH123 - a path from the command line, read once
        found = re.search(rb"(?<![\d.])(" + re.escape(version.encode()) + rb"\.\d+)\+?\0", stream.read())
    return found[1].decode() if found else version


def main(arguments: list[str]) -> None:
    """Print the table of the files given."""
    offers: dict[str, set[str]] = defaultdict(set)
    made = []
    for argument in arguments:
        version, _, path = argument.partition("=")
        offers[version] |= exported(path)
        made.append(release(path, version))
    versions = sorted(offers, key=lambda version: [int(part) for part in version.split(".")])
    everywhere = set.intersection(*offers.values())
    print(
        HEADER.format(
            made=", ".join(sorted(set(made), key=lambda full: [int(part) for part in full.split(".")])),
            versions=" ".join(versions),
        ),
        end="",
    )
    for name in sorted(set().union(*offers.values()) - everywhere):
        print(name, ranges({version for version in versions if name in offers[version]}, versions))


if __name__ == "__main__":
    main(sys.argv[1:])
