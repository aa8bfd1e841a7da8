"""The notices: licence texts of everything a layer ships, one file, the same in the layer and beside it.

Wheels carry their licence texts in ``.dist-info`` (PEP 639 and the customs before it). Most licences ask that their
text goes wherever the package goes; gathered here, it does so even where a recipe drops the metadata.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lamina.emit import stated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina.part.model import Facts, Index

_HEAD = """\
Third-party notices

The packages listed here are in this layer, each under its own licence. After the list comes, package by package,
every licence text of its metadata, as it stands in its wheel but for line ends. Licence files that stand among a
package's own files are not repeated here.
"""
_RULE = "=" * 80
# What other folders than .dist-info call a licence. Code is none, whatever its name.
_LICENCE = re.compile(r"(?i)((un)?licen[cs]es?|copying|notices?|copyright)(?![a-z])[^/]*")
_CODE = (".py", ".pyc", ".pyd", ".pyi", ".pyx", ".so", ".json")
_LEADING = re.compile(r"\A(?:[ \t\v\f]*+\n)++")
_AUTHORS = re.compile(r"(?i)(?:.*/)?authors[^/]*")
# python/LICENSE, python/<package>/LICENSE
_DEEPEST = 3


def render(parts: Sequence[tuple[Index, Facts]]) -> bytes:
    """The notices of these packages, in the order of their names: UTF-8, LF only, the same bytes for the same packages.

    ``parts`` are those that ship at least one file, in any order.
    """
    ordered = sorted(parts, key=lambda part: (part[0].name, part[0].version, part[0].wheel))
    contents = [
        f"  {index.name} {index.version}: {_stated(facts) or 'METADATA names no licence'}" for index, facts in ordered
    ]
    lines = [_HEAD, *contents]
    for index, facts in ordered:
        lines += ["", "", *_package(index, facts)]
    return ("\n".join(lines) + "\n").encode("utf-8", errors="replace")


def _package(index: Index, facts: Facts) -> Iterator[str]:
    """The section of one package: what it is, what it states, and its texts."""
    said = stated.licence(facts.metadata)
    links = stated.links(facts.metadata)
    yield _RULE
    yield f"{index.name} {index.version}"
    if said.values:
        field = "classifiers" if said.source == "Classifier" else said.source
        yield f"Licence: {_stated(facts)} (METADATA, {field})"
    if links.home:
        yield f"Home page: {links.home}"
    if links.source and links.source != links.home:
        yield f"Source: {links.source}"
    yield _RULE
    texts = _texts(facts)
    if all(_AUTHORS.fullmatch(name) for names in texts.values() for name in names):
        yield from ("", *_without_text(index, facts))
    for text, names in texts.items():
        yield from ("", f"--- {', '.join(names)} ---", "", text)


def _without_text(index: Index, facts: Facts) -> Iterator[str]:
    """What to say of a package that brings no licence text in its metadata."""
    text = _normal(stated.licence_text(facts.metadata))
    if text:
        yield from ("This wheel brings no licence text as a file; this is METADATA's field License:", "", text)
        return
    yield f"This wheel brings no licence text; METADATA states: {_stated(facts) or 'nothing'}."
    inside = [entry.path for entry in index.entries if _is_licence(entry.path)]
    if inside:
        yield "Its files hold what may be one: " + ", ".join(map(stated.one_line, inside))


def _texts(facts: Facts) -> dict[str, list[str]]:
    """Licence text → the files that hold it; equal texts once, empty ones not at all, in the order of the names."""
    texts: dict[str, list[str]] = {}
    for path, content in sorted(facts.licences):
        text = _normal(content)
        if text:
            texts.setdefault(text, []).append(stated.one_line(path))
    return texts


def _normal(text: str) -> str:
    """The text with LF for every kind of line end, without byte order mark and without blank lines around it."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _LEADING.sub("", text).rstrip(" \t\v\f\n")


def _stated(facts: Facts) -> str:
    return "; ".join(stated.licence(facts.metadata).values)


def _is_licence(path: str) -> bool:
    """Whether a layer path is that of a licence at the top of a package folder, or beside the packages."""
    folders, _, name = path.rpartition("/")
    shallow = path.startswith("python/") and path.count("/") < _DEEPEST and not folders.endswith(".dist-info")
    return shallow and _LICENCE.fullmatch(name) is not None and not name.lower().endswith(_CODE)
