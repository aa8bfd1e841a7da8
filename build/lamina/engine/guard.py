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
    from collections.abc import Callable, Iterator, Mapping

#: Said by who needs no guard any more.
_DONE = b"."
#: Seconds in which an engine may be at what was sent to it: it unpacks gigabytes after the last byte has come.
_LOADING = 600.0
#: Seconds in which it may still make a container of an image that is gone, as it was asked to before.
_SETTLING = 30.0
#: Seconds between two looks, the first and the longest.
_SOON, _LATER = 0.1, 5.0


@contextlib.contextmanager
def guarded(name: str, environment: Mapping[str, str]) -> Iterator[Callable[[str], None]]:
    """Have an image called ``name`` removed if this process ends within, without a word, or is interrupted.

    The labels of its containers begin with the name's tag. What is given is to be told its id, once it is there.
    """
    command = [sys.executable, "-m", "lamina.engine.guard", name]
    guard = subprocess.Popen(  # noqa: S603 - ourselves
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows, where there are no sessions
    )

    def tell(identity: str) -> None:
        if guard.stdin is not None:
            with contextlib.suppress(OSError):
                guard.stdin.write(identity.encode())
                guard.stdin.flush()

    done = False
    try:
        yield tell
        done = True
    except Exception:
        done = True
        raise
    finally:
        with contextlib.suppress(OSError):
            if done:
                guard.communicate(_DONE)
            elif guard.stdin is not None:  # interrupted: the engine may still be at what it was asked for
                guard.stdin.close()


def main() -> None:
    """Wait, and remove what is there unless it was done with."""
    said = sys.stdin.buffer.read()
    if not said.endswith(_DONE):
        clear(sys.argv[1], said.decode() or None, os.environ)


def clear(name: str, known: str | None, environment: Mapping[str, str]) -> None:
    """Remove an image, whose id may be known, and its containers, those as well that come only now.

    An engine finishes what it was asked for, though nobody listens any more: a name appears when all layers are
    unpacked; a container that is made while the image is removed keeps it, without its name. So one removal is not
    the end, nor is an engine that does not answer.
    """
    until = time.monotonic() + _LOADING
    pause = _SOON
    while time.monotonic() < until:
        with contextlib.suppress(LaminaError), contextlib.closing(connect(environment)) as engine:
            engine.remove_all(name.rpartition(":")[2])
            known = engine.images.identity(name) or known
            if known is not None and engine.images.drop(name, known):
                until = min(until, time.monotonic() + _SETTLING)
        time.sleep(pause)
        pause = min(2 * pause, _LATER)


if __name__ == "__main__":
    main()
