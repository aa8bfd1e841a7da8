"""Lock what lamina itself puts beside a target's Python, for each CPython and architecture.

    python scripts/standin.py [cp311 ...]

That is what Lambda's runtimes have (build/lamina/prove/standin.toml), for proofs, and what builds wheels in a base
image (build/lamina/local/tools.toml); the locks stand in locks/ beside each. Indexes come from the environment, as for
`lamina lock`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import tomli

from lamina import lock as locks
from lamina.index.settings import from_environment
from lamina.recipe.model import Recipe, TargetSpec
from lamina.resolve import resolve
from lamina.runtimes import facts
from lamina.target import target_for

LAMINA = Path(__file__).resolve().parent.parent / "build" / "lamina"


def _main() -> None:
    wanted = sys.argv[1:]
    for stated in (LAMINA / "prove" / "standin.toml", LAMINA / "local" / "tools.toml"):
        _lock(stated, wanted)


def _lock(stated: Path, wanted: list[str]) -> None:
    """Lock what a file states, beside it."""
    for row in tomli.loads(stated.read_text(encoding="utf-8"))["standin"]:
        for python in row["pythons"]:
            for architecture in facts().architectures if not wanted or python in wanted else ():
                target = target_for(python, architecture=architecture.name)
                recipe = Recipe(
                    "standin",
                    tuple(row["requirements"]),
                    (TargetSpec(python, architecture=architecture.name),),
                    provided=(),
                )
                resolution = resolve(
                    recipe,
                    target,
                    indexes=from_environment(os.environ),
                    upgrade=True,
                    base=stated.parent,
                    env=os.environ,
                )
                text = locks.render(resolution.lock).split("\n", 1)[1]
                path = stated.parent / "locks" / f"{target.name}.txt"
                path.parent.mkdir(exist_ok=True)
                path.write_text(
                    f"# Written by scripts/standin.py; pip reads it with --require-hashes.\n{text}",
                    encoding="utf-8",
                    newline="\n",
                )
                print(path.name, *(f"{wheel.name}=={wheel.version}" for wheel in resolution.lock.wheels))


if __name__ == "__main__":
    _main()
