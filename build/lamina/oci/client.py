"""HTTP as registries speak it: the transport of the index, with tokens, and errors in the words of a registry.

Source: OCI distribution-spec 1.1; https://distribution.github.io/distribution/spec/api/ for the codes of errors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from lamina.errors import IndexAccessError
from lamina.index.answers import NotThereError, RefusedError, redact
from lamina.index.settings import certificates
from lamina.index.transport import TRIES, Transport
from lamina.oci import auth
from lamina.oci.challenge import Challenge, challenges, token, token_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import requests

    from lamina.oci.references import Reference

#: Of an answer that is read whole: manifests (distribution-spec, "Pushing Manifests"), tokens, errors.
MOST_BYTES = 4 * 1024**2
_CODE = re.compile(r"[A-Z][A-Z_]{2,40}")


class _Detail(msgspec.Struct):
    code: str = ""


class _Refusal(msgspec.Struct):
    errors: list[_Detail] = []


class _AskedError(Exception):
    """The registry asks who one is."""

    def __init__(self, asked: tuple[Challenge, ...]) -> None:
        super().__init__(asked)
        self.asked = asked


class Client(Transport):
    """A connection to the registry of a reference. ``scopes`` is what tokens are asked for, the needed one first."""

    def __init__(self, reference: Reference, scopes: Sequence[str], environment: Mapping[str, str]) -> None:
        super().__init__(certificates=certificates(environment), netrc=False)
        self.reference = reference
        self._scopes = list(scopes)
        self._environment = environment
        self._origin = _origin(reference.url)
        self._known: auth.Found | None = None
        self._header = ""

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        body: Callable[[], bytes | Iterable[bytes]] | None = None,
        tries: int = TRIES,
    ) -> requests.Response:
        """As the transport does, with the credentials of the registry, which no other host is sent.

        Raises:
            NotThereError: the registry says there is nothing.
            IndexAccessError: refused, or no answer after all tries.
        """
        for first in (True, False):
            own = _origin(url) == self._origin
            given = {**(headers or {}), **({"Authorization": self._header} if self._header and own else {})}
            try:
                return super().send(method, url, headers=given, stream=stream, body=body, tries=tries)
            except _AskedError as refusal:
                if not own or not first or not self._identify(refusal.asked):
                    raise self._denied() from None
        raise AssertionError("unreachable")

    def judged(self, url: str, answer: requests.Response) -> requests.Response:
        """Return an answer that can be used; raise what the others mean."""
        status = answer.status_code
        if status < 400 or status == 416:  # noqa: PLR2004 - 416, range not satisfiable, is for the download to judge
            return answer
        if status == 401:  # noqa: PLR2004
            asked = challenges(answer.headers.get("WWW-Authenticate", ""))
            answer.close()
            raise _AskedError(asked)
        code = _code(answer)
        said = f"{status}, {code}" if code else str(status)
        host, name = self.reference.registry, self.reference
        where = f"{name}" if _origin(url) == self._origin else f"{name}: {redact(url)}"
        if status == 404:  # noqa: PLR2004
            hint = f"Check name and tag, and that {host} has the repository; some registries want it created first."
            raise NotThereError(f"{where}: the registry has nothing of that name ({said})", hint=hint)
        if status in {403, 405}:
            hint = f"Check that this login of {host} may do that: read, or for a push write. {self._trouble()}"
            raise RefusedError(f"{where}: the registry refuses ({said})", hint=hint.strip())
        if status == 407:  # noqa: PLR2004
            hint = "Put user and password into the proxy's URL in the environment."
            raise IndexAccessError(f"{where}: the proxy asks for user and password (407)", hint=hint)
        if status == 413:  # noqa: PLR2004
            hint = f"Raise the limit on a request's body at {host}, or at the proxy before it."
            raise IndexAccessError(f"{where}: too large for the registry ({said})", hint=hint)
        hint = f"Check with who runs {host} what that means, and run the command again."
        raise IndexAccessError(f"{where}: the registry answers {said} {answer.reason[:80]}", hint=hint)

    def unavailable(self, url: str, answer: requests.Response, wait: float | None, tries: int) -> IndexAccessError:
        """What a registry that stays busy or broken means."""
        error = super().unavailable(url, answer, wait, tries)
        host = self.reference.registry
        hint = f"That is for {host} to mend; run the command again in a while. What was transferred is kept."
        if answer.status_code == 429:  # noqa: PLR2004
            hint = f"{host} allows no more requests for now: run the command again later, or log in, which allows more."
        return type(error)(f"{self.reference}: {error.message}", hint=hint)

    def _identify(self, asked: tuple[Challenge, ...]) -> bool:
        """Take what the registry asks for, and say whether another try is worth it."""
        login = self._found().login
        before = self._header
        for challenge in asked:
            if challenge.scheme == "bearer":
                self._header = self._token(challenge, login)
                return bool(self._header)
            if challenge.scheme == "basic" and login is not None and not login.identity_token:
                self._header = login.basic
                return self._header != before
        return False

    def _token(self, challenge: Challenge, login: auth.Login | None) -> str:
        """The header with a token for the scopes; for the first alone where that for all is refused."""
        stated = [challenge.parameters["scope"]] if challenge.parameters.get("scope") else []
        for scopes in dict.fromkeys((tuple(self._scopes or stated), tuple(self._scopes[:1] or stated))):
            asked = token_request(challenge, scopes, login, plain=self._origin[0] == "http")
            if asked is None:
                realm = redact(challenge.parameters.get("realm", ""))[:200]
                hint = "No password is sent there. Check the name of the registry, and who runs it."
                raise IndexAccessError(f"{self.reference}: the registry wants tokens of {realm!r}", hint=hint)
            try:
                answer = super().send(asked.method, asked.url, headers=asked.headers, stream=True, body=asked.content)
            except (_AskedError, RefusedError, NotThereError):
                continue
            with answer:
                found = token(self.content(answer))
            if found is None:
                hint = f"Try again; if it stays, who runs {self.reference.registry} has to know."
                raise IndexAccessError(f"{self.reference}: the registry's token server gives no token", hint=hint)
            return f"Bearer {found}"
        return ""

    def content(self, answer: requests.Response) -> bytes:
        """The body of an answer to a request with ``stream``.

        Raises:
            IndexAccessError: it is larger than :data:`MOST_BYTES`, or breaks off.
        """
        import requests

        parts, size = [], 0
        try:
            for part in answer.iter_content(1 << 16):
                size += len(part)
                if size > MOST_BYTES:
                    hint = "No image has a manifest of that size. Check the name of the registry."
                    raise IndexAccessError(f"{self.reference}: an answer of more than {MOST_BYTES:,} bytes", hint=hint)
                parts.append(part)
        except requests.exceptions.RequestException as error:
            raise IndexAccessError(
                f"{self.reference}: the registry's answer broke off", hint="Run the command again."
            ) from error
        return b"".join(parts)

    def _found(self) -> auth.Found:
        if self._known is None:
            self._known = auth.find(self.reference.registry, self.reference.repository, self._environment)
        return self._known

    def _trouble(self) -> str:
        trouble = self._known.trouble if self._known is not None else ""
        return f"({trouble}.)" if trouble else ""

    def _denied(self) -> RefusedError:
        host = self.reference.registry
        login = self._found().login
        command = "docker login" if host == "docker.io" else f"docker login {host}"
        if login is not None:
            message = f"{self.reference}: the registry does not accept the login that {login.source} holds (401)"
            return RefusedError(message, hint=f"Log in again, as who may do this: {command}")
        hint = f"Log in: {command}. Many registries answer the same for an image that is not there. {self._trouble()}"
        return RefusedError(f"{self.reference}: the registry asks for a login (401)", hint=hint.strip())


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port; of what is no URL, which a registry may name as well, an origin that nobody has."""
    try:
        parts = urlsplit(url)
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return "", "", 0
    return parts.scheme, parts.hostname or "", port


def _code(answer: requests.Response) -> str:
    """The first code of a registry's error: words that the specification lists, and never what the server adds."""
    import requests

    try:
        text = next(answer.iter_content(1 << 16), b"")
        found = msgspec.json.decode(text, type=_Refusal).errors
    except (requests.exceptions.RequestException, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    finally:
        answer.close()
    return found[0].code if found and _CODE.fullmatch(found[0].code) else ""
