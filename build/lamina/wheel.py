"""A wheel as it lies on disk: its entries, checked before anything believes them, and its metadata.

A wheel is hostile until checked. The names of its entries, their sizes, their checksums and its RECORD are claims of
whoever made it; each is held against the bytes, and one that does not hold ends in an error that names wheel and entry.
Nothing is ever written to a path taken from a wheel. The zip itself is :mod:`lamina.archive`'s.

Sources: the binary distribution format (packaging.python.org/specifications/binary-distribution-format) and PEP 427.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import mmap
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from lamina.archive import REPORT, Entry, content, directory
from lamina.errors import IntegrityError, UnsafeWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from email.message import Message
    from pathlib import Path

__all__ = ["MOST_METADATA_BYTES", "Entry", "Wheel", "hasher", "open_wheel", "sha256_of_record"]

#: No wheel needs more for all files of its ``.dist-info`` folder; RECORD of the largest known wheels is under 3 MiB.
MOST_METADATA_BYTES = 64 * 1024**2


class Wheel:
    """An open wheel whose directory has been checked; use :func:`open_wheel`.

    ``size`` is the wheel's own, in bytes. ``entries`` are its files in the order of their data, folders left out.
    ``dist_info`` is the name of that top-level folder; ``data_folders`` are those of installation schemes, of which a
    wheel has one or none.
    """

    def __init__(self, filename: str, buffer: mmap.mmap, entries: tuple[Entry, ...]) -> None:
        import wheel_filename
        from packaging.utils import canonicalize_name

        try:
            parsed = wheel_filename.WheelFilename.parse(filename)
        except wheel_filename.ParseError as error:
            raise UnsafeWheelError(f"{filename}: not the name of a wheel", hint=REPORT) from error
        self.filename = filename
        self.size = len(buffer)
        self.entries = entries
        self._buffer = buffer
        self._by_name = {entry.name: entry for entry in entries}
        self.name = canonicalize_name(parsed.project)
        self.version = parsed.version
        tops = {top for entry in entries if (top := _top(entry.name))}
        self.dist_info = self._find_dist_info(tops)
        self.data_folders = frozenset(
            top for top in tops if top.endswith(".data") and self._is_named(top[: -len(".data")])
        )
        self.tags = tuple(str(tag).strip() for tag in self._read_layout().get_all("Tag", []))
        self.metadata = self._read_metadata()

    def raw(self, entry: Entry) -> memoryview:
        """The entry's bytes as they lie in the wheel, compressed or not. Release it before the wheel is closed."""
        return memoryview(self._buffer)[entry.offset : entry.offset + entry.compressed]

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The entry's content in pieces, held against its stated size and CRC-32.

        Raises:
            IntegrityError: the data does not inflate to exactly what the directory says.
        """
        return content(self._buffer, entry, self.filename)

    def read(self, entry: Entry) -> bytes:
        """The whole content of one entry, verified as in :meth:`chunks`."""
        return b"".join(self.chunks(entry))

    def entry(self, name: str) -> Entry | None:
        """The entry of that name, or ``None``."""
        return self._by_name.get(name)

    def read_metadata_file(self, name: str) -> bytes | None:
        """The content of a file of the ``.dist-info`` folder, or ``None`` where there is none."""
        entry = self._by_name.get(f"{self.dist_info}/{name}")
        return None if entry is None else self.read(entry)

    def record(self) -> Mapping[str, tuple[str, str]]:
        """RECORD as path → (algorithm, digest in URL-safe base64 without padding); both empty where it states none.

        It adds little to the lock, which pins the SHA-256 of the whole wheel. So what contradicts it is refused, while
        files that it does not list, or vouches for by a weak hash only, are taken, as pip and uv take them.

        Raises:
            IntegrityError: RECORD is no CSV of three columns, or lists a path twice with different hashes.
        """
        text = self._required("RECORD")
        listed: dict[str, tuple[str, str]] = {}
        where = f"{self.filename}: {self.dist_info}/RECORD"
        try:
            for row in csv.reader(io.StringIO(text, newline=""), strict=True):
                if not row:
                    continue
                path, stated, *_ = (*row, "")
                algorithm, _, digest = stated.partition("=")
                value = (algorithm.lower(), digest.rstrip("="))
                if listed.setdefault(path.replace("\\", "/"), value) != value:
                    raise IntegrityError(f"{where}: lists {path!r} twice with different hashes", hint=REPORT)
        except csv.Error as error:
            raise IntegrityError(f"{where}: cannot be read: {error}", hint=REPORT) from error
        return listed

    def _find_dist_info(self, tops: AbstractSet[str]) -> str:
        found = sorted(top for top in tops if top.endswith(".dist-info"))
        if len(found) != 1:
            what = "no .dist-info folder" if not found else f"{len(found)} .dist-info folders: {', '.join(found)}"
            raise UnsafeWheelError(f"{self.filename}: has {what}; a wheel has exactly one", hint=REPORT)
        if not self._is_named(found[0].removesuffix(".dist-info")):
            raise UnsafeWheelError(
                f"{self.filename}: its metadata folder is {found[0]}: the name of the wheel says otherwise",
                hint=REPORT,
            )
        total = sum(entry.size for entry in self.entries if entry.name.startswith(found[0] + "/"))
        if total > MOST_METADATA_BYTES:
            raise UnsafeWheelError(
                f"{self.filename}: {found[0]}: unpacks to {total:,} bytes; lamina reads at most "
                f"{MOST_METADATA_BYTES:,} of metadata",
                hint=REPORT,
            )
        return found[0]

    def _is_named(self, stem: str) -> bool:
        """Whether ``name-version`` before ``.dist-info`` or ``.data`` is this wheel's, in whatever spelling."""
        from packaging.utils import canonicalize_name

        name, _, version = stem.partition("-")
        return canonicalize_name(name) == self.name and self._is_version(version)

    def _is_version(self, stated: str) -> bool:
        from packaging.version import InvalidVersion, Version

        try:
            return Version(stated) == Version(self.version)
        except InvalidVersion:
            return stated == self.version

    def _required(self, name: str) -> str:
        found = self.read_metadata_file(name)
        if found is None:
            raise UnsafeWheelError(f"{self.filename}: has no {self.dist_info}/{name}", hint=REPORT)
        return found.decode("utf-8", errors="replace")

    def _read_layout(self) -> Message:
        layout = HeaderParser().parsestr(self._required("WHEEL"))
        version = str(layout.get("Wheel-Version", "")).strip()
        if version.partition(".")[0] != "1":
            raise UnsafeWheelError(
                f"{self.filename}: {self.dist_info}/WHEEL: Wheel-Version is {version!r}; lamina knows version 1",
                hint="Look for another wheel of this version, or for a newer lamina.",
            )
        return layout

    def _read_metadata(self) -> Message:
        from packaging.utils import canonicalize_name

        metadata = HeaderParser().parsestr(self._required("METADATA"))
        stated = canonicalize_name(str(metadata.get("Name", "")).strip())
        if stated != self.name:
            raise UnsafeWheelError(
                f"{self.filename}: {self.dist_info}/METADATA: is about {stated or 'nothing'}; the name of the wheel "
                f"says {self.name}",
                hint=REPORT,
            )
        version = str(metadata.get("Version", "")).strip()
        if not self._is_version(version):
            raise UnsafeWheelError(
                f"{self.filename}: {self.dist_info}/METADATA: is about version {version or 'nothing'}; the name of the "
                f"wheel says {self.version}",
                hint=REPORT,
            )
        return metadata


@contextlib.contextmanager
def open_wheel(path: Path, filename: str) -> Iterator[Wheel]:
    """Open the wheel at ``path``, known as ``filename``, and check its directory; a context manager.

    Raises:
        UnsafeWheelError: an entry that no installer may unpack, or a name that lies.
        IntegrityError: not a readable zip, or one whose headers contradict its directory.
    """
    with path.open("rb") as file:
        try:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise IntegrityError(f"{filename}: is empty", hint=REPORT) from error
        try:
            yield Wheel(filename, buffer, directory(path, filename, buffer))
        finally:
            with contextlib.suppress(BufferError):  # an error's traceback may still hold a view
                buffer.close()


def sha256_of_record(digest: str) -> bytes | None:
    """A RECORD digest as bytes, or ``None`` when it is no URL-safe base64."""
    try:
        return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))
    except ValueError:
        return None


def hasher(algorithm: str) -> hashlib._Hash | None:
    """A new hash object for a RECORD algorithm, or ``None`` for one too weak to count (MD5, SHA-1) or unknown.

    The specification asks for SHA-256 or better.
    """
    return hashlib.new(algorithm) if algorithm in {"sha256", "sha384", "sha512"} else None


def _top(name: str) -> str:
    head, slash, _ = name.partition("/")
    return head if slash else ""
