"""The same imports from the wheels as they are: what tells a package that never imports from one that pruning broke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.prove.imports import Import, run_imports
from lamina.prove.sandbox import open_sandbox
from lamina.prove.stage import unpacked, wheels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lamina.lock import LockedWheel
    from lamina.prove.model import Stage
    from lamina.runtimes import Runtime
    from lamina.store import Store


def untouched(
    where: Stage,
    runtime: Runtime,
    locked: Sequence[LockedWheel],
    fetch: Callable[[Sequence[LockedWheel]], Mapping[str, Path]],
    *,
    store: Store,
) -> Callable[[Sequence[str]], Sequence[Import]]:
    """What :func:`lamina.prove.imports.prove` asks for names that failed.

    Only when it is called are the wheels fetched and unpacked, whole, in the place of the layer; the function's folder
    stays out, so that nothing of it stands in for a package.

    Raises, when called:
        IndexAccessError: a wheel is not in the store any more and cannot be fetched.
        IntegrityError: a wheel is not what the lock says.
    """

    def ask(names: Sequence[str]) -> Sequence[Import]:
        whole = unpacked(store, wheels(locked, dict(fetch(locked)), "python"))
        with open_sandbox(where._replace(opt=whole, task=None), runtime) as sandbox:
            return run_imports(sandbox, names)

    return ask
