"""The same imports from the wheels as they are: what tells a package that never imports from one that pruning broke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.prove.imports import Import, run_imports
from lamina.prove.stage import unpacked, wheels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lamina.lock import LockedWheel
    from lamina.prove.model import Sandbox, Stage
    from lamina.store import Store


def untouched(
    where: Stage,
    opened: Callable[[Stage], AbstractContextManager[Sandbox]],
    locked: Sequence[LockedWheel],
    fetch: Callable[[Sequence[LockedWheel]], Mapping[str, Path]],
    *,
    store: Store,
) -> Callable[[Sequence[str]], Sequence[Import]]:
    """What :func:`lamina.prove.imports.prove` asks for names that failed; ``opened`` makes a sandbox over a stage.

    Only when it is called are the wheels fetched and unpacked, whole, in the place of the layer; the function's folder
    stays out, so that nothing of it stands in for a package.

    Raises, when called:
        IndexAccessError: a wheel is not in the store any more and cannot be fetched.
        IntegrityError: a wheel is not what the lock says.
    """

    def ask(names: Sequence[str]) -> Sequence[Import]:
        whole = unpacked(store, wheels(locked, dict(fetch(locked)), "python"))
        with opened(where._replace(opt=whole, task=None)) as sandbox:
            return run_imports(sandbox, names)

    return ask
