"""layer → the same layer of entries that were compressed again, made where the store lacks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lamina.bytecode.model import Compiled
from lamina.errors import IntegrityError
from lamina.layer import Layer
from lamina.part.library import load_derived, small_key
from lamina.part.model import Entry, Facts, Index
from lamina.part.small import Wanted, ensure, shipping_entries
from lamina.progress import Progress
from lamina.store import Store


def smaller(
    layer: Layer,
    parts: Sequence[tuple[Index, Facts]],
    keys: Sequence[str],
    store: Store,
    progress: Progress,
    *,
    trim: bool,
) -> tuple[Layer, list[str]]:
    """The layer as ``compression = "small"`` has it, and the names of its parts' data; ``keys`` are those before.

    Raises:
        IntegrityError: a part, or its bytecode, is not what its index says.
    """
    wanted = {
        key: Wanted(key, small_key(key, trim=trim), shipping_entries(index, trim=trim))
        for key, (index, _), pick in zip(keys, parts, layer.picks, strict=True)
        if pick
    }
    wanted |= {
        key: Wanted(key, small_key(key, trim=False), _compiled(store, key))
        for forms in layer.bytecode
        for key, pick in forms
        if pick
    }
    places = dict(zip(wanted, ensure(store, list(wanted.values()), progress), strict=True))
    names = {key: one.key for key, one in wanted.items()}
    picks = (_placed(pick, places.get(key, {})) for key, pick in zip(keys, layer.picks, strict=True))
    bytecode = (
        tuple((names.get(key, key), _placed(pick, places.get(key, {}))) for key, pick in forms)
        for forms in layer.bytecode
    )
    return layer._replace(picks=tuple(picks), bytecode=tuple(bytecode)), [names.get(key, key) for key in keys]


def _placed(pick: Iterable[Entry], places: Mapping[str, Entry]) -> tuple[Entry, ...]:
    return tuple(places[entry.path] for entry in pick)


def _compiled(store: Store, key: str) -> tuple[Entry, ...]:
    found = load_derived(store, key, Compiled)
    if found is None:
        raise IntegrityError(f"{store.root}: bytecode vanishes while it is read", hint="Run the build again.")
    return found.entries
