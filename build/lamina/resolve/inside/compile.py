"""Runs pip-compile inside the base image: an order as JSON on standard input, its outcome as JSON on standard output.

Needs what stands in ``lib`` beside it, pip-tools and pip, and the standard library of CPython 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

#: The markers of PEP 508, as the image's own interpreter has them.
MARKERS = {
    "implementation_name": sys.implementation.name,
    "implementation_version": "{}.{}.{}".format(*sys.implementation.version[:3]),
    "os_name": os.name,
    "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "platform_system": platform.system(),
    "python_full_version": platform.python_version(),
    "python_version": "{}.{}".format(*sys.version_info[:2]),
    "sys_platform": sys.platform,
}


def cap(glibc: tuple[int, ...]) -> None:
    """Impose a ceiling on the wheels that pip takes: by the module that it asks, see PEP 600."""

    class Manylinux(ModuleType):
        @staticmethod
        def manylinux_compatible(major: int, minor: int, _arch: str) -> bool | None:
            return None if (major, minor) <= glibc else False

    sys.modules["_manylinux"] = Manylinux("_manylinux")


def reasons(error: BaseException) -> list[str]:
    """Why there is no resolution, a line each; nothing where that is not what the error says."""
    from pip._internal.exceptions import DistributionNotFound

    if not isinstance(error, DistributionNotFound):
        return []
    found = {str(error)} if "No matching distribution" in str(error) else set()
    for cause in getattr(error.__cause__, "causes", ()):
        wanted = re.sub(r" \(from .*\)$", "", cause.requirement.format_for_error())
        parent = f"{cause.parent.name} {cause.parent.version} depends on" if cause.parent else "required:"
        found.add(f"{parent} {wanted}")
    return sorted(found) or [str(error)]


def compiled(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run pip-compile; its exit code, what it wrote, and the reasons for which it found nothing."""
    from piptools.scripts.compile import cli

    files = {name: folder / name for name in ("requirements.txt", "constraints.txt", "pins.txt")}
    for name, path in files.items():
        path.write_text("".join(f"{line}\n" for line in order[name]), encoding="utf-8")
    arguments = [*order["options"], "--index-url", order["index"], "--output-file", str(files["pins.txt"])]
    arguments += ["--constraint", str(files["constraints.txt"]), str(files["requirements.txt"])]
    code: object = 0
    why: list[str] = []
    try:
        cli.main(arguments, "pip-compile")
    except SystemExit as end:
        code = end.code
    except Exception as error:  # noqa: BLE001 - whatever pip raises is told
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        why = reasons(error)
        code = 1
    text = files["pins.txt"].read_text(encoding="utf-8")
    return {"code": code if isinstance(code, int) else 0 if code is None else 1, "text": text, "reasons": why}


def main() -> None:
    """Carry out the order."""
    order = json.loads(sys.stdin.buffer.read())
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here / "lib"))
    cap(tuple(order["glibc"]))
    folder = here / "work"
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()):  # where pip-compile prints its result as well
        outcome = compiled(order, folder)
    sys.stdout.write(json.dumps({**outcome, "markers": MARKERS}))


if __name__ == "__main__":
    main()
