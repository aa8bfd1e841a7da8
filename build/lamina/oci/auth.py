"""Who one is at a registry: the credentials that ``docker login`` and ``podman login`` keep.

The first of these files that knows the registry answers: ``REGISTRY_AUTH_FILE``; ``config.json`` in ``DOCKER_CONFIG``;
Podman's ``$XDG_RUNTIME_DIR/containers/auth.json`` and ``~/.config/containers/auth.json``; ``~/.docker/config.json``.
In a file, a helper for the registry (``credHelpers``) comes before the helper for all (``credsStore``), and that before
what the file itself holds. Sources: https://docs.docker.com/reference/cli/docker/login/, containers-auth.json(5), and
https://github.com/docker/docker-credential-helpers.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lamina.errors import MissingToolError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Seconds that a credential helper has; one may ask a vault across the network.
_TIMEOUT = 60.0
_MOST_BYTES = 4 * 1024**2
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HUB = "https://index.docker.io/v1/"
#: A helper says so on its standard output, with exit code 1.
_NOT_FOUND = "credentials not found"
#: As the user's name it means that the secret is an identity token.
_TOKEN_USER = "<token>"  # noqa: S105 - a name


class Login(NamedTuple):
    """User and password, or an identity token, and the file or program that they are from. Never shown."""

    user: str = ""
    password: str = ""
    identity_token: str = ""
    source: str = ""

    def __repr__(self) -> str:
        return f"Login(***, source={self.source!r})"

    @property
    def basic(self) -> str:
        """The header of HTTP's basic authentication (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class Found(NamedTuple):
    """What is known of a registry: a login, if any, and what went wrong with a helper, for the hint of a refusal."""

    login: Login | None
    trouble: str = ""


class _Entry(msgspec.Struct):
    auth: str = ""
    identitytoken: str = ""


class _File(msgspec.Struct, rename="camel"):
    auths: dict[str, _Entry | None] = {}
    creds_store: str = ""
    cred_helpers: dict[str, str] = {}


class _Told(msgspec.Struct, rename={"user": "Username", "secret": "Secret"}):
    user: str = ""
    secret: str = ""


def find(registry: str, repository: str, environment: Mapping[str, str]) -> Found:
    """The login for a repository of a registry (``docker.io``, ``localhost:5000``); none is an answer too.

    A helper that fails is no error: most images can be read by anybody. It is told when the registry refuses.

    Raises:
        UsageError: a file of credentials cannot be read.
    """
    trouble = ""
    for path in _files(environment):
        file = _read(path)
        if file is None:
            continue
        found = _of(file, path, registry, repository, environment)
        if found.login is not None:
            return found
        trouble = trouble or found.trouble
    return Found(None, trouble)


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = environment.get("HOME") or environment.get("USERPROFILE")
    if stated := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(stated)
    if docker := environment.get("DOCKER_CONFIG"):
        yield Path(docker, "config.json")
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers", "auth.json")
    if settings := environment.get("XDG_CONFIG_HOME") or (home and str(Path(home, ".config"))):
        yield Path(settings, "containers", "auth.json")
    if home and not docker:
        yield Path(home, ".docker", "config.json")


def _read(path: Path) -> _File | None:
    hint = "Correct the file, or remove it and log in again: docker login."
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path}: is too large for a file of credentials", hint=hint)
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        if isinstance(error, NotADirectoryError):
            return None
        raise UsageError(f"{path}: credentials cannot be read: {error.strerror}", hint=hint) from error
    try:
        return msgspec.json.decode(content, type=_File) if content.strip() else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What the decoder says could quote what stands there.
        raise UsageError(f"{path}: is not a file of credentials as Docker and Podman write it", hint=hint) from None


def _of(file: _File, path: Path, registry: str, repository: str, environment: Mapping[str, str]) -> Found:
    server = _HUB if registry == "docker.io" else registry
    own = next((name for key, name in file.cred_helpers.items() if _host(key) == registry), "")
    found = Found(None)
    if own or file.creds_store:
        found = _ask(own or file.creds_store, server, path, environment)
    if found.login is None and not own:
        entry = _entry(file.auths, registry, repository)
        if entry is not None and (entry.auth or entry.identitytoken):
            return Found(_decoded(entry, path))
    return found


def _entry(auths: Mapping[str, _Entry | None], registry: str, repository: str) -> _Entry | None:
    """The entry of the registry, or, as Podman has them, of the longest path that leads to the repository."""
    wanted = f"{registry}/{repository}"
    best, length = None, 0
    for key, entry in auths.items():
        name = _name(key)
        if (wanted == name or wanted.startswith(f"{name}/")) and len(name) > length:
            best, length = entry, len(name)
    return best


def _name(key: str) -> str:
    """The key of a file without scheme and version: ``https://index.docker.io/v1/`` is ``docker.io``."""
    name = re.sub(r"^https?://", "", key).rstrip("/")
    name = re.sub(r"/v[12]$", "", name)
    return re.sub(r"^(?:index|registry-1)\.docker\.io", "docker.io", name)


def _host(key: str) -> str:
    return _name(key).partition("/")[0]


def _decoded(entry: _Entry, path: Path) -> Login:
    try:
        user, colon, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon, user, password = "", "", ""
    if entry.auth and not colon:
        raise UsageError(f"{path}: has credentials that cannot be decoded", hint="Log in again: docker login.")
    return Login(user, password.rstrip("\0"), entry.identitytoken, str(path))


def _ask(helper: str, server: str, path: Path, environment: Mapping[str, str]) -> Found:
    """Ask a credential helper, which is a program that answers in JSON."""
    from lamina.process import run

    if not _HELPER.fullmatch(helper):
        return Found(None, f"{path} names a credential helper {helper[:80]!r}, which is no name of a program")
    program = f"docker-credential-{helper}"
    try:
        done = run([program, "get"], timeout=_TIMEOUT, env=environment, stdin=server)
    except (MissingToolError, OSError) as error:
        reason = error.message if isinstance(error, MissingToolError) else f"{program}: {error.strerror}"
        return Found(None, f"{path} names a credential helper: {reason}")
    if done.code:
        known = _NOT_FOUND in done.stdout or _NOT_FOUND in done.stderr
        return Found(None, "" if known else f"{program}, which {path} names, ended with exit code {done.code}")
    try:
        told = msgspec.json.decode(done.stdout, type=_Told)
    except (msgspec.DecodeError, RecursionError):
        return Found(None, f"{program}, which {path} names, answered something else than credentials")
    if told.user == _TOKEN_USER:
        return Found(Login(identity_token=told.secret, source=program))
    return Found(Login(told.user, told.secret, source=program) if told.secret else None)
