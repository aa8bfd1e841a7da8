"""The content-addressed cache: wheels, parts, plans, each named by what it is made from.

An entry either stands complete under its name or does not stand at all: it is written beside, in ``tmp/``, and renamed.
So two builds at once, or one that was killed, never see half an entry. What a killed process leaves in ``tmp/`` is
swept by the next build that makes a part, and downloads that were cut stay in ``partial/`` to be resumed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lamina.errors import UsageError
from lamina.files import replace

#: Kinds of entries, and what each holds.
KINDS: Mapping[str, str] = {
    "wheels": "downloaded wheels",
    "sources": "downloaded source distributions",
    "built": "what local projects and source distributions were built to",
    "taken": "files of the packages of base images",
    "parts": "wheels made ready for composing",
    "blobs": "layers and configurations of container images",
    "plans": "remembered layers",
    "memos": "recipes and local projects known to be valid",
    "stages": "artefacts unpacked for proofs",
    "layers": "layers of images",
    "pages": "what indexes offered, for --offline",
    "partial": "downloads to be resumed",
    "tmp": "unfinished work",
}

#: The kind whose entries are folders, each with an index beside it that tells when it was last used.
_TREES = "stages"

_DIGEST_BYTES = 32
#: Marks the store as a cache for backups (bford.info/cachedir), and as lamina's.
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# The store of lamina; everything here can be made again.\n"

_ABANDONED = 24 * 60 * 60  # seconds after which nobody can still be writing a temporary file


class Usage(NamedTuple):
    """How much one kind of entry takes: number of files and their bytes."""

    kind: str
    files: int
    bytes: int


def default_root(env: Mapping[str, str]) -> Path:
    """Where the store stands: ``LAMINA_CACHE``, else the platform's user cache folder.

    Raises:
        UsageError: ``LAMINA_CACHE`` is a relative path, which would mean another store in every folder.
    """
    stated = env.get("LAMINA_CACHE")
    if stated:
        root = Path(stated).expanduser()
        if not root.is_absolute():
            raise UsageError(f"LAMINA_CACHE: {stated!r} is a relative path", hint="Set it to an absolute path.")
        return root
    if sys.platform == "linux":  # the warm path: what platformdirs answers there, without its import
        base = env.get("XDG_CACHE_HOME", "")
        if base and Path(base).is_absolute():
            return Path(base) / "lamina"
        if env.get("HOME"):
            return Path(env["HOME"]) / ".cache" / "lamina"
    import platformdirs

    return Path(platformdirs.user_cache_dir("lamina", appauthor=False))


class Store:
    """Files by kind and key under one root folder. Keys are hexadecimal digests."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str, suffix: str = "") -> Path:
        """Where the entry stands, or would stand; two letters of the key make the folder, as in git."""
        return self.root / kind / key[:2] / (key + suffix)

    @contextlib.contextmanager
    def create(self, target: Path) -> Iterator[Path]:
        """Yield a temporary path to write; when the block ends well, what was written there takes ``target``'s name.

        When it does not, the temporary file goes. An entry that appeared meanwhile is replaced: both were made from
        the same key.
        """
        folder = self.root / "tmp"
        beside = folder / f"{target.name}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            self._prepare(folder)
            yield beside
            target.parent.mkdir(parents=True, exist_ok=True)
            replace(beside, target)
        except OSError as error:
            if error.filename is None or str(self.root) in str(error.filename):
                error.add_note(f"That is in lamina's store, {self.root}; LAMINA_CACHE names another place.")
            raise
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    @contextlib.contextmanager
    def create_tree(self, target: Path) -> Iterator[Path]:
        """As :meth:`create`, for a folder; what stands at ``target`` goes as soon as the new one is complete.

        Between the two there is a moment without: hold :meth:`exclusive` meanwhile.
        """
        import shutil

        with self.create(target) as beside:
            try:
                yield beside
                shutil.rmtree(target, ignore_errors=True)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """A folder for unfinished work, gone when the block ends; one of a killed process is swept like its files."""
        from tempfile import TemporaryDirectory

        folder = self.root / "tmp"
        self._prepare(folder)
        with TemporaryDirectory(prefix="work-", dir=folder, ignore_cleanup_errors=True) as name:
            yield Path(name)

    def save(self, target: Path, content: bytes) -> None:
        """Put an entry there together with its digest, so that :meth:`load` notices damage."""
        with self.create(target) as beside:
            beside.write_bytes(hashlib.sha256(content).digest() + content)

    def load(self, path: Path) -> bytes | None:
        """What :meth:`save` put there; ``None`` where nothing can be read, or it is not what was put there."""
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        digest, content = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        return content if hashlib.sha256(content).digest() == digest else None

    @contextlib.contextmanager
    def exclusive(self, key: str) -> Iterator[None]:
        """Hold the right to make the entry ``key``; a second process waits and then finds it made."""
        import filelock

        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(str(folder / key)):
            yield

    def sweep(self) -> None:
        """Remove what processes that were killed left in ``tmp/``, as soon as nobody can still be writing it."""
        now = time.time()
        for path, _, used in _files(self.root / "tmp") if self._is_own() else ():
            if now - used >= _ABANDONED:
                with contextlib.suppress(OSError):
                    path.unlink()
        if self._is_own():
            _remove_empty(self.root / "tmp")

    def touch(self, paths: Iterable[Path]) -> None:
        """Note that these entries were used now: many file systems do not (``noatime``), and :meth:`prune` asks."""
        for path in paths:
            with contextlib.suppress(OSError):
                os.utime(path)

    def usage(self) -> list[Usage]:
        """Count what is there, kind by kind."""
        rows = []
        for kind in KINDS:
            sizes = [size for _, size, _ in _files(self.root / kind)]
            rows.append(Usage(kind, len(sizes), sum(sizes)))
        return rows

    def prune(self, unused_for: float) -> int:
        """Remove entries not read for ``unused_for`` seconds, and abandoned temporary files; return the bytes freed.

        Raises:
            UsageError: the folder was not made by lamina.
        """
        self._check_own()
        now = time.time()
        freed = 0
        for kind in KINDS:
            limit = min(unused_for, _ABANDONED) if kind == "tmp" else unused_for
            for path, size, used in _files(self.root / kind):
                if kind != _TREES and now - used >= limit:
                    with contextlib.suppress(OSError):
                        path.unlink()
                        freed += size
        freed += self._prune_trees(now - unused_for)
        _remove_empty(self.root / "tmp")
        return freed

    def _prune_trees(self, before: float) -> int:
        """Remove trees whole, when they were last used before then; each has its own time in its index."""
        import shutil

        freed = 0
        for tree in self.root.joinpath(_TREES).glob("*/*"):
            index = tree.with_name(f"{tree.name}.index")
            used = index if index.exists() else tree
            with contextlib.suppress(OSError):
                if tree.is_dir() and used.stat().st_mtime <= before:
                    freed += sum(size for _, size, _ in _files(tree))
                    index.unlink(missing_ok=True)
                    shutil.rmtree(tree, ignore_errors=True)
        return freed

    def clear(self) -> int:
        """Remove everything; return the bytes freed. Only lamina's own folders under the root are touched.

        Raises:
            UsageError: the folder was not made by lamina.
        """
        import shutil

        self._check_own()
        before = sum(row.bytes for row in self.usage())
        for kind in (*KINDS, "locks"):
            shutil.rmtree(self.root / kind, ignore_errors=True)
        return before - sum(row.bytes for row in self.usage())

    def _prepare(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            self.root.joinpath(_TAG).write_text(_TAG_TEXT, encoding="utf-8")

    def _is_own(self) -> bool:
        try:
            return self.root.joinpath(_TAG).read_text(encoding="utf-8") == _TAG_TEXT
        except (OSError, UnicodeDecodeError):
            return False

    def _check_own(self) -> None:
        """Refuse to remove from a folder that somebody else made: ``LAMINA_CACHE`` may name any."""
        if any((self.root / kind).exists() for kind in KINDS) and not self._is_own():
            raise UsageError(
                f"{self.root}: has no {_TAG} of lamina, so it may be something else's folder",
                hint="Check LAMINA_CACHE; remove the folder by hand, where it is lamina's.",
            )


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Every file below ``folder`` with its size in bytes and the time it was last used, in seconds."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            with contextlib.suppress(OSError):
                facts = path.stat()
                yield path, facts.st_size, max(facts.st_atime, facts.st_mtime)


def _remove_empty(folder: Path) -> None:
    """Remove folders that hold nothing and that nobody can still be filling."""
    for parent, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            if parent != str(folder) and time.time() - Path(parent).stat().st_mtime >= _ABANDONED:
                Path(parent).rmdir()
