"""Indexes for some packages only, as uv can be told of them: a tree of their pages that comes before every index.

uv ties a package to an index only where a project requires it directly, never what comes along. But it takes a package
from the first index that has a page of it, and from no other. So lamina asks the recipe's indexes itself and writes the
pages of their packages as one tree, which holds nothing else; a package that its index does not have gets an empty
page. The tree's place follows from its indexes and packages, so that uv recognises it; it holds no credentials.
"""

from __future__ import annotations

import hashlib
from html import escape
from typing import TYPE_CHECKING

import msgspec

from lamina.errors import MissingToolError
from lamina.index.workers import each

if TYPE_CHECKING:
    from lamina.index import IndexClient
    from lamina.index.model import IndexFile, Project
    from lamina.store import Store

_JOBS = 8


def route(client: IndexClient, store: Store) -> str | None:
    """Write the tree; return its URL, or ``None`` where the recipe names no index.

    Raises:
        IndexAccessError: one of the indexes does not answer, or refuses; or, offline, was never asked.
        MissingToolError: the store cannot be written.
    """
    named = client.indexes.named
    if not named:
        return None
    key = sorted((one.url, one.packages) for one in named)
    tree = store.path("pages", hashlib.sha256(msgspec.json.encode(key)).hexdigest())
    packages = [package for one in named for package in one.packages]
    offers = each(client.offered, packages, jobs=_JOBS, interrupt=client.transport.interrupt)
    try:
        for package, offer in zip(packages, offers, strict=True):
            with store.create(tree / package / "index.html") as beside:
                beside.write_text(page(offer), encoding="utf-8")
    except OSError as error:
        hint = "Let LAMINA_CACHE name a folder that can be written."
        raise MissingToolError(f"{error.filename or tree}: {error.strerror}", hint=hint) from error
    return tree.as_uri()


def page(project: Project) -> str:
    """A project's wheels as a page of a simple index (PEP 503); source distributions are left out."""
    links = "".join(f"{_link(wheel)}<br>\n" for wheel in project.wheels)
    return f"<!DOCTYPE html>\n<html><body>\n{links}</body></html>\n"


def _link(wheel: IndexFile) -> str:
    attributes = {"href": wheel.url + (f"#sha256={wheel.sha256}" if wheel.sha256 else "")}
    if wheel.requires_python:
        attributes["data-requires-python"] = wheel.requires_python
    if wheel.yanked:
        attributes["data-yanked"] = ""
    if wheel.metadata:
        attributes["data-core-metadata"] = "true"
    stated = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f"<a {stated}>{escape(wheel.filename)}</a>"
