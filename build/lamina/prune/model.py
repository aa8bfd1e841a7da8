"""What pruning decides and advises, as values."""

from __future__ import annotations

import msgspec


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """What became of one file, and why.

    ``path`` is the path in the layer, ``size`` its unpacked bytes. ``rule`` says who proposed: a rule's name,
    ``metadata``, ``keep`` or ``drop``. ``reason`` is the veto's, where the file stays, else what the proposal rests
    on.
    """

    path: str
    size: int
    rule: str
    dropped: bool
    reason: str


class Saving(msgspec.Struct, frozen=True):
    """One thing that could go: its unpacked bytes, what it is, and how the recipe says so."""

    bytes: int
    what: str
    how: str
