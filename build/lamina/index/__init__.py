"""Indexes: what wheels they offer. :mod:`.settings` says which ones are asked, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from lamina.errors import IndexAccessError
from lamina.index.answers import redact
from lamina.index.settings import Credential, Indexes, Named, from_environment
from lamina.lock import canonical

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from lamina.index.model import IndexFile, Project
    from lamina.index.pages import Source
    from lamina.store import Store

__all__ = ["Credential", "IndexClient", "Indexes", "Named", "from_environment", "redact"]


class IndexClient:
    """Asks the indexes what they offer; each project at most once. Safe for use by several threads.

    With a ``store``, answers are kept there, and answer again when ``offline``, which opens no socket.
    """

    def __init__(
        self,
        indexes: Indexes,
        *,
        offline: bool = False,
        store: Store | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        from lamina.index.pages import sources
        from lamina.index.transport import Transport

        self.indexes = indexes
        self.offline = offline
        self.transport = Transport(credentials=indexes.credential, certificates=indexes.certificates, stop=stop)
        self._folders, self._ranked, self._named = sources(indexes, self.transport, offline=offline, store=store)
        self._known: dict[str, Project] = {}
        self._pages: dict[tuple[Source, str], Project | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()

    def project(self, name: str) -> Project:
        """What the folders and the first index that has the project offer; wheels in no particular order.

        Of a package that an index of the recipe's names, that index is the only one.

        Raises:
            IndexAccessError: an index does not answer, or refuses.
        """
        from lamina.index.model import Project

        name = canonical(name)
        if name not in self._known:
            found = [page for folder in self._folders if (page := self._page(folder, name)) is not None]
            try:
                first = next(
                    (page for source in self._indexes(name) if (page := self._page(source, name)) is not None), None
                )
            except IndexAccessError:
                if not (self.offline and found):  # folders may be all there is, and all that is needed
                    raise
                first = None
            self._known[name] = Project.merged(name, [*found, *([first] if first is not None else [])])
        return self._known[name]

    def offered(self, name: str) -> Project:
        """What the first index that has the project offers, without the folders of wheels.

        Raises:
            IndexAccessError: an index does not answer, or refuses.
        """
        from lamina.index.model import Project

        name = canonical(name)
        pages = (self._page(source, name) for source in self._indexes(name))
        return next((page for page in pages if page is not None), Project(name))

    def check_folders(self) -> None:
        """Make sure that the folders of wheels are there.

        Raises:
            UsageError: one is not.
        """
        for folder in self._folders:
            folder.page("")

    def files(self, name: str) -> list[IndexFile]:
        """The wheels of the project; empty when there is no such project."""
        return list(self.project(name).wheels)

    def everywhere(self, name: str) -> Iterator[Project]:
        """The project's page of every folder and then every index, for a file whose hash is already known."""
        name = canonical(name)
        for source in (*self._folders, *self._indexes(name)):
            page = self._page(source, name)
            if page is not None:
                yield page

    def local(self, name: str) -> list[IndexFile]:
        """The project's files that are on this machine, whatever else there may be. Opens no socket."""
        from lamina.index.pages import Remote

        name = canonical(name)
        near = [*self._folders, *(source for source in self._indexes(name) if not isinstance(source, Remote))]
        pages = [self._page(source, name) for source in near]
        return [file for page in pages if page is not None for file in (*page.wheels, *page.archives)]

    def _indexes(self, name: str) -> Sequence[Source]:
        """The indexes that may be asked about a project, in their order."""
        own = self.indexes.serving(name)
        return self._ranked if own is None else (self._named[own.name],)

    def _page(self, source: Source, name: str) -> Project | None:
        key = (source, name)
        if key not in self._pages:
            self._pages[key] = source.page(name)
        return self._pages[key]
