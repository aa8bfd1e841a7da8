"""Keys that exist but do not have all their values yet: delete a row when what it speaks of is built.

A row is a key (``[]`` for each item of a list), the values it takes today, and what the other values will be.
:mod:`.shape` refuses them, :mod:`.schema` leaves them out of what editors offer. A row that goes may leave a default
behind in :mod:`.model` that was stated for the time being.
"""

from __future__ import annotations

import json
from typing import NamedTuple


class Limit(NamedTuple):
    """One key, its value of today as it stands in TOML, and what is not built yet."""

    key: str
    allowed: object
    missing: str

    def refusal(self) -> str:
        """What to tell whoever asks for more: what is not built yet, and what to write instead."""
        if not self.allowed and isinstance(self.allowed, list):
            return f"{self.missing}; leave it out"
        return f"{self.missing}; {json.dumps(self.allowed)} is what this version does"

    def allows(self, value: object) -> bool:
        """Whether ``value`` can be had today."""
        return value == self.allowed and type(value) is type(self.allowed)


LIMITS = {
    limit.key: limit for limit in (Limit("prune.untraced", [], "dropping what no trace touched is not built yet"),)
}
