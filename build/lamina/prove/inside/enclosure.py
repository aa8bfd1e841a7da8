"""Namespaces, and the file system that a job sees in them: Lambda's folders, over the host's system, read-only.

Sources: unshare(2), user_namespaces(7), mount_namespaces(7), mount_setattr(2), pivot_root(2), netdevice(7).
"""

from __future__ import annotations

import ctypes
import fcntl  # all of it at once: later the interpreter is elsewhere
import os
import socket
import struct
from typing import Any

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_DETACH = 2
# The same numbers on x86_64 and aarch64, as of every system call since Linux 5.1.
_SYS_MOUNT_SETATTR = 442
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

#: Where the new root is made: a folder that every host has; what is mounted there is in this namespace only.
_NEW = "/tmp"  # noqa: S108

_libc = ctypes.CDLL(None, use_errno=True)


def separate(uid: int, gid: int, *, network: bool) -> None:
    """Leave the host's namespaces; the user becomes ``uid`` and ``gid``, and may mount in its own.

    With ``network`` that of the host stays.

    Raises:
        OSError: the kernel, or its administrator, does not allow it.
    """
    outer_uid, outer_gid = os.getuid(), os.getgid()
    _call("unshare", _NEWUSER | _NEWNS | _NEWPID | (0 if network else _NEWNET) | _NEWIPC | _NEWUTS)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {outer_uid} 1")
    _write("/proc/self/gid_map", f"{gid} {outer_gid} 1")


def build(root: dict[str, Any]) -> None:
    """Make the file system and go into it.

    ``system`` are folders of the host that are seen as they are; ``binds`` pairs of a source and its place;
    ``folders`` are empty ones, ``files`` text by path; ``over`` pairs of one of those files and what it covers;
    ``tmp`` is the size of ``/tmp`` in bytes.

    Raises:
        OSError: something cannot be mounted; its ``filename`` says what.
    """
    _mount(None, "/", None, _REC | _PRIVATE)
    # Held open, for a source can stand below the folder where the new root is made.
    held = [(os.open(source, os.O_PATH), place) for source, place in root["binds"]]
    devices = [(os.open(f"/dev/{name}", os.O_PATH), f"/dev/{name}") for name in root["devices"]]
    links = [(path, os.readlink(path)) for path in root["system"] if os.path.islink(path)]  # noqa: PTH114, PTH115
    held += [(os.open(path, os.O_PATH), path) for path in root["system"] if not os.path.islink(path)]  # noqa: PTH114
    _mount("tmpfs", _NEW, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=1m")
    _furnish(root, links)
    # Shallow places first: the interpreter's, then what stands in it.
    for source, place in sorted(held, key=lambda pair: pair[1].count("/")):
        os.makedirs(_NEW + place, exist_ok=True)  # noqa: PTH103
        _bind(source, _NEW + place)
    for source, place in devices:
        _write(_NEW + place, "", os.O_CREAT)
        _mount(f"/proc/self/fd/{source}", _NEW + place, None, _BIND)
    for path, covered in root["over"]:
        if os.path.exists(_NEW + covered):  # noqa: PTH110
            _mount(_NEW + path, _NEW + covered, None, _BIND)
    _mount("proc", f"{_NEW}/proc", "proc", _NOSUID | _NODEV)
    _mount("tmpfs", _NEW + _NEW, "tmpfs", _NOSUID | _NODEV, f"mode=1777,size={root['tmp']}")
    for descriptor, _ in (*held, *devices):
        os.close(descriptor)
    _move()


def _furnish(root: dict[str, Any], links: list[tuple[str, str]]) -> None:
    """Make the folders, files and links of the new root itself."""
    for path in ("/proc", _NEW, "/dev", "/.host", *root["folders"]):
        os.makedirs(_NEW + path, exist_ok=True)  # noqa: PTH103
    for path, text in root["files"].items():
        _write(_NEW + path, text, os.O_CREAT)
    for path, target in links:
        os.symlink(target, _NEW + path)  # noqa: PTH211


def _move() -> None:
    """Go into the new root, and leave the host's behind."""
    os.chdir(_NEW)
    if _libc.syscall(_SYS_PIVOT_ROOT[os.uname().machine], b".", b".host"):
        raise _failure("/")
    if _libc.umount2(b"/.host", _DETACH):
        raise _failure("/.host")
    os.rmdir("/.host")  # noqa: PTH106
    _mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def loopback_up() -> None:
    """Bring up the only network that is left.

    Raises:
        OSError: the kernel refuses.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        name, flags = struct.unpack("16sH", fcntl.ioctl(asked, _SIOCGIFFLAGS, struct.pack("16sH", b"lo", 0)))
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("16sH", name, flags | _IFF_UP))


def _bind(source: int, place: str) -> None:
    """Show a folder, with what is mounted in it, read-only."""
    _mount(f"/proc/self/fd/{source}", place, None, _BIND | _REC)
    attributes = struct.pack("QQQQ", _ATTR_RDONLY | _ATTR_NOSUID, 0, 0, 0)
    if _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, place.encode(), _AT_RECURSIVE, attributes, len(attributes)):
        # Linux below 5.12: the folder itself. What the host's own mount forbids must stay forbidden.
        kept = os.statvfs(place).f_flag & 0xF
        _mount(None, place, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | kept)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind)]
    if _libc.mount(*encoded, ctypes.c_ulong(flags), data.encode()):
        raise _failure(target)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments):
        raise _failure(name)


def _failure(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)


def _write(path: str, text: str, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
