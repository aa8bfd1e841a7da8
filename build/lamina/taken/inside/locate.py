"""Find libraries, programs and paths in this system, as its loader and its shell would.

Standard input is ``{"folders": […], "wanted": [{"kind": …, "name": …, "folders": […]}]}``, the answer one line of JSON:
``found`` has the real path of each, or null, and ``names`` all file names in the folders of the loader.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import sys

_CONFIGURATION = "/etc/ld.so.conf"
#: What the loader searches whatever is configured (ld.so(8)); the configuration names the others.
_BUILT_IN = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_DEEPEST = 8


def main() -> None:
    """Answer what is asked."""
    asked = json.load(sys.stdin)
    folders = list(dict.fromkeys([*asked["folders"], *_configured(_CONFIGURATION, 0), *_BUILT_IN]))
    machine = _machine("/proc/self/exe")
    found = [_found(wanted, folders, machine) for wanted in asked["wanted"]]
    names = sorted({name for folder in folders for name in _names(folder)})
    sys.stdout.write(json.dumps({"found": found, "names": names}))


def _found(wanted: dict[str, object], folders: list[str], machine: bytes) -> str | None:
    name = str(wanted["name"])
    if wanted["kind"] == "path":
        return os.path.realpath(name) if os.path.exists(name) else None  # noqa: PTH110 - paths are text here
    if wanted["kind"] == "executable":
        program = shutil.which(name)
        return os.path.realpath(program) if program else None
    own = wanted["folders"]
    for folder in [*(own if isinstance(own, list) else []), *folders]:
        path = os.path.join(folder, name)  # noqa: PTH118
        if _machine(path) == machine:
            return os.path.realpath(path)
    return None


def _machine(path: str) -> bytes:
    """Class, byte order and machine of an ELF file: a library of another one is passed over by the loader."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(20)
    except OSError:
        return b""
    return head[4:6] + head[18:20] if head.startswith(b"\x7fELF") else b""


def _names(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if ".so" in name]  # noqa: PTH208
    except OSError:
        return []


def _configured(path: str, depth: int) -> list[str]:
    """The folders that ld.so.conf names, with what it includes (ldconfig(8))."""
    folders: list[str] = []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:
        return folders
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < _DEEPEST:
            for pattern in words[1:]:
                for each in sorted(glob.glob(os.path.join("/etc", pattern))):  # noqa: PTH118, PTH207
                    folders += _configured(each, depth + 1)
        elif len(words) == 1 and words[0].startswith("/"):
            folders.append(words[0])
    return folders


if __name__ == "__main__":
    main()
