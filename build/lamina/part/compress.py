"""The one way in which bytes are deflated here, apart from the maker of parts, which a warm build never loads."""

from __future__ import annotations


def libdeflate(content: bytes) -> bytes:
    """Compress with libdeflate at its default level; deterministic for one version of the ``deflate`` package."""
    import deflate

    return bytes(deflate.deflate_compress(content, 6))
