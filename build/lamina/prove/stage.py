"""Artefacts unpacked, once for each of their digests: the tree that a sandbox shows at ``/opt`` or ``/var/task``.

A tree stands in the store below the digest of what it is made from. Beside it stands an index with the size, mode and
time of each of its files, written last: a tree that lacks it, or no longer agrees with it, is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lamina.archive import Entry as Zipped
from lamina.archive import check_collisions, check_name, content, data_offset, naming, read_directory
from lamina.errors import IntegrityError, UnsafeWheelError
from lamina.zipformat import DEFLATED, STORED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from zipfile import ZipInfo

    from lamina.lock import LockedWheel
    from lamina.store import Store

#: Counted up with every change of what a tree holds; it is part of every tree's name.
FORMAT = 1

_KIND = "stages"
_FLAG_ENCRYPTED, _FLAG_STRONG = 0x1, 0x40
#: PATH_MAX of Linux, in bytes.
_MOST_TARGET_BYTES = 4096
#: Where a wheel's installation schemes lead in a layer; headers and scripts are not imported (PEP 427).
_SCHEMES = ("purelib", "platlib")


class Source(NamedTuple):
    """A zip to unpack. ``sha256`` is that of its bytes; ``place`` turns a name in it into one in the tree, or ``None``.

    ``name`` is what messages call it; ``role`` tells two ways of placing apart, as part of the tree's key.
    """

    path: Path
    sha256: str
    name: str
    role: str = "zip"
    place: Callable[[str], str | None] = lambda name: name


class _File(msgspec.Struct, frozen=True, array_like=True):
    """What a file of a tree looked like when it was made: size in bytes, mode, time in nanoseconds."""

    path: str
    size: int
    mode: int
    mtime: int


def zips(paths: Sequence[Path]) -> list[Source]:
    """Layer or function zips as sources, in the order in which Lambda unpacks them over each other.

    Raises:
        OSError: one cannot be read.
    """
    found = []
    for path in paths:
        with path.open("rb", buffering=0) as file:
            found.append(Source(path, hashlib.file_digest(file, "sha256").hexdigest(), path.name))
    return found


def wheels(locked: Sequence[LockedWheel], paths: dict[str, Path], folder: str) -> list[Source]:
    """Wheels as sources, whole and unpruned, below ``folder`` (``python`` for a layer, nothing for a stand-in)."""
    return [
        Source(paths[wheel.sha256], wheel.sha256, wheel.filename, f"wheel {folder}", _installed(folder))
        for wheel in locked
    ]


def _installed(folder: str) -> Callable[[str], str | None]:
    """Where a wheel's file goes; ``None`` for what no import ever sees."""
    prefix = f"{folder}/" if folder else ""

    def place(name: str) -> str | None:
        top, _, rest = name.partition("/")
        if not top.endswith(".data") or not rest:
            return prefix + name
        scheme, _, below = rest.partition("/")
        return prefix + below if scheme in _SCHEMES and below else None

    return place


def key_of(sources: Sequence[Source]) -> str:
    """The name of the tree made from these zips, in this order, by this version."""
    lines = [f"stage {FORMAT}", *(f"{source.role} {source.sha256}" for source in sources)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def unpacked(store: Store, sources: Sequence[Source]) -> Path:
    """The tree of these zips, later ones over earlier ones; made where it is missing or damaged.

    Raises:
        IntegrityError: a zip is damaged, or is not the one that its digest says.
        UnsafeWheelError: a zip holds what must never be unpacked.
    """
    key = key_of(sources)
    tree, index = store.path(_KIND, key), store.path(_KIND, key, ".index")
    if _stands(store, tree, index):
        store.touch([index])
        return tree
    with store.exclusive(key):
        if _stands(store, tree, index):
            return tree
        with contextlib.suppress(OSError):
            index.unlink()
        store.sweep()
        with store.create_tree(tree) as beside:
            beside.mkdir()
            for source in sources:
                _verify(source)
                _unpack(source, beside)
            files = [*_files(beside)]
        store.save(index, msgspec.msgpack.encode(files))
    return tree


def _verify(source: Source) -> None:
    with source.path.open("rb", buffering=0) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source.sha256:
        raise IntegrityError(
            f"{source.name}: has SHA-256 {found}, not {source.sha256}", hint="Build or fetch it anew, then prove again."
        )


def _stands(store: Store, tree: Path, index: Path) -> bool:
    """Whether every file of the tree is there as it was made, and no other. Looks at each, reads none."""
    raw = store.load(index)
    try:
        return raw is not None and msgspec.msgpack.decode(raw, type=list[_File]) == [*_files(tree)]
    except (msgspec.MsgspecError, OSError):
        return False


def _files(tree: Path) -> Iterator[_File]:
    """Every file and link below ``tree``, by path."""
    root = str(tree)
    for parent, folders, names in os.walk(root):
        folders.sort()
        for name in sorted([*names, *(each for each in folders if os.path.islink(os.path.join(parent, each)))]):  # noqa: PTH114, PTH118
            path = f"{parent}/{name}"
            facts = os.lstat(path)
            yield _File(path[len(root) + 1 :], facts.st_size, facts.st_mode, facts.st_mtime_ns)


def _unpack(source: Source, tree: Path) -> None:
    """Write every entry of a zip into the tree, and its modes; links last, so that nothing is written through one."""
    infos, end = read_directory(source.path, source.name)
    links: list[tuple[str, str]] = []
    placed = [(info, source.place(info.orig_filename)) for info in infos]
    kept = [(info, place) for info, place in placed if place is not None]
    for info, place in kept:
        with naming(source.name, info.orig_filename):
            check_name(info.orig_filename)
            check_name(place)
    check_collisions(source.name, (place for info, place in kept if not place.endswith("/")))
    with source.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        for info, place in kept:
            with naming(source.name, info.orig_filename):
                entry = _entry(info, end, buffer)
            if place.endswith("/"):
                _parents(tree, f"{place}.", source.name)
            elif stat.S_IFMT(info.external_attr >> 16) == stat.S_IFLNK:
                links.append((place, _target(source, entry, place, buffer)))
            else:
                _write(_parents(tree, place, source.name), source, entry, buffer, info.external_attr >> 16 & 0o777)
    for place, target in links:
        path = _parents(tree, place, source.name)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        path.symlink_to(target)


def _entry(info: ZipInfo, end: int, buffer: mmap.mmap) -> Zipped:
    if info.flag_bits & (_FLAG_ENCRYPTED | _FLAG_STRONG):
        raise UnsafeWheelError("is encrypted")
    if info.compress_type not in (STORED, DEFLATED):
        raise UnsafeWheelError(f"is compressed by method {info.compress_type}")
    offset = data_offset(info, buffer)
    if offset + info.compress_size > end:
        raise UnsafeWheelError("its data overlaps the directory")
    return Zipped(info.orig_filename, info.compress_type, info.CRC, info.compress_size, info.file_size, offset)


def _target(source: Source, entry: Zipped, place: str, buffer: mmap.mmap) -> str:
    """Where a link leads: to somewhere in the same tree, or the zip is refused."""
    if entry.size > _MOST_TARGET_BYTES:
        raise UnsafeWheelError(f"{source.name}: {place!r}: a link with a target of {entry.size:,} bytes")
    target = b"".join(content(buffer, entry, source.name)).decode("utf-8", errors="surrogateescape")
    inside = os.path.normpath(os.path.join(os.path.dirname(place), target))  # noqa: PTH118, PTH120 - names, not paths
    if target.startswith("/") or inside.split("/")[0] == ".." or not target or "\0" in target:
        raise UnsafeWheelError(f"{source.name}: {place!r}: a link that leaves the layer")
    return target


def _parents(tree: Path, place: str, name: str) -> Path:
    """The path of a file in the tree, with its folders made; none of them may be a link of an earlier zip."""
    path = tree / place
    folder = tree
    for part in place.split("/")[:-1]:
        folder /= part
        if folder.is_symlink() or folder.is_file():
            raise UnsafeWheelError(f"{name}: {place!r}: a folder here, a file or link in a layer below")
        folder.mkdir(exist_ok=True)
    return path


def _write(path: Path, source: Source, entry: Zipped, buffer: mmap.mmap, mode: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with path.open("xb") as out:
        for chunk in content(buffer, entry, source.name):
            out.write(chunk)
        os.fchmod(out.fileno(), mode | 0o444 if mode else 0o644)
