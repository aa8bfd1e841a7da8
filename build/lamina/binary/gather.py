"""Content that comes in pieces and must be looked at as a whole, in bounded memory."""

from __future__ import annotations

import contextlib
import mmap
import tempfile
from collections.abc import Iterable, Iterator

#: Above this, content goes into a file that is mapped: torch's largest library has 450 MB.
_IN_MEMORY = 32 * 1024**2


@contextlib.contextmanager
def gathered(pieces: Iterable[bytes]) -> Iterator[bytes | mmap.mmap]:
    """All pieces as one buffer: in memory up to 32 MiB, beyond in an unnamed file that is mapped.

    Raises:
        OSError: the file cannot be written.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        size = sum(map(file.write, pieces))
        if size <= _IN_MEMORY:
            file.seek(0)
            yield file.read()
            return
        file.flush()
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield buffer
        finally:
            with contextlib.suppress(BufferError):  # an error's traceback may still hold a view
                buffer.close()
