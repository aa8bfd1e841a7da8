"""The distributions that an artefact holds metadata of (packaging specifications: core metadata, recorded projects)."""

from __future__ import annotations

import csv
import io
import posixpath
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from lamina.audit.model import Package
from lamina.lock import canonical
from lamina.part.points import read_lines, to_point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina.part.model import EntryPoint

#: METADATA ends with the project's readme; the fields stand before it.
_MOST_HEADER_BYTES = 256 * 1024
#: The largest entry_points.txt known has some hundred lines.
_MOST_POINTS_BYTES = 1024**2


def find(texts: Mapping[str, bytes], paths: Mapping[str, object]) -> tuple[Package, ...]:
    """Each ``.dist-info`` folder of which ``texts`` holds a file; ``texts`` and ``paths`` are by path in the artefact.

    What cannot be read is passed over: the metadata of a package tells of it, and proves nothing.
    """
    folders = sorted({path.rpartition("/")[0] for path in texts})
    return tuple(_package(folder, texts, paths) for folder in folders)


def _package(folder: str, texts: Mapping[str, bytes], paths: Mapping[str, object]) -> Package:
    stem = folder.rpartition("/")[2].removesuffix(".dist-info")
    name, _, version = stem.partition("-")
    metadata = texts.get(f"{folder}/METADATA")
    if metadata is not None:
        fields = _fields(metadata)
        name = _first(fields, "name") or name
        version = _first(fields, "version") or version
    tags = _fields(texts.get(f"{folder}/WHEEL", b"")).get("tag", [])
    return Package(
        name=canonical(name),
        version=version,
        folder=folder,
        tags=tuple(tags),
        metadata=f"{folder}/METADATA" in paths,
        entry_points=tuple(_points(texts.get(f"{folder}/entry_points.txt", b""))),
        files=frozenset(_files(folder, texts.get(f"{folder}/RECORD", b"")) & paths.keys()),
    )


def _fields(content: bytes) -> dict[str, list[str]]:
    """The header fields by their names in lower case."""
    text = content[:_MOST_HEADER_BYTES].decode("utf-8", errors="replace")
    fields: dict[str, list[str]] = {}
    for key, value in HeaderParser().parsestr(text).items():
        fields.setdefault(key.lower(), []).append(str(value).strip())
    return fields


def _first(fields: Mapping[str, list[str]], key: str) -> str:
    return next(iter(fields.get(key, ())), "")


def _points(content: bytes) -> Iterator[EntryPoint]:
    try:
        lines = read_lines(content) if len(content) <= _MOST_POINTS_BYTES else []
    except ValueError:
        return
    for line in lines:
        point = to_point(*line)
        if point is not None:
            yield point


def _files(folder: str, record: bytes) -> set[str]:
    """The paths of RECORD, which are relative to the folder that holds ``.dist-info``."""
    base = folder.rpartition("/")[0]
    found = set()
    try:
        for row in csv.reader(io.StringIO(record.decode("utf-8", errors="replace"), newline="")):
            if row and row[0]:
                path = posixpath.normpath(posixpath.join(base, row[0].replace("\\", "/")))
                if not path.startswith(("/", "../")):
                    found.add(path)
    except csv.Error:
        return set()
    return found
