"""Lock what resolves inside the base image: build/lamina/resolve/pip-tools.txt.

    python scripts/pip_tools.py

One lock serves every CPython of a runtime: it is made for the oldest, and all of it must be pure Python. Indexes come
from the environment, as for `lamina lock`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lamina import lock as locks
from lamina.index.settings import from_environment
from lamina.recipe.model import Recipe, TargetSpec
from lamina.resolve import resolve
from lamina.target import runtimes, target_for

LOCK = Path(__file__).resolve().parent.parent / "build" / "lamina" / "resolve" / "pip-tools.txt"


def _main() -> None:
    oldest = min(runtimes(), key=lambda runtime: runtime.python)
    target = target_for(oldest.abi, architecture="x86_64")
    recipe = Recipe("pip-tools", ("pip-tools", "pip"), (TargetSpec(oldest.abi, architecture="x86_64"),), provided=())
    lock = resolve(
        recipe, target, indexes=from_environment(os.environ), upgrade=True, base=LOCK.parent, env=os.environ
    ).lock
    native = [wheel.filename for wheel in lock.wheels if not wheel.filename.endswith("-none-any.whl")]
    if native:
        sys.exit(f"not for every image: {', '.join(native)}")
    text = locks.render(lock).split("\n", 1)[1]
    text = f"# Written by scripts/pip_tools.py; pip reads it with --require-hashes.\n{text}"
    LOCK.write_text(text, encoding="utf-8", newline="\n")
    print(LOCK.name, *(f"{wheel.name}=={wheel.version}" for wheel in lock.wheels))


if __name__ == "__main__":
    _main()
