"""The attached stream of a container, and what an engine says when it refuses."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_TOLD = 500
#: Errors within errors: requests, urllib3 and the SDK wrap one another's.
_DEEP = 6


class Attached:
    """The attached stream, whatever the SDK has made of it; closing it ends a read that waits."""

    def __init__(self, given: Any) -> None:  # noqa: ANN401 - a socket, a wrapper of one, or a pipe of Windows
        self._given = given
        self._socket = getattr(given, "_sock", given)
        if hasattr(self._socket, "settimeout"):
            self._socket.settimeout(None)

    def recv(self, size: int, /) -> bytes:
        """What came, nothing at the end."""
        return bytes(self._socket.recv(size))

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # The SDK ties the answer's own layers to the socket; each is closed, from the outermost.
        layers: list[Any] = [getattr(self._given, "_response", None), self._given, self._socket]
        for one in layers:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                one.close()


def told(error: BaseException) -> str:
    """What an engine or the way to it says, in one line."""
    system = next((one.strerror for one in _within(error, _DEEP) if isinstance(one, OSError) and one.strerror), None)
    said = getattr(error, "explanation", None) or system or str(error)
    return " ".join(str(said).split())[:_MOST_TOLD]


def _within(error: BaseException, deep: int) -> Iterator[BaseException]:
    """An error and those that it wraps: ``Connection aborted`` says less than ``Permission denied``."""
    yield error
    if deep:
        for inner in (*error.args, error.__cause__):
            if isinstance(inner, BaseException):
                yield from _within(inner, deep - 1)
