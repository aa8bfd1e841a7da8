"""That all proofs passed on certain artefacts, remembered in the store under the name of everything that ran."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from lamina.project import Order
from lamina.prove.events import expectation_path
from lamina.store import Store


class Proven:
    """What is remembered of one order's proofs on artefacts of these digests."""

    def __init__(self, order: Order, digests: Iterable[str | None], store: Store) -> None:
        lines = [order.name, *map(str, digests), *(_digest(path) for path in _stated(order))]
        self._store = store
        self._path = store.path("memos", hashlib.sha256("\n".join(["proven", *lines]).encode()).hexdigest())

    def known(self) -> bool:
        """Whether they passed."""
        return self._path.exists()

    def remember(self) -> None:
        """Put down that they passed; a store that cannot be written costs only time."""
        with contextlib.suppress(OSError), self._store.create(self._path) as beside:
            beside.touch()


def _stated(order: Order) -> Iterator[Path]:
    """The files that say what is run: the recipe, and all that it names for proofs."""
    recipe, root = order.recipe, order.project.root
    yield order.project.recipe_path
    if recipe.proof.script is not None:
        yield root / recipe.proof.script
    yield from (root / path for _, path in sorted(recipe.proof.s3.items()))
    for event in recipe.function.events if recipe.function is not None else ():
        yield root / event
        yield expectation_path(root / event)


def _digest(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "none"
