"""Keys that exist but do not have all their values yet: delete a row when what it speaks of is built.

A row is a key (``[]`` for each item of a list), the values it takes today, and what the other values will be.
:mod:`.shape` refuses them, :mod:`.schema` leaves them out of what editors offer. A row that goes may leave a default
behind in :mod:`.model` that was stated for the time being: ``[native] trim`` becomes true, ``[bytecode] mode`` becomes
"fit".
"""

from __future__ import annotations

import json
from typing import NamedTuple


class Limit(NamedTuple):
    """One key, its value of today as it stands in TOML, what is not built yet, and further values of today."""

    key: str
    allowed: object
    missing: str
    also: tuple[str, ...] = ()

    def refusal(self) -> str:
        """What to tell whoever asks for more: what is not built yet, and what to write instead."""
        if not self.allowed and isinstance(self.allowed, list):
            return f"{self.missing}; leave it out"
        return f"{self.missing}; {' or '.join(map(json.dumps, (self.allowed, *self.also)))} is what this version does"

    def allows(self, value: object) -> bool:
        """Whether ``value`` can be had today."""
        return any(value == known and type(value) is type(known) for known in (self.allowed, *self.also))


LIMITS = {
    limit.key: limit
    for limit in (
        Limit("artefacts[]", "layer", "container images are not built yet", also=("function",)),
        Limit("prune.untraced", [], "dropping what no trace touched is not built yet"),
        Limit("native.trim", allowed=False, missing="trimming of native libraries is not built yet"),
        Limit("bytecode.mode", "off", "bytecode in the artefact is not built yet"),
        Limit("emit.compression", "copy", "compressing again is not built yet"),
        Limit("emit.dedupe", allowed=False, missing="writing identical files as symlinks is not built yet"),
        Limit("builder.kind", "uv", "resolving inside the Lambda base image is not built yet"),
        Limit("builder.system-packages", [], "building wheels inside the image is not built yet"),
        Limit("overlay.from-image", [], "taking files from the image's packages is not built yet"),
    )
}
