"""The file system of an image: layers applied in order, each a tar of what it adds and what it takes away.

Source: OCI image-spec, "Image Layer Filesystem Changeset". Content is looked at where Lambda or its loader reads it:
native files, sources and metadata below the folders of functions, layers and the runtime, and shared libraries in the
loader's folders. Of all other files path, size and mode are taken.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import TYPE_CHECKING

from lamina.archive import MOST_ENTRIES
from lamina.artefact.content import Sight, look_at
from lamina.audit.model import Item
from lamina.errors import IntegrityError
from lamina.oci.tars import FILE, FOLDER, HARD_LINK, LINK, Member, Tar
from lamina.target import quotas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina.artefact.gathered import Gathered

_JUDGED = re.compile(r"(?:opt|var/(?:task|lang|runtime))/")
#: The standard library: what it imports is not judged, and to read all of it takes seconds.
_STANDARD = re.compile(r"var/lang/lib/python3\.\d+/(?!site-packages/)")
_LOADED = re.compile(r"(?:usr/)?lib(?:64)?/(?:[^/]+-linux-gnu/)?[^/]+\.so(?:\.[^/]*)?")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_CHUNK = 1024 * 1024


class Tree:
    """What the layers so far make together."""

    def __init__(self) -> None:
        self.nodes: dict[str, tuple[Item, Sight]] = {}
        #: Bytes unpacked so far, of all layers.
        self.unpacked = 0

    def take_away(self, paths: set[str], below: set[str]) -> None:
        """Remove ``paths`` with all that is below them, and all that is below ``below``."""
        if paths or below:
            self.nodes = {path: node for path, node in self.nodes.items() if not _is_gone(path, paths, below)}

    def pour(self, gathered: Gathered) -> None:
        """Hand what is there to the artefact."""
        for path, (item, sight) in self.nodes.items():
            gathered.items[path] = item
            gathered.saw(path, sight)


def apply(pieces: Iterator[bytes], tree: Tree, gathered: Gathered, where: str, *, sources: bool) -> str:
    """Apply one layer to the tree, and return the digest of its tar, ``sha256:…``; ``where`` is how messages call it.

    What the layer holds before it breaks off is applied all the same.

    Raises:
        IntegrityError: the layer cannot be read to its end.
    """
    stream = _Unpacked(pieces, tree)
    added: dict[str, tuple[Item, Sight]] = {}
    gone: set[str] = set()
    below: set[str] = set()
    try:
        tar = Tar(stream)
        for member in tar:
            path = _path(member.name)
            if path is None:
                gathered.unsafe(member.name, f"a path of {where} that leaves the image")
                continue
            if not path:
                continue
            folder, _, name = path.rpartition("/")
            if name == _OPAQUE:
                below.add(folder)
            elif name.startswith(_WHITEOUT):
                gone.add(f"{folder}/{name[len(_WHITEOUT) :]}".removeprefix("/"))
            else:
                node = _node(path, member, tar, added, tree, gathered if sources else None)
                if node is None:
                    gathered.damaged(path, f"is a hard link of {where} to a file that is not there")
                    continue
                added[path] = node
                _check_number(len(added) + len(tree.nodes))
        stream.drain()
    except IntegrityError as error:
        raise IntegrityError(f"{where}: {error.message}", hint=error.hint) from error
    finally:
        replaced = {path for path, (item, _) in added.items() if item.kind != "folder" and path in tree.nodes}
        tree.take_away(gone | replaced, below)
        tree.nodes |= added
    return stream.digest


def _node(
    path: str,
    member: Member,
    tar: Tar,
    added: dict[str, tuple[Item, Sight]],
    tree: Tree,
    gathered: Gathered | None,
) -> tuple[Item, Sight] | None:
    """What a member is; ``None`` for a hard link to nothing. Sources are read as far as ``gathered`` affords them."""
    if member.type == FOLDER:
        return Item(path, "", 0, member.mode, "folder"), Sight()
    if member.type == LINK:
        return Item(path, "", 0, member.mode, "link", member.link), Sight()
    if member.type == HARD_LINK:
        target = _path(member.link) or ""
        found = added.get(target) or tree.nodes.get(target)
        return None if found is None else (found[0]._replace(path=path), found[1])
    if member.type not in FILE:
        return Item(path, "", 0, member.mode), Sight()  # a device or pipe: an image may have them
    item = Item(path, "", member.size, member.mode)
    judged = bool(_JUDGED.match(path))
    if not judged and not _LOADED.fullmatch(path):
        return item, Sight()
    scanned = judged and not _STANDARD.match(path)
    sources = scanned and gathered is not None and gathered.affords(path, member.size)
    return item, look_at(path, member.size, tar.pieces(), sources=sources)


def _check_number(nodes: int) -> None:
    """Two layers may state each file."""
    if nodes > 2 * MOST_ENTRIES:
        raise IntegrityError(f"has more than {2 * MOST_ENTRIES:,} files; lamina reads no more")


def _path(name: str) -> str | None:
    """The path from the image's root without the first slash, empty for the root; ``None`` where it leaves it."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    return None if ".." in parts else "/".join(parts)


def _is_gone(path: str, paths: set[str], below: set[str]) -> bool:
    if path in paths or "" in below:
        return True
    while path := path.rpartition("/")[0]:
        if path in paths or path in below:
            return True
    return False


class _Unpacked:
    """A layer as a stream of its tar: inflated where it is gzip, and hashed on the way."""

    def __init__(self, pieces: Iterator[bytes], tree: Tree) -> None:
        self._pieces = pieces
        self._tree = tree
        self._sha256 = hashlib.sha256()
        self._most = quotas().image
        self._chunks = self._inflate()
        self._held = bytearray()

    @property
    def digest(self) -> str:
        """Of all that was read so far."""
        return f"sha256:{self._sha256.hexdigest()}"

    def read(self, size: int, /) -> bytes:
        """The next bytes, fewer than ``size`` only at the end."""
        while len(self._held) < size and (chunk := next(self._chunks, b"")):
            self._tree.unpacked += len(chunk)
            if self._tree.unpacked > self._most:
                raise IntegrityError(f"unpacks to more than {self._most:,} bytes, which is all that Lambda takes")
            self._sha256.update(chunk)
            self._held += chunk
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def skip(self, size: int, /) -> bool:
        """Pass over that many bytes; false where there are fewer."""
        while size and (taken := len(self.read(min(size, _CHUNK)))):
            size -= taken
        return not size

    def drain(self) -> None:
        """Read what stands behind the end of the tar."""
        while self.read(_CHUNK):
            pass

    def _inflate(self) -> Iterator[bytes]:
        first = next(self._pieces, b"")
        if first.startswith(_ZSTD):
            raise IntegrityError(
                "is compressed with zstd, which lamina does not read and Lambda is not known to",
                hint="Build the image with gzip layers: docker buildx build --output type=oci,compression=gzip,"
                "force-compression=true,dest=image.tar .",
            )
        if not first.startswith(_GZIP):
            yield first
            yield from self._pieces
            return
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        pending = first
        while pending or (pending := next(self._pieces, b"")):
            if inflater.eof:  # gzip files may follow each other (RFC 1952, 2.2)
                if not pending.strip(b"\0"):
                    pending = b""
                    continue
                inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
            try:
                chunk = inflater.decompress(pending, _CHUNK)
            except zlib.error as error:
                raise IntegrityError(f"does not inflate: {error}") from error
            pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            if chunk:
                yield chunk
        while not inflater.eof:
            chunk = inflater.decompress(b"", _CHUNK)
            if not chunk:
                raise IntegrityError("its compressed data breaks off")
            yield chunk
