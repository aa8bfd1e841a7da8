"""What a registry asks for with a 401, and the tokens that answer it.

Sources: RFC 9110, section 11.6.1 (WWW-Authenticate); https://distribution.github.io/distribution/spec/auth/token/ and
https://distribution.github.io/distribution/spec/auth/oauth/.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from lamina.oci.references import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lamina.oci.auth import Login

_MOST_HEADER = 8192
#: Tokens are headers of the requests that follow.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URL = re.compile(r"[!-\[\]-~]+")
_VALUE = re.compile(r'[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Challenge(NamedTuple):
    """One way to identify oneself: ``scheme`` and the names of ``parameters`` are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


class Asked(NamedTuple):
    """The request that gets a token."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    def content(self) -> bytes:
        """What is sent."""
        return self.body


class _Answer(msgspec.Struct):
    token: str = ""
    access_token: str = ""


def challenges(header: str) -> tuple[Challenge, ...]:
    """Read a WWW-Authenticate header, which may hold several; what cannot be read is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    text, at = header[:_MOST_HEADER], 0
    while at < len(text):
        name = _NAME.match(text, at)
        if name is None:
            at += 1
            continue
        at = name.end()
        value = _VALUE.match(text, at)
        if value is None:
            found.append((name[0].lower(), {}))
        else:
            at = value.end()
            plain = value[2] if value[1] is None else re.sub(r"\\(.)", r"\1", value[1], flags=re.DOTALL)
            if found:
                found[-1][1].setdefault(name[0].lower(), plain)
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def token_request(challenge: Challenge, scopes: Sequence[str], login: Login | None, *, plain: bool) -> Asked | None:
    """How to get a token; ``None`` where the realm is no place to send a password to.

    ``plain`` says that the registry itself speaks http, on loopback; only then may the realm, on loopback too.
    """
    realm = challenge.parameters.get("realm", "")
    try:
        parts = urlsplit(realm)
        host = parts.hostname
    except ValueError:
        return None
    if not _URL.fullmatch(realm):  # what one reader of URLs strips, another takes
        return None
    near = plain and host is not None and is_loopback(host)
    if not host or "@" in parts.netloc or parts.scheme not in ({"http", "https"} if near else {"https"}):
        return None
    service = challenge.parameters.get("service", "")
    if login is not None and login.identity_token:
        fields = {"grant_type": "refresh_token", "service": service, "client_id": "lamina", "scope": " ".join(scopes)}
        body = urlencode({**fields, "refresh_token": login.identity_token}).encode()
        return Asked("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"}, body)
    query = urlencode([("service", service)] * bool(service) + [("scope", scope) for scope in scopes])
    url = f"{realm}{'&' if parts.query else '?'}{query}"
    return Asked("GET", url, {"Authorization": login.basic} if login is not None else {})


def token(content: bytes) -> str | None:
    """The token of an answer, if there is one that can be a header."""
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = answer.token or answer.access_token
    return found if _TOKEN.fullmatch(found) else None
