"""A project's page of a simple index, its files below some root."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from lamina.index.model import IndexFile, Project


def href(project: Project, file: IndexFile, root: str) -> str:
    """Where a file is below ``root``."""
    return f"{root}/{project.name}/{quote(file.filename, safe='')}"


def as_json(project: Project, root: str) -> bytes:
    """The page as PEP 691 has it."""
    files = []
    for file in (*project.wheels, *project.archives):
        stated: dict[str, object] = {
            "filename": file.filename,
            "url": href(project, file, root),
            "hashes": {"sha256": file.sha256} if file.sha256 else {},
            "yanked": file.yanked,
        }
        stated |= {"requires-python": file.requires_python} if file.requires_python else {}
        stated |= {"core-metadata": True, "dist-info-metadata": True} if file.metadata else {}
        files.append(stated)
    return msgspec.json.encode({"meta": {"api-version": "1.0"}, "name": project.name, "files": files})


def as_html(project: Project, root: str) -> bytes:
    """The page as PEP 503 has it."""
    links = []
    for file in (*project.wheels, *project.archives):
        stated = {"href": href(project, file, root) + (f"#sha256={file.sha256}" if file.sha256 else "")}
        stated |= {"data-requires-python": file.requires_python} if file.requires_python else {}
        stated |= {"data-yanked": ""} if file.yanked else {}
        stated |= {"data-core-metadata": "true", "data-dist-info-metadata": "true"} if file.metadata else {}
        text = " ".join(f'{key}="{escape(value)}"' for key, value in stated.items())
        links.append(f"<a {text}>{escape(file.filename)}</a><br>\n")
    return f"<!DOCTYPE html>\n<html><body>\n{''.join(links)}</body></html>\n".encode()
