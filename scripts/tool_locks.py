"""Lock what lamina itself brings along: for proofs, for builds in a base image, and for resolving in one.

    python scripts/tool_locks.py [cp311 ...]

For each CPython and architecture: what Lambda's runtimes have (build/lamina/prove/standin.toml), and what builds wheels
(build/lamina/local/tools.toml); the locks stand in locks/ beside each. And once for all, made for the oldest CPython
and of pure Python: what resolves (build/lamina/resolve/pip-tools.txt). Indexes come from the environment, as for
`lamina lock`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tomli

from lamina import lock as locks
from lamina.index.settings import from_environment
from lamina.recipe.model import Recipe, TargetSpec
from lamina.resolve import resolve
from lamina.runtimes import facts, runtimes
from lamina.target import target_for

LAMINA = Path(__file__).resolve().parent.parent / "build" / "lamina"


def _main() -> None:
    wanted = sys.argv[1:]
    for stated in (LAMINA / "prove" / "standin.toml", LAMINA / "local" / "tools.toml"):
        for row in tomli.loads(stated.read_text(encoding="utf-8"))["standin"]:
            for python in row["pythons"]:
                for architecture in facts().architectures if not wanted or python in wanted else ():
                    name = target_for(python, architecture=architecture.name).name
                    path = stated.parent / "locks" / f"{name}.txt"
                    _lock("standin", row["requirements"], python, architecture.name, path)
    oldest = runtimes()[0].abi
    if not wanted or oldest in wanted:
        path = LAMINA / "resolve" / "pip-tools.txt"
        lock = _lock("pip-tools", ["pip-tools", "pip"], oldest, "x86_64", path)
        if native := [wheel.filename for wheel in lock.wheels if not wheel.filename.endswith("-none-any.whl")]:
            sys.exit(f"{path.name}: not for every image: {', '.join(native)}")


def _lock(name: str, requirements: Sequence[str], python: str, architecture: str, path: Path) -> locks.Lock:
    """Write a lock of the newest versions."""
    recipe = Recipe(name, tuple(requirements), (TargetSpec(python, architecture=architecture),), provided=())
    target, indexes = target_for(python, architecture=architecture), from_environment(os.environ)
    lock = resolve(recipe, target, indexes=indexes, upgrade=True, base=path.parent, env=os.environ).lock
    text = locks.render(lock).split("\n", 1)[1]
    text = f"# Written by scripts/tool_locks.py; pip reads it with --require-hashes.\n{text}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    print(path.relative_to(LAMINA), *(f"{wheel.name}=={wheel.version}" for wheel in lock.wheels))
    return lock


if __name__ == "__main__":
    _main()
