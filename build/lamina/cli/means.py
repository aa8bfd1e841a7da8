"""What the commands that run proofs have in common: how wheels, indexes and a place to run come in from the edge."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from lamina.cli import common

if TYPE_CHECKING:
    from lamina.local import Workshop
    from lamina.progress import Progress
    from lamina.project import Project
    from lamina.prove.session import Means, Place
    from lamina.recipe import Recipe
    from lamina.store import Store


def means_of(
    project: Project,
    recipe: Recipe,
    links: Sequence[str],
    store: Store,
    progress: Progress,
    *,
    offline: bool,
    place: Place = "host",
    network: bool = False,
) -> tuple[Workshop, Means]:
    """What builds the recipe's local projects, and what a session of its proofs needs."""
    from lamina.prove.session import Means

    workshop = common.workshop(project, recipe, links, store, progress, offline=offline)
    fetch = workshop.fetch(common.fetcher(project, recipe, links, store, progress, offline=offline))
    indexes = partial(common.indexes_of, project, recipe, links)
    return workshop, Means(store, fetch, indexes, os.environ, progress, offline, place, network)
