"""What reading an artefact collects, whatever it is, and how that becomes the value that checks judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.archive import check_name
from lamina.artefact import kinds, links, packages
from lamina.artefact.content import MOST_METADATA_BYTES, Sight
from lamina.audit.model import ROOTS, Artefact, Item
from lamina.errors import LaminaError
from lamina.findings import Finding, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lamina.audit.model import ArtefactKind, ItemKind

#: What to do about a zip or an image that contradicts itself.
REBUILD = "Make it again, or fetch it again: a copy that broke off looks like this."
#: What to do about a path that cannot be unpacked as it is written.
REPACK = "Pack it again from a folder in which it has a plain relative path."
#: All metadata files of one artefact together; those beyond it are passed over.
_MOST_TEXT_BYTES = 4 * MOST_METADATA_BYTES
#: All sources of one artefact together, as much as Lambda takes of a function: those beyond it are not read, since a
#: few megabytes of zip would keep the reader busy for hours.
_MOST_SOURCE_BYTES = 256 * 1024**2
#: So many equal findings are told one by one; more become one.
_MOST_ALIKE = 5
#: What a finding shows of a name that cannot be printed, or that goes on and on.
_MOST_SHOWN = 200


class Gathered:
    """Items, findings and metadata, as they are found; ``name`` is the artefact's, as the user gave it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: dict[str, Item] = {}
        self.findings: list[Finding] = []
        self.texts: dict[str, bytes] = {}
        self.handlers: set[str] = set()
        self._text_bytes = 0
        self._source_bytes = 0

    def damaged(self, path: str, what: str, hint: str = REBUILD) -> None:
        """State that bytes at ``path`` are not what they should be."""
        self.findings.append(make("damaged-file", shown(path), what, hint))

    def unsafe(self, path: str, what: str, hint: str = REPACK) -> None:
        """State that ``path`` must not be unpacked."""
        self.findings.append(make("unsafe-path", shown(path), what, hint))

    def is_safe(self, path: str) -> bool:
        """Whether a path may be unpacked; a finding where it may not."""
        try:
            check_name(path)
        except LaminaError as error:
            what = error.message.replace("leaves the wheel", "leaves the folder it is unpacked in")
            hint = REPACK
            if "\\" in path:
                what += ": Linux takes it for a part of the file's name, and Python finds no package"
                hint = "Pack it again with a tool that writes / between folders, as Python's zipfile does."
            self.unsafe(path, what, hint)
            return False
        return True

    def add(self, path: str, size: int, mode: int | None, kind: ItemKind = "file", target: str = "") -> None:
        """Take a file, folder or link; a second one of that path is a finding, and replaces the first."""
        before = self.items.get(path)
        if before is not None and not before.kind == kind == "folder":
            self.unsafe(path, "is there twice: which of the two is unpacked depends on the tool")
        self.items[path] = Item(path, "", size, mode, kind, target)

    def affords(self, path: str, size: int) -> bool:
        """Whether the source at ``path`` may still be read; it counts if so."""
        if not path.endswith(".py") or self._source_bytes + size > _MOST_SOURCE_BYTES:
            return False
        self._source_bytes += size
        return True

    def saw(self, path: str, sight: Sight) -> None:
        """Take what was seen in a file that was added before."""
        self.items[path] = self.items[path]._replace(
            binary=sight.binary, source=sight.source, magic=sight.magic, script=sight.script, adds=sight.adds
        )
        if sight.text is not None and self._text_bytes + len(sight.text) <= _MOST_TEXT_BYTES:
            self._text_bytes += len(sight.text)
            self.texts[path] = sight.text
        if sight.handler:
            self.handlers.add(path)


def finish(
    gathered: Gathered,
    kind: ArtefactKind | None,
    zipped: int | None = None,
    place: Callable[[str], str] | None = None,
) -> Artefact:
    """Make the value. Where ``kind`` is not known, it is told as :func:`lamina.artefact.kinds.layer_or_function` does.

    ``place`` maps the path of an item to where it stands at run time, if that is not simply below the kind's root.
    """
    found = packages.find(gathered.texts, gathered.items)
    if kind is None:
        kind = kinds.layer_or_function(gathered.items.values(), gathered.handlers, found)
    root = ROOTS[kind]
    where = place or (lambda path: root + path)
    if kind != "image":  # there, layers go through links such as /lib64 by right
        _check_folders(gathered)
    for path, what in links.check(gathered.items, image=kind == "image"):
        hint = "Replace the link by what it should point to, or make it a relative one within the artefact."
        gathered.unsafe(path, what, hint)
    return Artefact(
        name=gathered.name,
        kind=kind,
        items=tuple(item._replace(place=where(path)) for path, item in sorted(gathered.items.items())),
        packages=found,
        zipped=zipped,
        findings=tuple(condense(gathered.findings)),
    )


def shown(path: str) -> str:
    """A path that can be printed, whatever is in it."""
    text = path if path.isprintable() else ascii(path)[1:-1]
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"


def condense(findings: Iterable[Finding]) -> list[Finding]:
    """Make one finding of more than five that say the same of different paths, at the first path; the order stays."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.code, finding.message), []).append(finding)
    told = []
    for group in alike.values():
        if len(group) <= _MOST_ALIKE:
            told += group
            continue
        first = group[0]
        told.append(
            make(first.code, first.path, f"{first.message} ({len(group):,} such paths; this is the first)", first.hint)
        )
    return told


def _check_folders(gathered: Gathered) -> None:
    """A file, or a link, that other paths go through."""
    seen: set[str] = set()
    wrong = set()
    for path in gathered.items:
        parent = path
        while (cut := parent.rfind("/")) > 0 and (parent := parent[:cut]) not in seen:
            seen.add(parent)
            if (item := gathered.items.get(parent)) is not None and item.kind != "folder":
                wrong.add(parent)
    for parent in sorted(wrong):
        kind = gathered.items[parent].kind
        gathered.unsafe(parent, f"is a {kind} and a folder: what is below it cannot be unpacked")
