"""The 250 MB quota, and what else Lambda counts: everything that shares the function, in exact file bytes.

Sources: Lambda developer guide, page gettingstarted-limits; the figures themselves are data in ``runtimes.toml``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lamina.findings import Finding, make
from lamina.recipe import Budget
from lamina.runtimes import Quotas

if TYPE_CHECKING:
    from lamina.audit.model import Artefact


class Share(NamedTuple):
    """Something beside this layer that counts against the same quota; ``bytes`` is its size unpacked."""

    label: str
    bytes: int


def check_size(
    artefact: str, unzipped: int, others: Sequence[Share], budget: Budget, label: str = "this layer"
) -> Iterator[Finding]:
    """``over-budget`` or ``near-budget`` for the whole function; all figures are bytes.

    ``label`` is what the artefact is called among the ``others``.
    """
    limit = budget.unzipped
    total = unzipped + sum(share.bytes for share in others)
    stack = "".join(f" + {share.label} {share.bytes:,}" for share in others)
    sum_of = f"{total:,} bytes unzipped" + (f" ({label} {unzipped:,}{stack})" if others else "")
    if total > limit:
        yield make(
            "over-budget",
            artefact,
            f"{sum_of}: {total - limit:,} more than the budget of {limit:,}",
            "Drop what the function never imports, require fewer packages, or ship an image instead of a layer: "
            "lamina image makes one.",
        )
    elif total > budget.warn:
        yield make(
            "near-budget",
            artefact,
            f"{sum_of}: {limit - total:,} below the budget of {limit:,}",
            "The function and its other layers must fit into what is left; name them in budget.stack.",
        )


#: What compressing again saves of a layer's zip at the most that was seen, in per cent.
_SAVED = 5
_MAY_FIT = ' Or compress it harder, which may just suffice: [emit] compression = "small".'


def check_zip(artefact: str, zipped: int, entries: int, quotas: Quotas, *, small: bool = True) -> Iterator[Finding]:
    """``needs-s3-upload`` above what a direct upload takes; ``too-many-entries`` above what any reader takes.

    ``small`` tells that it is compressed as small as can be, or that nobody can say.
    """
    if zipped > quotas.direct_upload:
        yield make(
            "needs-s3-upload",
            artefact,
            f"{zipped:,} bytes zipped: a direct upload takes {quotas.direct_upload:,} and ends otherwise in "
            f"RequestEntityTooLargeException (Request must be smaller than {quotas.request} bytes)",
            "Upload it to a bucket in the layer's region first; the commands stand at the end of the build."
            + ("" if small or zipped * (100 - _SAVED) > quotas.direct_upload * 100 else _MAY_FIT),
        )
    if entries >= quotas.entries:
        yield make(
            "too-many-entries",
            artefact,
            f"{entries:,} files; a zip that every reader understands stays below {quotas.entries:,}",
            "Drop data files that the function does not read (prune.drop), or ship an image.",
        )


def check_artefact(artefact: Artefact, quotas: Quotas) -> Iterator[Finding]:
    """What one zip means for its upload, and one image for its own quota."""
    if artefact.kind == "image":
        yield from check_image(artefact.name, artefact.unzipped, quotas)
    elif artefact.zipped is not None and artefact.kind != "wheel":
        entries = sum(item.kind != "folder" for item in artefact.items)
        yield from check_zip(artefact.name, artefact.zipped, entries, quotas)


def check_stack(artefacts: Sequence[Artefact], budget: Budget, quotas: Quotas) -> Iterator[Finding]:
    """What all artefacts of one function come to, in bytes and in layers.

    A wheel counts as the layer it may become; an image has a quota of its own and shares it with nothing.
    """
    together = [artefact for artefact in artefacts if artefact.kind != "image"]
    layers = [artefact for artefact in together if artefact.kind != "function"]
    if len(layers) > quotas.layers:
        yield make(
            "over-budget",
            layers[quotas.layers].name,
            f"{len(layers)} layers; a function takes {quotas.layers}",
            "Merge layers, or ship an image instead.",
        )
    if together:
        first, *others = together
        shares = [Share(artefact.name, artefact.unzipped) for artefact in others]
        yield from check_size(first.name, first.unzipped, shares, budget, first.name)


def check_image(image: str, uncompressed: int, quotas: Quotas) -> Iterator[Finding]:
    """``over-budget`` for an image that has more bytes, uncompressed, than Lambda takes."""
    if uncompressed > quotas.image:
        yield make(
            "over-budget",
            image,
            f"{uncompressed:,} bytes uncompressed: {uncompressed - quotas.image:,} more than the "
            f"{quotas.image:,} that Lambda takes of an image",
            "Leave out what the function never imports, or models that can be loaded from S3 or EFS.",
        )
