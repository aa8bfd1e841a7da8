"""sources → pack: the files of a function, each at its place in the zip, the same from every host.

Bytes are kept as they are, modes come from content, and neither dates nor owners nor the order of a folder count.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lamina.errors import UnsafeWheelError, UsageError
from lamina.findings import Finding, make
from lamina.overlay import Generated, kind_of
from lamina.recipe import Source
from lamina.runtimes import quotas


class Pack(NamedTuple):
    """The files of one function. ``files`` are sorted by the bytes of their paths and always make a tree.

    The ``owner`` of a file is the source that brought it, as the recipe writes it. ``findings`` are ``file-conflict``
    only.
    """

    files: tuple[Generated, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def unzipped_bytes(self) -> int:
        """Exact file bytes, as they count against the quota."""
        return sum(len(file.content) for file in self.files)

    @property
    def sha256(self) -> str:
        """The digest of paths, modes and content, and of what was found; of nothing that a machine could leak."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.path}\0{file.mode:o}\0{len(file.content)}\0".encode())
            digest.update(file.content)
        for finding in self.findings:
            digest.update(f"{finding.path}\0{finding.message}\0".encode())
        return digest.hexdigest()


class _Listed(NamedTuple):
    """A file that goes in: its place in the zip, where it is now, and its size in bytes."""

    place: str
    path: Path
    size: int
    owner: str


def pack(root: Path, sources: Sequence[Source], most: int | None = None) -> Pack:
    """Read what the sources of a recipe in the project at ``root`` bring; ``most`` bytes, or what Lambda takes of zips.

    Raises:
        UsageError: a source that is not there; a link, or something that is no file, since what it would become differs
            from host to host; a name that no function can hold; more bytes than Lambda takes.
        OSError: a file or folder cannot be read.
    """
    listed = [file for source in sources for file in _listed(root, source)]
    total, most = sum({file.path: file.size for file in listed}.values()), most or quotas().unzipped
    if total > most:
        largest = max(listed, key=lambda file: file.size)
        raise UsageError(
            f"function.source: {total:,} bytes; Lambda takes {most:,} of a function and all its layers. The largest "
            f"file is {largest.place}, {largest.size:,} bytes",
            hint="Leave out by exclude what the function does not need; load models and data from S3.",
        )
    files = []
    for place, path, _, owner in listed:
        content = path.read_bytes()
        files.append(Generated(place, content, kind_of(content), owner))
    return merge(files)


def merge(files: Iterable[Generated]) -> Pack:
    """Put files of all sources together: equal ones of one path once, different ones as a ``file-conflict``.

    Where the recipe accepts the conflict, the first of them stays; and where one source has a file and another a folder
    of that name, the folder.
    """
    brought: dict[str, list[Generated]] = defaultdict(list)
    for file in files:
        brought[file.path].append(file)
    folders: dict[str, set[str]] = defaultdict(set)
    for path, same in brought.items():
        for parent in _parents(path):
            folders[parent].update(file.owner for file in same)
    findings = []
    kept = []
    for path, same in sorted(brought.items(), key=lambda item: item[0].encode()):
        owners = _named(file.owner for file in same)
        hint = "Map one of the sources to a folder of its own by to, or leave the file out of it by exclude."
        if path in folders:
            message = f"a file of {owners}; {_named(folders[path])} needs a folder of that name"
            findings.append(make("file-conflict", path, message, hint))
            continue
        if len({file.content for file in same}) > 1:
            message = f"{owners} bring different files for this place in the function"
            findings.append(make("file-conflict", path, message, hint))
        kept.append(same[0])
    return Pack(tuple(kept), tuple(findings))


def _parents(path: str) -> Iterator[str]:
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        yield path


def _named(owners: Iterable[str]) -> str:
    """Sources in an order of their own: that of the recipe decides nothing of a message."""
    first, *rest = sorted(set(owners))
    return " and ".join(filter(None, [", ".join([first, *rest[:-1]]), *rest[-1:]]))


def _listed(root: Path, source: Source) -> Iterator[_Listed]:
    start = root / source.from_
    if start.is_symlink() or (start.exists() and not (start.is_dir() or start.is_file())):
        raise _not_a_file(source.from_)
    if not start.exists():
        raise UsageError(
            f"function.source: {source.from_}: no such file or folder", hint="Correct the path in the recipe."
        )
    inside = "" if source.to == "." else source.to.rstrip("/") + "/"
    if start.is_file():
        yield _file(start, inside + start.name, source)
        return
    excluded = _excluded(source.exclude)
    for parent, folders, names in os.walk(start, onerror=_fail):
        kept = []
        for name in sorted((*folders, *names)):
            path = Path(parent, name)
            relative = path.relative_to(start).as_posix()
            if _left_out().fullmatch(name) or (excluded is not None and excluded.fullmatch(relative)):
                continue
            if path.is_symlink():
                raise _not_a_file(f"{source.from_}/{relative}")
            if path.is_dir():
                kept.append(name)
            elif path.is_file():
                yield _file(path, inside + relative, source)
            else:
                raise _not_a_file(f"{source.from_}/{relative}")
        folders[:] = kept


def _file(path: Path, place: str, source: Source) -> _Listed:
    from lamina.archive import check_name

    try:
        check_name(place)
    except UnsafeWheelError as error:
        raise UsageError(f"function.source: {source.from_}: {place!r}: {error.message}", hint="Rename it.") from None
    return _Listed(place, path, path.stat().st_size, source.from_)


def _not_a_file(shown: str) -> UsageError:
    return UsageError(
        f"function.source: {shown}: a link or special file, which hosts treat differently",
        hint="Put the file or folder itself there, or give what it points to a source of its own.",
    )


def _excluded(globs: Sequence[str]) -> re.Pattern[str] | None:
    """One pattern for all globs over paths relative to ``from``.

    ``*`` crosses folders, and a folder that matches takes along what is in it.
    """
    forms = {form.rstrip("/") for glob in globs for form in (glob, glob.removeprefix("**/"))}
    return re.compile("|".join(map(fnmatch.translate, sorted(forms)))) if forms else None


@functools.cache
def _left_out() -> re.Pattern[str]:
    """What ``left_out.txt`` names."""
    text = Path(__file__).with_name("left_out.txt").read_text(encoding="utf-8")
    globs = [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("# ")]
    return re.compile("|".join(map(fnmatch.translate, globs)))


def _fail(error: OSError) -> None:
    """A folder that cannot be read is none that is empty."""
    raise error
