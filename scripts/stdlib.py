"""Write which top-level modules the standard library of each CPython has, for the audit of imports.

    python scripts/stdlib.py PYTHON3.9 PYTHON3.10 ... [3.14=NAMES]

Each argument is an interpreter, or a version and a file that names its modules one a line, in quotes or not, such as
CPython's own Python/stdlib_module_names.h: for a version of which there is no interpreter at hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent.parent / "build" / "lamina" / "audit" / "stdlib.txt"
#: Before 3.10 there is no sys.stdlib_module_names: what is built in, and what lies in the library's folders.
ASK = """
import sys, sysconfig, pkgutil
names = getattr(sys, "stdlib_module_names", None)
if names is None:
    folder = sysconfig.get_path("stdlib")
    names = {found.name for found in pkgutil.iter_modules([folder, folder + "/lib-dynload"])}
    names |= {*sys.builtin_module_names, "_frozen_importlib", "_frozen_importlib_external", "_dbm", "_gdbm"}
print("%d.%d" % sys.version_info[:2], *names)
"""
#: Of other systems; the interpreter asked may itself leave them out.
ELSEWHERE = "_msi _overlapped _scproxy _winapi _winreg _wmi msilib msvcrt nt winreg winsound".split()
#: Test modules of CPython, which no distribution of it has to hold.
TESTS = re.compile(r"_test\w*|_xx\w*|xx\w*|_ctypes_test|test|lib2to3\.tests|_sysconfigdata[-\w]*")
HEAD = """\
# The top-level modules of CPython's standard library: name, first and last of the versions known here.
# Written by scripts/stdlib.py from sys.stdlib_module_names of the interpreters, for 3.9 from what its library holds,
# and for 3.14 from CPython's Python/stdlib_module_names.h with what https://docs.python.org/3/whatsnew/3.14.html adds.
# "elsewhere" marks modules that CPython has on Windows or macOS only.
"""


def _asked(argument: str) -> tuple[tuple[int, ...], set[str]]:
    version, _, file = argument.partition("=")
    if file:
        words = re.findall(r'^"?(\w+)"?,?$', Path(file).read_text(encoding="utf-8"), re.MULTILINE)
    else:
        done = subprocess.run([argument, "-I", "-c", ASK], capture_output=True, text=True, check=True)
        version, *words = done.stdout.split()
    return tuple(map(int, version.split("."))), {*words, "test"}


def _main() -> None:
    known = dict(sorted(map(_asked, sys.argv[1:])))
    versions = list(known)
    lines = []
    for name in sorted(set[str]().union(*known.values(), ELSEWHERE)):
        having = [version for version in versions if name in known[version] or name in ELSEWHERE]
        if TESTS.fullmatch(name) and name != "test":
            continue
        first, last = (".".join(map(str, version)) for version in (having[0], having[-1]))
        lines.append(f"{name} {first} {last}" + (" elsewhere" if name in ELSEWHERE else ""))
    OUTPUT.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    _main()
