"""What ships in a native file's place where the recipe asks for it: the file without what no segment maps."""

from __future__ import annotations

import mmap
from collections.abc import Collection

from lamina.binary.look import look
from lamina.binary.model import Binary
from lamina.binary.trim import trimmed

#: Larger files stay as they are, in bytes: libdeflate works on whole buffers, and no layer holds one.
MOST_BYTES = 256 * 1024**2

#: Digests of a whole library that stand beside it, which FIPS modules check when they are loaded: of NSS
#: (``libsoftokn3.chk``), and of libgcrypt, GnuTLS and OpenSSL as Red Hat builds them (``.libcrypto.so.1.1.hmac``).
_DIGESTS = ("{folder}{stem}.chk", "{folder}.{name}.hmac", "{folder}{name}.hmac")
#: OpenSSL's own: its digest stands in fipsmodule.cnf, wherever that is (fips_module(7)).
_FIPS = "fips.so"


def may_change(path: str, beside: Collection[str]) -> bool:
    """Whether nothing tells that the file's own bytes are checked; ``beside`` are the paths of all files."""
    folder, slash, name = path.rpartition("/")
    fields = {"folder": folder + slash, "name": name, "stem": name.partition(".so")[0]}
    return name != _FIPS and not any(form.format(**fields) in beside for form in _DIGESTS)


def variant_of(content: bytes | mmap.mmap, binary: Binary | None) -> bytes | None:
    """The trimmed file, if one ships smaller and tells an audit just what the file itself does: ``binary``."""
    if binary is None or binary.elf is None or binary.damage or len(content) > MOST_BYTES:
        return None
    smaller = trimmed(content)
    return smaller if smaller is not None and look(smaller) == binary else None
