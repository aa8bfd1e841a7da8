"""plan → the layer of dependencies, pack → the layer of the function; each made once and remembered.

A layer is a tar, compressed as one gzip member. That of the dependencies holds the very entries of the layer zip, below
``opt/``; it is remembered by its plan, so that after a change of the handler only the small one is made.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lamina import tarformat as tars
from lamina.emit import stated
from lamina.oci.model import OCI_LAYER, Descriptor, Layer
from lamina.plan import Plan
from lamina.planner import Planner
from lamina.store import Store

if TYPE_CHECKING:
    from lamina.function.pack import Pack
    from lamina.part.model import Facts

#: Counted up with every change of what a layer holds.
_FORMAT = 1
_CHUNK = 1024 * 1024


class _Made(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a layer: digests, sizes in bytes, number of files, the licences of its packages."""

    sha256: str
    size: int
    diff_id: str
    unpacked: int
    files: int
    licences: str


class Made:
    """A layer in the store. ``unpacked`` is the size of its tar in bytes, ``licences`` an SPDX expression or empty."""

    def __init__(self, path: Path, made: _Made) -> None:
        self.layer = Layer(Descriptor(OCI_LAYER, f"sha256:{made.sha256}", made.size), f"sha256:{made.diff_id}", path)
        self.unpacked, self.files, self.licences = made.unpacked, made.files, made.licences

    def is_sound(self) -> bool:
        """Whether the file still has its digest. Reads all of it."""
        try:
            with self.layer.path.open("rb", buffering=0) as file:
                return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == self.layer.descriptor.digest
        except OSError:
            return False

    def forget(self) -> None:
        """Take it out of the store."""
        self.layer.path.unlink(missing_ok=True)


def dependencies(planner: Planner, plan: Plan) -> Made:
    """The layer of what the recipe requires, as the plan says.

    Raises:
        IndexAccessError, IntegrityError, UnsafeWheelError: as :meth:`lamina.planner.Planner.write`.
    """
    key = _key("dependencies", planner.key)
    known = _recall(planner.store, key)
    if known is not None:
        return known
    planner.progress.stage("making the layer of the dependencies")
    with planner.store.workplace() as folder:
        planner.write(plan, folder / "layer.zip")
        with zipfile.ZipFile(folder / "layer.zip") as archive:
            return _make(planner.store, key, folder, _entries(archive), _licences(planner))


def function(pack: Pack, store: Store) -> Made:
    """The layer of the function's own files."""
    key = _key("function", pack.sha256)
    known = _recall(store, key)
    if known is not None:
        return known
    with store.workplace() as folder:
        files = [tars.held(f"var/task/{file.path}", file.content, file.mode) for file in pack.files]
        return _make(store, key, folder, files, "")


def _make(store: Store, key: str, folder: Path, files: list[tars.File], licences: str) -> Made:
    path = store.path("layers", key, ".tar.gz")
    tar = folder / "layer.tar"
    with tar.open("wb") as out:
        plain = tars.write(files, out)
    with store.create(path) as beside:
        packed = tars.gzip(tar, beside)
    made = _Made(packed.sha256, packed.size, plain.sha256, plain.size, len(files), licences)
    store.save(store.path("layers", key, ".made"), msgspec.msgpack.encode(made))
    return Made(path, made)


def _recall(store: Store, key: str) -> Made | None:
    path, about = store.path("layers", key, ".tar.gz"), store.path("layers", key, ".made")
    content = store.load(about)
    try:
        made = None if content is None else msgspec.msgpack.decode(content, type=_Made)
        if made is None or path.stat().st_size != made.size:
            return None
    except (OSError, msgspec.MsgspecError):
        return None
    store.touch([path, about])
    return Made(path, made)


def _key(what: str, made_from: str) -> str:
    import deflate

    text = f"image layer {_FORMAT} {tars.FORMAT}\ndeflate {deflate.__version__}\n{what} {made_from}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def _entries(archive: zipfile.ZipFile) -> list[tars.File]:
    """The files and links of the layer zip, at their places in the image."""
    files = []
    for info in archive.infolist():
        path, mode = f"opt/{info.filename}", info.external_attr >> 16
        if stat.S_ISLNK(mode):
            files.append(tars.link(path, archive.read(info).decode()))
        else:
            files.append(tars.File(path, mode & 0o777, info.file_size, partial(_read, archive, info)))
    return files


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as file:
        yield from iter(partial(file.read, _CHUNK), b"")


def _licences(planner: Planner) -> str:
    """The licences of all packages that ship, where each states an SPDX expression (PEP 639)."""
    parts, decisions = planner.decisions()
    shipping = [
        facts
        for (index, facts), said in zip(parts, decisions, strict=True)
        if sum(decision.dropped for decision in said) < len(index.entries)
    ]
    return expression(shipping)


def expression(packages: Iterable[Facts]) -> str:
    """One SPDX expression for all packages together; empty where one of them states none."""
    found: set[str] = set()
    for facts in packages:
        licence = stated.licence(facts.metadata)
        if licence.source != "License-Expression":
            return ""
        found.update(licence.values)
    wrapped = sorted(found)
    if len(wrapped) > 1:
        wrapped = [f"({one})" if " OR " in one.upper() else one for one in wrapped]
    return " AND ".join(wrapped)
