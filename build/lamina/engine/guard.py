"""Removes an image of a temporary name, with its containers, when who made it is gone, however that happened.

An engine removes a container when its stream ends, but keeps an image for ever: so another process, in a session of its
own, which neither Ctrl-C nor a kill of lamina reaches, waits for the end of a pipe.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from lamina.engine.connect import connect
from lamina.errors import LaminaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Said by who needs no guard any more.
_DONE = b"."
#: Seconds in which the engine may still be taking in what was sent to it.
_SETTLING = 15.0


@contextlib.contextmanager
def guarded(name: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Have an image called ``name`` removed if this process ends within, without a word.

    The labels of its containers begin with the name's tag.
    """
    command = [sys.executable, "-m", "lamina.engine.guard", name]
    with subprocess.Popen(  # noqa: S603 - ourselves
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows, where there are no sessions
    ) as guard:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                guard.communicate(_DONE)


def main() -> None:
    """Wait, and remove what is there unless it was done with."""
    if sys.stdin.buffer.read() == _DONE:
        return
    until = time.monotonic() + _SETTLING
    with contextlib.suppress(LaminaError), contextlib.closing(connect(os.environ)) as engine:
        name = sys.argv[1]
        while time.monotonic() < until:
            engine.remove_all(name.rpartition(":")[2])
            if engine.images.release(name):
                return
            time.sleep(0.5)


if __name__ == "__main__":
    main()
