"""parts and decisions → layer: which entries ship, what is generated beside them, and where two packages collide."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import NamedTuple

from lamina.findings import Finding, make
from lamina.overlay import Generated, kind_of
from lamina.part.model import COMMAND_GROUPS, PLAIN, Entry, Facts, Index
from lamina.prune.model import Decision

_ROOT = "python/"


class Link(NamedTuple):
    """A relative symlink that ships in place of an entry. ``target`` is where it leads, from the entry's folder."""

    entry: Entry
    target: str


class Layer(NamedTuple):
    """What ships: for each part its entries, in order; and the generated files, sorted by path.

    ``bytecode`` is for each part what ships of it compiled: names in the store, and entries. ``links`` has for each
    part what ships as a symlink to an identical file, and not as itself. Either is empty where there is none.
    """

    picks: tuple[tuple[Entry, ...], ...]
    generated: tuple[Generated, ...]
    findings: tuple[Finding, ...]
    bytecode: tuple[tuple[tuple[str, tuple[Entry, ...]], ...], ...] = ()
    links: tuple[tuple[Link, ...], ...] = ()

    @property
    def unzipped_bytes(self) -> int:
        """Exact file bytes, as they count against the quota; links hold none."""
        return sum(entry.size for _, pick in self.pieces(()) for entry in pick) + sum(
            len(file.content) for file in self.generated
        )

    @property
    def files(self) -> int:
        """Number of files, links among them."""
        return sum(len(pick) for _, pick in self.pieces(())) + len(self.generated) + sum(map(len, self.links))

    def pieces(self, keys: Sequence[str]) -> list[tuple[str, tuple[Entry, ...]]]:
        """All that is copied: the name in the store and the entries. ``keys`` are the parts' names; may be unknown."""
        return [*zip(keys or [""] * len(self.picks), self.picks, strict=True), *chain.from_iterable(self.bytecode)]


def assemble(
    parts: Sequence[tuple[Index, Facts]],
    decisions: Sequence[Sequence[Decision]],
    *,
    interpreter: str,
    overlay: Iterable[Generated],
    notices: Generated,
    trim: bool,
    bytecode: Sequence[Sequence[tuple[str, tuple[Entry, ...]]]] = (),
    replaced: AbstractSet[str] = frozenset(),
) -> Layer:
    """Merge the parts: equal files once, different ones of the same path as a ``file-conflict`` finding.

    ``interpreter`` is the runtime's, for the first line of commands in ``bin/``. With ``trim``, native files ship
    without what no loader maps, where their parts have them so. ``bytecode`` has for each part what ships of its
    compiled forms, as names in the store and entries; the sources at the paths ``replaced`` do not ship.
    """
    merge = _Merge()
    picks = []
    for (index, _), said in zip(parts, decisions, strict=True):
        dropped = {decision.path for decision in said if decision.dropped} | replaced
        smaller = {entry.path: entry for entry in index.trimmed} if trim else {}
        kept = (entry for entry in index.entries if entry.path not in dropped)
        picks.append(tuple(smaller.get(entry.path, entry) for entry in kept))
    placed_picks = [merge.add(index.wheel, pick) for (index, _), pick in zip(parts, picks, strict=True)]
    compiled = bytecode or [()] * len(parts)
    added = tuple(
        tuple((key, merge.add(index.wheel, entries)) for key, entries in forms)
        for (index, _), forms in zip(parts, compiled, strict=True)
    )
    placed = []
    for (index, facts), own, forms in zip(parts, picks, compiled, strict=True):
        pick = (*own, *(entry for _, entries in forms for entry in entries))
        if pick:
            commands = [*_commands(index, facts, interpreter)]
            placed += [command for command in commands if merge.add_generated(command)]
            ships = [entry for entry in pick if merge.holds(entry.path, entry.sha256)]
            placed += [record for record in _record(index, ships, commands) if merge.add_generated(record)]
    placed += [file for file in (*overlay, notices) if merge.add_generated(file)]
    placed.sort(key=lambda file: file.path.encode())
    return Layer(tuple(placed_picks), tuple(placed), tuple(merge.findings.values()), added)


class _Merge:
    """The paths taken so far, with the digest and the owner of what stands there. They always make a tree."""

    def __init__(self) -> None:
        self.findings: dict[tuple[str, str], Finding] = {}
        self._taken: dict[str, tuple[bytes, str]] = {}
        self._folders: dict[str, str] = {}

    def add(self, owner: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """Those of a part's entries that take their path."""
        return tuple(entry for entry in entries if self._place(entry.path, entry.sha256, owner))

    def add_generated(self, file: Generated) -> bool:
        """Whether a generated file takes its path."""
        return self._place(file.path, hashlib.sha256(file.content).digest(), file.owner)

    def holds(self, path: str, sha256: bytes) -> bool:
        """Whether this very content stands at the path, whoever brought it."""
        standing = self._taken.get(path)
        return standing is not None and standing[0] == sha256

    def _place(self, path: str, sha256: bytes, owner: str) -> bool:
        """Whether a file takes this path; not where another one stands there already, equal or not."""
        standing = self._taken.get(path)
        if standing is not None:
            if standing[0] != sha256:
                self._conflict(path, f"{standing[1]} and {owner} both bring this file, with different content")
            return False
        if path in self._folders:
            self._conflict(path, f"a file of {owner}; {self._folders[path]} needs a folder of that name")
            return False
        parents = []
        parent = path
        while (cut := parent.rfind("/")) > 0 and (parent := parent[:cut]) not in self._folders:
            if parent in self._taken:
                self._conflict(parent, f"a file of {self._taken[parent][1]}; {owner} needs a folder of that name")
                return False
            parents.append(parent)
        self._folders.update(dict.fromkeys(parents, owner))
        self._taken[path] = (sha256, owner)
        return True

    def _conflict(self, path: str, message: str) -> None:
        hint = (
            "Require only one of the two packages, or state in [[accept]] that the file of the first may win, where "
            "that is what you want."
        )
        self.findings[path, message] = make("file-conflict", path, message, hint)


def _commands(index: Index, facts: Facts, interpreter: str) -> Iterable[Generated]:
    """The commands of a package: its own scripts with the runtime's interpreter, and its console entry points."""
    made: dict[str, bytes] = {}
    for name, content in facts.scripts:
        line, _, rest = content.partition(b"\n")
        # The whole line goes, options included, and pythonw or python3 count as well: so does every installer.
        line = b"#!" + interpreter.encode() if line.startswith(b"#!python") else line.rstrip(b"\r")
        made[name] = line + b"\n" + rest
    own = {entry.path for entry in index.entries}
    for point in facts.entry_points:
        if point.group in COMMAND_GROUPS and point.name not in made and f"bin/{point.name}" not in own:
            made[point.name] = _command(interpreter, point.module, point.attribute)
    for name, content in sorted(made.items()):
        yield Generated(f"bin/{name}", content, kind_of(content), index.wheel)


def _command(interpreter: str, module: str, attribute: str) -> bytes:
    first = attribute.partition(".")[0]
    lines = (f"#!{interpreter}", "import sys", "", f"from {module} import {first}", "", f"sys.exit({attribute}())", "")
    return "\n".join(lines).encode()


def _record(index: Index, pick: Sequence[Entry], scripts: Sequence[Generated]) -> Iterable[Generated]:
    """RECORD of what ships, where the package's metadata ships: ``importlib.metadata`` reads it to tell its files."""
    if not any(entry.path == f"{index.dist_info}/METADATA" for entry in pick):
        return
    import csv

    rows = [(_from_root(entry.path), _stated(entry.sha256), str(entry.size)) for entry in pick]
    for script in scripts:
        stated = _stated(hashlib.sha256(script.content).digest())
        rows.append((_from_root(script.path), stated, str(len(script.content))))
    path = f"{index.dist_info}/RECORD"
    rows.append((_from_root(path), "", ""))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    yield Generated(path, text.getvalue().encode(), PLAIN, index.wheel)


def _from_root(path: str) -> str:
    """The path as RECORD has it: relative to ``python/``, the folder that stands for site-packages."""
    return path.removeprefix(_ROOT) if path.startswith(_ROOT) else f"../{path}"


def _stated(sha256: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(sha256).rstrip(b"=").decode()


class Sizes(NamedTuple):
    """Bytes of one package: what ships for it, what of its wheel does not, what trimming saved, what is bytecode.

    Bytecode is part of what ships. ``linked`` is what links to identical files saved.
    """

    shipped: int
    pruned: int
    trimmed: int
    bytecode: int
    linked: int


def shipped_by_package(parts: Sequence[tuple[Index, Facts]], layer: Layer) -> Mapping[str, Sizes]:
    """Package name → its bytes. Shipped without what was generated, pruned and trimmed are the whole wheel."""
    by_owner: dict[str, int] = {}
    for file in layer.generated:
        by_owner[file.owner] = by_owner.get(file.owner, 0) + len(file.content)
    sizes = {}
    forms = layer.bytecode or [()] * len(parts)
    linked_away = layer.links or [()] * len(parts)
    for (index, _), pick, own, gone in zip(parts, layer.picks, forms, linked_away, strict=True):
        shipped = sum(entry.size for entry in pick)
        whole = {entry.path: entry.size for entry in index.entries}
        links = [link.entry for link in gone]
        trimmed = sum(whole[entry.path] - entry.size for entry in (*pick, *links))
        linked = sum(entry.size for entry in links)
        pruned = sum(whole.values()) - shipped - trimmed - linked
        compiled = sum(entry.size for _, entries in own for entry in entries)
        shipped += compiled + by_owner.get(index.wheel, 0)
        sizes[index.name] = Sizes(shipped, pruned, trimmed, compiled, linked)
    return sizes
