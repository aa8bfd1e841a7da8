"""What stays of a ``.dist-info`` folder, by the recipe's ``prune.metadata``.

``minimal`` keeps what code asks for at run time and drops what only an installer or an auditor reads, whose facts go
into our own SBOM and notices. All of METADATA, entry_points.txt, top_level.txt and WHEEL is 0.14 % of the bytes of 746
distributions, and 54 of them fail at import without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

#: Written by installers about an installation (PEP 376, PEP 610), or a bill of materials (PEP 770) that ours takes
#: over.
_DROPPED_NAMES = frozenset({"INSTALLER", "REQUESTED", "direct_url.json"})
_DROPPED_FOLDERS = ("sboms/",)


def propose(dist_info: str, paths: Iterable[str], licences: AbstractSet[str], mode: str) -> Mapping[str, str]:
    """Path → reason for the metadata files that go. ``paths`` and ``dist_info`` are relative to ``python/``.

    ``licences`` are the files, relative to the folder, whose text goes into the notices. ``mode`` is ``keep``,
    ``minimal`` or ``strip``.
    """
    dropped = {}
    prefix = dist_info + "/"
    for path in paths:
        if not path.startswith(prefix):
            continue
        inner = path.removeprefix(prefix)
        if mode == "strip":
            dropped[path] = 'metadata = "strip"'
        elif mode == "minimal":
            if inner in licences:
                dropped[path] = "its text is in the notices"
            elif inner in _DROPPED_NAMES:
                dropped[path] = "written by an installer about itself"
            elif inner.startswith(_DROPPED_FOLDERS):
                dropped[path] = "its facts are in the SBOM"
    return dropped
