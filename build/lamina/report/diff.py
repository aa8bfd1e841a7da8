"""How two artefacts differ: two inventories in, one difference out.

Files are the same here where path, size, CRC-32 and mode are: that is what a zip's directory tells without a byte being
unpacked. Whether two zips are the same bytes is told by their SHA-256 alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from lamina.findings import Finding
from lamina.lock import canonical

_ROOT = "python/"


class File(NamedTuple):
    """One file as the zip's directory has it; ``size`` is unpacked bytes, ``mode`` the permissions."""

    path: str
    size: int
    crc: int
    mode: int


class Shipped(NamedTuple):
    """One package of an artefact; ``bytes`` as the manifest states them, or ``None`` where none does."""

    version: str
    bytes: int | None


class Inventory(NamedTuple):
    """What is known of one artefact.

    ``files`` is ``None`` for a manifest alone. ``owners`` tells the package of single paths, as far as the artefact
    itself says so. ``findings`` is ``None`` where there is no manifest. ``notes`` say what could not be used, and why.
    """

    label: str
    sha256: str | None
    zipped_bytes: int | None
    unzipped_bytes: int
    entries: int
    packages: Mapping[str, Shipped]
    files: tuple[File, ...] | None = None
    owners: Mapping[str, str] = {}
    findings: tuple[Finding, ...] | None = None
    notes: tuple[str, ...] = ()


class Side(msgspec.Struct, frozen=True):
    """One of the two artefacts as a whole; ``zipped_bytes`` and ``sha256`` are null for one that was never written."""

    path: str
    sha256: str | None
    zipped_bytes: int | None
    unzipped_bytes: int
    entries: int


class FileChange(msgspec.Struct, frozen=True):
    """One file; its unpacked bytes before and after, null where it was not there. ``modes`` is empty for the same."""

    path: str
    before: int | None
    after: int | None
    modes: str = ""


class PackageChange(msgspec.Struct, frozen=True):
    """One package that differs, or a folder that belongs to none (``bin/``); a version is null where there is none."""

    package: str
    version_before: str | None
    version_after: str | None
    bytes_before: int
    bytes_after: int
    added: int
    removed: int
    changed: int
    files: tuple[FileChange, ...]


class Difference(msgspec.Struct, frozen=True):
    """``lamina diff``. ``verdict``: ``identical`` bytes; ``repacked``, the same files otherwise packed; ``different``.

    ``same`` counts packages without any difference. ``findings_appeared`` and ``findings_vanished`` come from the
    manifests.
    """

    before: Side
    after: Side
    verdict: Literal["identical", "repacked", "different"]
    same: int
    packages: tuple[PackageChange, ...]
    findings_appeared: tuple[Finding, ...] = ()
    findings_vanished: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def compare(before: Inventory, after: Inventory) -> Difference:
    """Tell how ``after`` differs from ``before``; packages whose bytes changed most come first, other folders last."""
    by_file = before.files is not None and after.files is not None
    owner = _Owners((before, after))
    changes = _file_changes(before.files or (), after.files or (), owner) if by_file else {}
    sizes = [_sizes(side, owner, by_file=by_file) for side in (before, after)]
    names = sorted({*before.packages, *after.packages, *sizes[0], *sizes[1]})
    packages = [_package(name, before, after, sizes, changes.get(name, ())) for name in names]
    differ = [package for package in packages if package is not None]
    differ.sort(key=_order)
    appeared, vanished = _findings(before.findings, after.findings)
    notes = [*before.notes, *after.notes]
    if not by_file:
        notes += [f"{side.label} is a manifest, which names no files" for side in (before, after) if side.files is None]
    if (before.findings is None) != (after.findings is None):
        alone = before if before.findings is None else after
        notes.append(f"{alone.label} has no manifest beside it, so findings cannot be compared")
    return Difference(
        before=_side(before),
        after=_side(after),
        verdict=_verdict(before, after, alike=by_file and not differ),
        same=sum(package is None and name in after.packages for name, package in zip(names, packages, strict=True)),
        packages=tuple(differ),
        findings_appeared=appeared,
        findings_vanished=vanished,
        notes=tuple(dict.fromkeys(notes)),
    )


class _Owners:
    """Which package a path belongs to: what the artefacts state, else what the rest of its folder belongs to."""

    def __init__(self, sides: Iterable[Inventory]) -> None:
        self._stated: dict[str, str] = {}
        self._tops: dict[str, set[str]] = defaultdict(set)
        self._known: set[str] = set()
        for side in sides:
            self._stated.update(side.owners)
            self._known.update(side.packages)
        for path, name in self._stated.items():
            self._tops[_top(path)].add(name)

    def of(self, path: str) -> str:
        """The package's canonical name; a folder with a slash at its end, or a file's path, where there is none."""
        if path in self._stated:
            return self._stated[path]
        top = _top(path)
        if top.endswith(".dist-info/"):
            return canonical(top.removeprefix(_ROOT).partition("-")[0])
        owners = self._tops.get(top, ())
        if len(owners) == 1:
            return next(iter(owners))
        if path.startswith(_ROOT):
            name = canonical(top.removeprefix(_ROOT).rstrip("/").partition(".")[0])
            if name in self._known:
                return name
        return top


def _top(path: str) -> str:
    """The folder below ``python/`` or the root that a path is in, with a slash at its end; or the path itself."""
    start = len(_ROOT) if path.startswith(_ROOT) else 0
    end = path.find("/", start)
    return path if end < 0 else path[: end + 1]


def _file_changes(
    before: Sequence[File], after: Sequence[File], owner: _Owners
) -> Mapping[str, tuple[FileChange, ...]]:
    """Package → its files that differ, the largest change first."""
    old, new = ({file.path: file for file in files} for files in (before, after))
    changes: dict[str, list[FileChange]] = defaultdict(list)
    for path in sorted(old.keys() | new.keys()):
        one, other = old.get(path), new.get(path)
        if one == other:
            continue
        modes = f"{one.mode:o} → {other.mode:o}" if one and other and one.mode != other.mode else ""
        change = FileChange(path, one.size if one else None, other.size if other else None, modes)
        changes[owner.of(path)].append(change)
    return {name: tuple(sorted(found, key=_weight)) for name, found in changes.items()}


def _weight(change: FileChange) -> tuple[int, int, str]:
    """Sorts the largest differences first, then the largest files."""
    before, after = change.before or 0, change.after or 0
    return -abs(after - before), -max(before, after), change.path


def _sizes(side: Inventory, owner: _Owners, *, by_file: bool) -> Mapping[str, int]:
    """Package → bytes that ship, from the files, or where one side has none, as the manifests state them."""
    if not by_file and all(package.bytes is not None for package in side.packages.values()):
        return {name: package.bytes or 0 for name, package in side.packages.items()}
    sizes: dict[str, int] = defaultdict(int)
    for file in side.files or ():
        name = owner.of(file.path)
        if by_file or name in side.packages:
            sizes[name] += file.size
    return sizes


def _package(
    name: str,
    before: Inventory,
    after: Inventory,
    sizes: Sequence[Mapping[str, int]],
    files: Sequence[FileChange],
) -> PackageChange | None:
    """The difference in one package, or ``None`` where there is none."""
    versions = [side.packages[name].version if name in side.packages else None for side in (before, after)]
    old, new = (side.get(name, 0) for side in sizes)
    if versions[0] == versions[1] and old == new and not files:
        return None
    added = sum(change.before is None for change in files)
    removed = sum(change.after is None for change in files)
    return PackageChange(
        package=name,
        version_before=versions[0],
        version_after=versions[1],
        bytes_before=old,
        bytes_after=new,
        added=added,
        removed=removed,
        changed=len(files) - added - removed,
        files=tuple(files),
    )


def _order(change: PackageChange) -> tuple[bool, int, str]:
    package = change.version_before is not None or change.version_after is not None
    return not package, -abs(change.bytes_after - change.bytes_before), change.package


def _verdict(before: Inventory, after: Inventory, *, alike: bool) -> Literal["identical", "repacked", "different"]:
    if before.sha256 is not None and before.sha256 == after.sha256:
        return "identical"
    return "repacked" if alike else "different"


def _findings(
    before: tuple[Finding, ...] | None, after: tuple[Finding, ...] | None
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What is only in one of the two; nothing where one side is unknown."""
    if before is None or after is None:
        return (), ()
    return _only(after, before), _only(before, after)


def _only(findings: Iterable[Finding], others: Iterable[Finding]) -> tuple[Finding, ...]:
    known = {_identity(finding) for finding in others}
    return tuple(finding for finding in findings if _identity(finding) not in known)


def _identity(finding: Finding) -> tuple[str, str, bool, str, str]:
    """What makes it the same finding: of one about the whole zip neither the name of that nor its figures count."""
    whole = "/" not in finding.path and finding.path.endswith(".zip")
    where = ("", "") if whole else (finding.path, finding.message)
    return finding.code, finding.severity, finding.accepted, *where


def _side(side: Inventory) -> Side:
    return Side(side.label, side.sha256, side.zipped_bytes, side.unzipped_bytes, side.entries)
