"""Indexes: which ones, in which order, and what wheels they offer. The resolver and the downloads ask the same ones.

Precedence, for each of the two settings by itself, the first that is set and not empty:

* the default index: ``UV_DEFAULT_INDEX``, ``UV_INDEX_URL``, ``PIP_INDEX_URL``, else the libraries' own default;
* further indexes: ``UV_INDEX`` with ``UV_EXTRA_INDEX_URL``, else ``PIP_EXTRA_INDEX_URL``.

Further indexes come before the default one, and a project is taken from the first index that has it (as uv does; pip
mixes them, which lets a public project of the same name take a private one's place). Folders of wheels are asked
beside the index; they come from the recipe or the command line. No configuration file is read, and no other variable
of pip or uv but ``UV_INDEX_<NAME>_USERNAME`` and ``_PASSWORD`` of a named index. Trusted authorities are those of
``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` or ``PIP_CERT``, else the libraries' own.

An index is a URL, ``http(s)`` or ``file``, or a path, of a tree as PEP 503 lays it out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec

from lamina.errors import IndexAccessError, UsageError
from lamina.index.transport import redact
from lamina.lock import canonical

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from lamina.index.pages import IndexFile, Project, Source
    from lamina.store import Store

__all__ = ["IndexClient", "Indexes", "from_environment", "redact"]

_NAMED = re.compile(r"([A-Za-z0-9_.-]+)=(.+)", re.DOTALL)
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class Credential(msgspec.Struct, frozen=True):
    """User and password for everything below ``prefix``, a URL without them. Never shown."""

    prefix: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credential({self.prefix!r}, ***)"


class Indexes(msgspec.Struct, frozen=True):
    """One index configuration. URLs hold no credentials; ``default`` is ``None`` for the libraries' own default.

    ``find_links`` are folders of wheels, ``certificates`` a file of trusted authorities.
    """

    default: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()
    certificates: str | None = None

    def anchored(self, base: Path) -> Indexes:
        """The same with every relative folder of ``find_links`` starting from ``base``."""
        return msgspec.structs.replace(self, find_links=tuple(str(base / folder) for folder in self.find_links))

    def credential(self, url: str) -> tuple[str, str] | None:
        """User and password for ``url``: of the index it lies below, else of one on the same host and port.

        Files usually lie outside their index's own path, on the same host (pip and uv look there alike).
        """
        below = [known for known in self.credentials if url.startswith(known.prefix.rstrip("/") + "/")]
        best = max(below, key=lambda known: len(known.prefix), default=None)
        if best is None:
            best = next((known for known in self.credentials if _origin(known.prefix) == _origin(url)), None)
        return None if best is None else (best.user, best.password)

    def with_credential(self, url: str) -> str:
        """The URL of an index with its user and password in it, for uv's environment. Never to be shown."""
        known = next((known for known in self.credentials if known.prefix == url), None)
        if known is None:
            return url
        parts = urlsplit(url)
        user = quote(known.user, safe="") + (":" + quote(known.password, safe="") if known.password else "")
        return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))

    def redact(self, text: str) -> str:
        """``text`` without anything secret: credentials in URLs, signed queries, and these passwords anywhere."""
        for known in self.credentials:
            for secret in {known.password, quote(known.password, safe="")}:
                if len(secret) > 3:  # noqa: PLR2004 - a shorter one would blot out ordinary text
                    text = text.replace(secret, "***")
        return redact(text)


def from_environment(env: Mapping[str, str], find_links: Sequence[str] = (), base: Path | None = None) -> Indexes:
    """Read the configuration as the module's description states it.

    ``find_links`` are folders from the recipe and the command line; relative ones start from ``base`` when given.

    Raises:
        UsageError: an index is neither a URL nor a path that exists.
    """
    credentials: list[Credential] = []
    default = None
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if env.get(variable, "").strip():
            default = _index(env[variable].strip(), variable, env, credentials)
            break
    extra: list[str] = []
    for variables in (("UV_INDEX", "UV_EXTRA_INDEX_URL"), ("PIP_EXTRA_INDEX_URL",)):
        for variable in variables:
            extra += [_index(word, variable, env, credentials) for word in env.get(variable, "").split()]
        if extra:
            break
    certificates = next((env[variable] for variable in _CERTIFICATES if env.get(variable)), None)
    found = Indexes(default, tuple(dict.fromkeys(extra)), tuple(find_links), tuple(credentials), certificates)
    return found if base is None else found.anchored(base)


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
        self._folders, self._ranked = sources(indexes, self.transport, offline=offline, store=store)
        self._known: dict[str, Project] = {}
        self._pages: dict[tuple[Source, str], Project | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()

    def project(self, name: str) -> Project:
        """What the folders and the first index that has the project offer; wheels in no particular order.

        Raises:
            IndexAccessError: an index does not answer, or refuses.
        """
        from lamina.index.pages import Project

        name = canonical(name)
        if name not in self._known:
            found = [page for folder in self._folders if (page := self._page(folder, name)) is not None]
            try:
                first = next((page for source in self._ranked if (page := self._page(source, name)) is not None), None)
            except IndexAccessError:
                if not (self.offline and found):  # folders may be all there is, and all that is needed
                    raise
                first = None
            self._known[name] = Project.merged(name, [*found, *([first] if first is not None else [])])
        return self._known[name]

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
        for source in (*self._folders, *self._ranked):
            page = self._page(source, canonical(name))
            if page is not None:
                yield page

    def local(self, name: str) -> list[IndexFile]:
        """The project's wheels that are files of this machine, whatever else there may be. Opens no socket."""
        from lamina.index.pages import Tree

        near = [*self._folders, *(source for source in self._ranked if isinstance(source, Tree))]
        pages = [self._page(source, canonical(name)) for source in near]
        return [file for page in pages if page is not None for file in page.wheels]

    def _page(self, source: Source, name: str) -> Project | None:
        key = (source, name)
        if key not in self._pages:
            self._pages[key] = source.page(name)
        return self._pages[key]


def _index(value: str, variable: str, env: Mapping[str, str], credentials: list[Credential]) -> str:
    """One index as stated: its URL without credentials, which go to ``credentials``, and without its name."""
    named = _NAMED.fullmatch(value)
    name = ""
    if named and "/" not in named[1]:  # UV_INDEX may hold name=URL
        name, value = named[1], named[2]
    if "://" not in value:
        return _folder(value, variable)
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https", "file"}:
        message = f"{variable}: {redact(value)}: an index of this kind cannot be asked"
        raise UsageError(message, hint="Write the URL of a simple index, beginning with https://, or a folder.")
    host = parts.netloc.rpartition("@")
    stem = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    user = unquote(parts.username or "") or (env.get(f"{stem}_USERNAME", "") if name else "")
    password = unquote(parts.password or "") or (env.get(f"{stem}_PASSWORD", "") if name else "")
    url = urlunsplit(parts._replace(netloc=host[2], fragment="")).rstrip("/")
    if user or password:
        credentials.append(Credential(url, user, password))
    return url


def _folder(value: str, variable: str) -> str:
    path = Path(value).expanduser()
    if not path.is_dir():
        raise UsageError(
            f"{variable}: {value!r} is neither a URL nor a folder", hint="Write the URL of a simple index."
        )
    return path.resolve().as_uri()


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
