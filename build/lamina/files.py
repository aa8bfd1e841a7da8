"""Files that appear whole or not at all: written beside, then renamed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_ABANDONED = 60 * 60  # seconds after which nobody can still be writing a file


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A hidden name in the same folder, renamed to ``path`` when the block ends well, removed otherwise.

    What a killed build left under such a name is removed as soon as an hour has passed.
    """
    for left in path.parent.glob(".*.unfinished"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    unfinished = path.parent / f".{path.name}.{os.getpid()}.unfinished"
    try:
        yield unfinished
        replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with beside(path) as unfinished:
        unfinished.write_bytes(content)


def replace(source: Path, target: Path) -> None:
    """Rename over ``target``. On Windows a file that somebody reads cannot be replaced at once: try for two seconds."""
    for attempt in range(20):
        try:
            source.replace(target)
        except PermissionError:
            if os.name != "nt" or attempt == 19:  # noqa: PLR2004
                raise
            time.sleep(0.1)
        else:
            return
