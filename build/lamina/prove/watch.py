"""Which files below a folder are opened, by whatever process and code: Python, C, the loader; in order of their first.

The kernel tells (inotify(7)), so nothing is put into the processes that are watched. It sees a folder wherever it is
mounted: in namespaces, and in containers whose engine runs on the same kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from lamina.errors import MissingToolError
from lamina.interpreters import this_host

_OPEN, _OVERFLOW, _ONLYDIR, _DONT_FOLLOW, _ISDIR = 0x20, 0x4000, 0x1000000, 0x2000000, 0x40000000
_EVENT = struct.Struct("iIII")
_CHUNK = 1 << 20
_LIMITS = "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances (sysctl), then run it again."


class Watch:
    """What was opened below ``root`` since this was made; made by :func:`watching`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[str, None] = {}
        self._folders: dict[int, str] = {}
        self._lost = False
        self._lock = threading.Lock()
        self._kernel = self._open()
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        """Begin to watch every folder there.

        Raises:
            MissingToolError: there are more folders than this user may watch.
        """
        libc = _libc()
        # All are found first: to look into a folder that is watched puts an event into a queue that nobody reads yet.
        for folder in [folder for folder, _, _ in os.walk(self._root)]:
            inside = os.path.relpath(folder, self._root)
            mask = _OPEN | _ONLYDIR | _DONT_FOLLOW
            number = libc.inotify_add_watch(self._kernel, os.fsencode(folder), ctypes.c_uint32(mask))
            if number < 0:
                raise _refused()
            self._folders[number] = "" if inside == "." else f"{inside}/"
        self._thread.start()

    def opened(self) -> list[str]:
        """The files that were opened so far, relative to the folder, in order.

        Raises:
            MissingToolError: so many were at once that the kernel lost count.
        """
        with self._lock:
            self._take()
            if self._lost:
                raise MissingToolError(
                    "so many files are opened at once that the kernel loses count of them",
                    hint="Raise fs.inotify.max_queued_events (sysctl), then run it again.",
                )
            return list(self._seen)

    def close(self) -> None:
        """Watch no longer."""
        os.close(self._end)
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._ended)
        os.close(self._kernel)

    @staticmethod
    def _open() -> int:
        libc = _libc()
        kernel: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if kernel < 0:
            raise _refused()
        return kernel

    def _follow(self) -> None:
        """Take what comes, so that the kernel's queue never fills."""
        while True:
            ready, _, _ = select.select([self._kernel, self._ended], [], [])
            if self._ended in ready:
                return
            with self._lock:
                self._take()

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while content := os.read(self._kernel, _CHUNK):
                at = 0
                while at < len(content):
                    folder, mask, _, length = _EVENT.unpack_from(content, at)
                    at += _EVENT.size + length
                    name = os.fsdecode(content[at - length : at].rstrip(b"\0"))
                    self._lost = self._lost or bool(mask & _OVERFLOW)
                    if mask & _OPEN and not mask & _ISDIR and name:
                        self._seen[self._folders[folder] + name] = None


@contextlib.contextmanager
def watching(root: Path) -> Iterator[Watch]:
    """Watch all that is opened below ``root``, whose folders do not change.

    Raises:
        MissingToolError: this is no Linux, or its limits do not allow it.
    """
    watch = Watch(root)
    try:
        watch.start()
        yield watch
    finally:
        watch.close()


def _libc() -> ctypes.CDLL:
    if this_host().system != "linux":
        raise MissingToolError("which files of a layer are opened can be seen on Linux alone", hint="Trace on Linux.")
    return ctypes.CDLL(None, use_errno=True)


def _refused() -> MissingToolError:
    number = ctypes.get_errno()
    what = {errno.ENOSPC: "more folders than one user may watch", errno.EMFILE: "too many watches of this user"}
    return MissingToolError(f"inotify: {what.get(number, os.strerror(number))}", hint=_LIMITS)
