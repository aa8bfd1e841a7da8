"""Files that appear whole or not at all: written beside, then renamed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_ABANDONED = 60 * 60  # seconds after which nobody can still be writing a file, where locks cannot tell


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A hidden name in the same folder, renamed to ``path`` when the block ends well, removed otherwise.

    What a killed build left under such a name is removed by the next one.
    """
    for left in path.parent.glob(".*.unfinished"):
        with contextlib.suppress(OSError):
            if _is_abandoned(left):
                left.unlink()
    unfinished = path.parent / f".{path.name}.{os.getpid()}.unfinished"
    with _claim(unfinished) as held:
        try:
            yield unfinished
            if os.name == "nt":  # which renames no file that is open
                held.close()
            replace(unfinished, path)
        finally:
            held.close()
            unfinished.unlink(missing_ok=True)


def _claim(path: Path) -> IO[bytes]:
    """Create an unfinished file and mark it as being written. The mark goes with the process, however that ends."""
    while True:
        held = path.open("ab")
        with contextlib.suppress(ImportError, OSError):  # Windows; file systems without locks
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held.fileno()), path.stat()):
                return held
        held.close()  # another build took it for abandoned before it was marked


def _is_abandoned(path: Path) -> bool:
    """Whether nobody writes the unfinished file any more."""
    try:
        import fcntl
    except ImportError:
        return True  # Windows removes no file that somebody has open
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return time.time() - path.stat().st_mtime > _ABANDONED
    return True


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
