"""The two ways in which bytes are deflated here: as parts are, and as small as libdeflate can."""

from __future__ import annotations

#: The strongest level of libdeflate.
STRONGEST = 12


def libdeflate(content: bytes) -> bytes:
    """Compress with libdeflate at its default level; deterministic for one version of the ``deflate`` package."""
    import deflate

    return bytes(deflate.deflate_compress(content, 6))


def smallest(content: bytes) -> bytes:
    """Compress at libdeflate's strongest level, which takes some twenty times as long; as deterministic."""
    import deflate

    return bytes(deflate.deflate_compress(content, STRONGEST))
