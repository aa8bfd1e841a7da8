"""Which indexes there are, and in which order. The resolver and the downloads ask the same ones.

Precedence, for each of the two settings by itself, the first that is set and not empty:

* the default index: ``UV_DEFAULT_INDEX``, ``UV_INDEX_URL``, ``PIP_INDEX_URL``, else the libraries' own default;
* further indexes: ``UV_INDEX`` with ``UV_EXTRA_INDEX_URL``, else ``PIP_EXTRA_INDEX_URL``.

Further indexes come before the default one, and a project is taken from the first index that has it (as uv does; pip
mixes them, which lets a public project of the same name take a private one's place). Folders of wheels are asked
beside the index; they come from the recipe or the command line. No configuration file is read, and no other variable of
pip or uv but ``UV_INDEX_<NAME>_USERNAME`` and ``_PASSWORD`` of an index with a name. Trusted authorities are
those of ``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` or ``PIP_CERT``, each a file or a folder, else
the libraries' own.

An ``[[index]]`` of the recipe serves the packages that it names and no others, and no other index is asked about those.
``LAMINA_INDEX_<NAME>`` (upper case, ``_`` for all but letters and digits) takes the place of its URL: a URL, which may
hold credentials, or a folder, of loose wheels or a tree.

An index is a URL, ``http(s)`` or ``file``, or a path, of a tree as PEP 503 lays it out.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec

from lamina.errors import UsageError
from lamina.index.answers import redact
from lamina.lock import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lamina import recipe

_NAMED = re.compile(r"([A-Za-z0-9_.-]+)=(.+)", re.DOTALL)
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class Credential(msgspec.Struct, frozen=True):
    """User and password for everything below ``prefix``, a URL without them. Never shown."""

    prefix: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credential({self.prefix!r}, ***)"


class Named(msgspec.Struct, frozen=True):
    """An index for some packages only, by canonical name. The URL holds no credentials."""

    name: str
    url: str
    packages: tuple[str, ...]

    @property
    def variable(self) -> str:
        """The environment variable that overrides the URL."""
        return "LAMINA_INDEX_" + _upper(self.name)


class Indexes(msgspec.Struct, frozen=True):
    """One index configuration. URLs hold no credentials; ``default`` is ``None`` for the libraries' own default.

    ``find_links`` are folders of wheels, ``certificates`` a file or folder of trusted authorities, ``named`` indexes
    for some packages only.
    """

    default: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()
    certificates: str | None = None
    named: tuple[Named, ...] = ()

    def serving(self, package: str) -> Named | None:
        """The index that alone serves this package, if one does; ``package`` is a canonical name."""
        return next((one for one in self.named if package in one.packages), None)

    def anchored(self, base: Path) -> Indexes:
        """The same with every relative folder of ``find_links`` starting from ``base``."""
        return msgspec.structs.replace(self, find_links=tuple(str(base / folder) for folder in self.find_links))

    def credential(self, url: str) -> tuple[str, str] | None:
        """User and password for ``url``: of the index on the same host and port whose path it follows the longest.

        Files usually lie beside their index's own path, on the same host (pip and uv look there alike).
        """
        near = [known for known in self.credentials if _origin(known.prefix) == _origin(url)]
        best = max(near, key=lambda known: _together(known.prefix, url), default=None)
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
            header = base64.b64encode(f"{known.user}:{known.password}".encode()).decode()
            for secret in (header, known.password, quote(known.password, safe="")):
                if len(secret) > 3:  # noqa: PLR2004 - a shorter one would blot out ordinary text
                    text = text.replace(secret, "***")
        return redact(text)


def certificates(env: Mapping[str, str]) -> str | None:
    """The file or folder of trusted authorities; ``None`` for the libraries' own."""
    return next((env[variable] for variable in _CERTIFICATES if env.get(variable)), None)


def from_environment(
    env: Mapping[str, str],
    find_links: Sequence[str] = (),
    base: Path | None = None,
    named: Sequence[recipe.Index] = (),
) -> Indexes:
    """Read the configuration as the module's description states it.

    ``find_links`` are folders from the recipe and the command line; relative ones start from ``base`` when given.
    ``named`` are the recipe's ``[[index]]`` tables.

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
    own = tuple(_named(index, env, credentials) for index in named)
    found = Indexes(default, tuple(dict.fromkeys(extra)), tuple(find_links), tuple(credentials), certificates(env), own)
    return found if base is None else found.anchored(base)


def _named(index: recipe.Index, env: Mapping[str, str], credentials: list[Credential]) -> Named:
    """An ``[[index]]`` of the recipe, at the place that the environment says."""
    named = Named(index.name, index.url, tuple(sorted(map(canonical, index.packages))))
    stated = env.get(named.variable, "").strip()
    variable = named.variable if stated else f"index {index.name}"
    url = _index(stated or index.url, variable, env, credentials, index.name)
    return msgspec.structs.replace(named, url=url)


def _upper(name: str) -> str:
    """The part of a variable's name that stands for an index."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _index(value: str, variable: str, env: Mapping[str, str], credentials: list[Credential], name: str = "") -> str:
    """One index as stated: its URL without credentials, which go to ``credentials``, and without its name."""
    named = None if name else _NAMED.fullmatch(value)
    if named and "/" not in named[1]:  # UV_INDEX may hold name=URL
        name, value = named[1], named[2]
    if "://" not in value:
        return _folder(value, variable)
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https", "file"}:
        message = f"{variable}: {redact(value)}: an index of this kind cannot be asked"
        raise UsageError(message, hint="Write the URL of a simple index, beginning with https://, or a folder.")
    host = parts.netloc.rpartition("@")
    stem = "UV_INDEX_" + _upper(name)
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


def _together(prefix: str, url: str) -> tuple[int, int]:
    """With how many folders two paths begin alike, and how many of ``prefix`` are left then, which speak against it."""
    ours, theirs = (urlsplit(one).path.strip("/").split("/") for one in (prefix, url))
    alike = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return alike, alike - len(ours)
