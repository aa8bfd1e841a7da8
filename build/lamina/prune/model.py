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


class Thing(msgspec.Struct, frozen=True):
    """Files of one package that lie together and share one fate: in a folder (with a slash at its end), or one file.

    ``bytes`` are unpacked. ``rule`` is the rule that proposed to drop them, ``metadata``, ``keep`` or ``drop``, or
    empty where nothing spoke of them. ``reason`` is the one that most of the bytes share.
    """

    package: str
    path: str
    files: int
    bytes: int
    rule: str
    reason: str
