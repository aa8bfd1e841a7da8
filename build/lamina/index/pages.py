"""What one index or folder says about one project: its wheels, which of them fit, and where they are."""

from __future__ import annotations

import contextlib
import hashlib
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from lamina.errors import IndexAccessError, UsageError
from lamina.index.answers import CREDENTIALS, NotThereError, RefusedError, redact
from lamina.index.model import IndexFile, Project, file_path
from lamina.index.names import source_name, wheel_name
from lamina.index.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypi_simple import DistributionPackage, ProjectPage

    from lamina.index import Indexes
    from lamina.store import Store

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Source(Protocol):
    """Somewhere wheels come from. ``page`` answers ``None`` when it does not know the project."""

    def page(self, name: str) -> Project | None:
        """What there is of the project with the canonical ``name``."""
        ...


class Folder:
    """A folder of wheels, and of source distributions, all projects together."""

    def __init__(self, path: Path) -> None:
        self._projects: dict[str, Project] | None = None
        self._path = path

    def page(self, name: str) -> Project | None:
        """The project's files in the folder.

        Raises:
            UsageError: there is no such folder.
        """
        if self._projects is None:
            self._projects = self._listed()
        return self._projects.get(name)

    def _listed(self) -> dict[str, Project]:
        try:
            paths = sorted(path for path in self._path.iterdir() if path.is_file())
        except OSError as error:
            hint = "Correct find-links in the recipe, or --find-links."
            raise UsageError(f"find-links: {self._path}: {error.strerror}", hint=hint) from error
        pages: dict[str, list[Project]] = {}
        for path in paths:
            wheel = wheel_name(path.name)
            known = wheel or source_name(path.name)
            if known:
                file = IndexFile(path.name, known[1], path.resolve().as_uri(), None, path.stat().st_size)
                page = _of(known[0], (file,), ()) if wheel else _of(known[0], (), (file,))
                pages.setdefault(known[0], []).append(page)
        return {name: Project.merged(name, found) for name, found in pages.items()}


class Tree:
    """An index in a folder of this machine: ``<root>/<project>/index.html``."""

    def __init__(self, url: str) -> None:
        self._root = file_path(url) or Path(url)

    def page(self, name: str) -> Project | None:
        """The project's page, if its folder is there."""
        from pypi_simple import ProjectPage

        folder = self._root / name
        try:
            html = (folder / "index.html").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _project(name, ProjectPage.from_html(name, html, base_url=folder.resolve().as_uri() + "/"))


class Remote:
    """An index asked over HTTP. ``url`` is ``None`` for the libraries' own default.

    ``variable`` is the environment variable that can give it another URL.
    """

    def __init__(
        self, url: str | None, transport: Transport, *, offline: bool, store: Store | None, variable: str = ""
    ) -> None:
        from pypi_simple import PYPI_SIMPLE_ENDPOINT

        self._url = (url or PYPI_SIMPLE_ENDPOINT).rstrip("/")
        self._transport = transport
        self._offline = offline
        self._store = store
        self._variable = variable

    def page(self, name: str) -> Project | None:
        """The project's page, from the index or, offline, as it was when last asked.

        Raises:
            IndexAccessError: the index does not answer, refuses, or answers what is no index page; or, offline, it was
                never asked about this project.
        """
        if self._offline:
            return self._remembered(name)
        page = self._asked(name)
        self._remember(name, page)
        return page

    def _asked(self, name: str) -> Project | None:
        from pypi_simple import (
            ACCEPT_ANY,
            ProjectPage,
            UnexpectedRepoVersionWarning,
            UnsupportedContentTypeError,
            UnsupportedRepoVersionError,
        )

        url = f"{self._url}/{name}/"
        try:
            answer = self._transport.send("GET", url, headers={"Accept": ACCEPT_ANY})
        except NotThereError:
            return None
        except RefusedError as error:
            if not self._variable:
                raise
            stem = self._variable.removeprefix("LAMINA_")
            hint = (
                f"{error.hint}\nFor this index, {self._variable} is that URL; or set UV_{stem}_USERNAME and _PASSWORD."
            )
            raise IndexAccessError(error.message, hint=hint) from error
        try:
            with warnings.catch_warnings():  # a newer minor version of the API only adds (PEP 629)
                warnings.simplefilter("ignore", UnexpectedRepoVersionWarning)
                return _project(name, ProjectPage.from_response(answer, name))
        except (UnsupportedContentTypeError, UnsupportedRepoVersionError, ValueError, KeyError) as error:
            message = f"{redact(url)}: not a page of a simple index: {type(error).__name__}"
            raise IndexAccessError(message, hint="Check that the URL is that of a simple index (PEP 503).") from error

    def _file(self, name: str) -> Path | None:
        if self._store is None:
            return None
        return self._store.path("pages", hashlib.sha256(f"{self._url}\n{name}".encode()).hexdigest(), ".json")

    def _remember(self, name: str, page: Project | None) -> None:
        path = self._file(name)
        if path is None or self._store is None:
            return
        with (
            contextlib.suppress(OSError),
            self._store.create(path) as beside,
        ):  # a store that cannot be written: no memory
            beside.write_bytes(msgspec.json.encode(page))

    def _remembered(self, name: str) -> Project | None:
        path = self._file(name)
        try:
            raw = path.read_bytes() if path is not None else b""
            return msgspec.json.decode(raw, type=Project | None)
        except (OSError, msgspec.DecodeError):
            message = f"{name}: offline, and {redact(self._url)} was never asked about it"
            raise IndexAccessError(message, hint="Run the command once without --offline.") from None


def sources(
    indexes: Indexes, transport: Transport, *, offline: bool, store: Store | None
) -> tuple[list[Source], list[Source], dict[str, Source]]:
    """The folders of wheels, the indexes in the order in which they are asked, and those for some packages by name."""
    folders: list[Source] = [Folder(Path(folder)) for folder in indexes.find_links]
    ranked: list[Source] = [
        Tree(url)
        if url is not None and url.startswith("file:")
        else Remote(url, transport, offline=offline, store=store)
        for url in (*indexes.extra, indexes.default)
    ]
    named: dict[str, Source] = {}
    for one in indexes.named:
        folder = file_path(one.url)
        if folder is None:
            named[one.name] = Remote(one.url, transport, offline=offline, store=store, variable=one.variable)
        else:
            loose = next(folder.glob("*.whl"), None) is not None
            named[one.name] = Folder(folder) if loose else Tree(one.url)
    return folders, ranked, named


def _project(name: str, page: ProjectPage) -> Project:
    """An index page without what is of no use here: files whose names mean nothing, or mean another project."""
    return _of(name, _files(name, page.packages, wheel_name), _files(name, page.packages, source_name))


def _of(name: str, wheels: Iterable[IndexFile], archives: Iterable[IndexFile]) -> Project:
    """A project of which somebody knows."""
    sources = tuple(archives)
    return Project(name, True, tuple(wheels), frozenset(file.version for file in sources), sources)  # noqa: FBT003


def _files(
    name: str, packages: Iterable[DistributionPackage], stated: Callable[[str], tuple[str, str] | None]
) -> Iterable[IndexFile]:
    """The files of the project whose names ``stated`` reads."""
    for package in packages:
        for filename in _filenames(package):
            known = stated(filename)
            if known is not None and known[0] == name:
                digest = package.digests.get("sha256", "").lower()
                yield IndexFile(
                    filename,
                    known[1],
                    CREDENTIALS.sub("", package.url),
                    digest if _SHA256.fullmatch(digest) else None,
                    package.size,
                    package.requires_python or None,
                    package.is_yanked,
                    bool(package.has_metadata),
                )
                break


def _filenames(package: DistributionPackage) -> tuple[str, str]:
    """What a file may be called: as the page says, or as its address ends; some pages show other texts (PEP 503)."""
    return package.filename, unquote(urlsplit(package.url).path.rpartition("/")[2])
