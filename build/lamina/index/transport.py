"""HTTP as the index and the downloads need it: retried, authenticated, with errors that say what to do.

The machine's proxies are honoured as :mod:`requests` reads them (``HTTPS_PROXY``, ``NO_PROXY``), and netrc where no
index URL holds credentials. Nothing shown to anybody holds a credential.
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from lamina.errors import IndexAccessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import requests

#: Tries of one request, the first included. With the delays between them about eight seconds.
TRIES = 5

#: Seconds before the second try; each further delay is twice as long, up to ``LONGEST_DELAY``, give or take a half.
FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0

#: A ``Retry-After`` above this many seconds ends the command with the number, rather than waiting in silence.
PATIENCE = 90.0

#: Seconds to connect, and seconds without a single byte.
TIMEOUTS = (15.0, 60.0)

#: Statuses worth another try (RFC 9110): too early, too many requests, and what servers and gateways answer in passing.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

_MISSING = frozenset({404, 410})

_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>)]+")


class Interrupted(Exception):  # noqa: N818 - not a failure: somebody asked for it
    """The work was told to stop while it waited or read."""


class NotThereError(IndexAccessError):
    """The server answers that there is nothing at this address (404 or 410)."""


class UnansweredError(IndexAccessError):
    """No answer, or one that may be another in a moment, after all tries."""


class RefusedError(IndexAccessError):
    """The server wants other credentials than it was given (401 or 403)."""


def redact(text: str) -> str:
    """Hide the user and password of every URL in ``text``, and query strings, where signed links carry their key."""
    return _QUERY.sub(r"\1?***", _CREDENTIALS.sub("***@", text))


class Transport:
    """One session for many threads. ``credentials`` answers user and password for a URL, or ``None``."""

    def __init__(
        self,
        *,
        credentials: Callable[[str], tuple[str, str] | None] = lambda _: None,
        certificates: str | None = None,
        stop: threading.Event | None = None,
        netrc: bool = True,
    ) -> None:
        self._netrc = netrc
        self.stop = stop or threading.Event()
        self._credentials = credentials
        self._certificates = certificates
        self._session: requests.Session | None = None
        self._open: set[requests.Response] = set()
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def session(self) -> requests.Session:
        """The session, made at first use."""
        with self._guard:
            if self._session is None:
                self._session = self._new_session()
            return self._session

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
        """Send a request until it is answered, at most ``tries`` times, and return an answer below 400 or 416.

        ``body`` gives what is sent, anew for each try.

        Raises:
            NotThereError: the server says there is nothing.
            IndexAccessError: refused, or no answer after all tries.
            Interrupted: :attr:`stop` was set.
        """
        for attempt in range(1, tries + 1):
            last = attempt == tries
            answer, failure = self._try(method, url, headers, body, stream=stream)
            if answer is None:
                if last:
                    often = f", {tries} times" if tries > 1 else ""
                    raise UnansweredError(f"{redact(url)}: {failure}{often}", hint=_network_hint(url))
                self.pause(delay(attempt))
            elif answer.status_code in TRANSIENT:
                wait = _asked_delay(answer)
                answer.close()
                if last or (wait or 0) > PATIENCE:
                    raise self.unavailable(url, answer, wait, tries)
                self.pause(delay(attempt) if wait is None else wait)
            else:
                return self.judged(url, answer)
        raise AssertionError("unreachable")

    def judged(self, url: str, answer: requests.Response) -> requests.Response:
        """Return an answer that can be used; raise what the others mean, in the words of an index."""
        return _judged(url, answer)

    def unavailable(self, url: str, answer: requests.Response, wait: float | None, tries: int) -> IndexAccessError:
        """What a server that stays busy or broken means; ``wait`` is the delay that it asks for, in seconds."""
        return _unavailable(url, answer, wait, tries)

    def pause(self, seconds: float) -> None:
        """Wait, unless told to stop."""
        if self.stop.wait(seconds):
            raise Interrupted

    def interrupt(self) -> None:
        """Make every thread that waits, reads or retries stop as soon as it can. Safe from any thread."""
        self.stop.set()
        with self._guard:
            answers = list(self._open)
        for answer in answers:
            shutdown = getattr(answer.raw, "shutdown", None)  # urllib3 2.3 and newer; older ones end at the timeout
            if shutdown is not None:
                try:
                    shutdown()
                except (OSError, RuntimeError, ValueError):
                    continue  # just finished by itself

    def watch(self, answer: requests.Response) -> _Watch:
        """While in the ``with`` block, :meth:`interrupt` cuts the reading of ``answer`` short."""
        return _Watch(self, answer)

    def close(self) -> None:
        """Close all connections."""
        with self._guard:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _try(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: Callable[[], bytes | Iterable[bytes]] | None,
        *,
        stream: bool,
    ) -> tuple[requests.Response | None, str]:
        """One request: the answer, or the reason why there is none and another try is worth it."""
        import requests

        if self.stop.is_set():
            raise Interrupted
        try:
            answer = self.session.request(
                method,
                url,
                headers=dict(headers or {}),
                data=body() if body is not None else None,
                stream=stream,
                timeout=TIMEOUTS,
                allow_redirects=True,
                # Given here, since a session's own setting yields to REQUESTS_CA_BUNDLE.
                verify=self._certificates or True,
            )
        except requests.exceptions.SSLError as error:
            message = f"{redact(url)}: no trusted connection: {_innermost(error)}"
            hint = "If a proxy or a private authority signs the certificate, name its file in SSL_CERT_FILE."
            raise IndexAccessError(message, hint=hint) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            message = f"{redact(url)}: not an address that can be asked: {redact(str(error))}"
            raise IndexAccessError(message, hint="Correct the URL of the index.") from error
        except requests.exceptions.TooManyRedirects as error:
            raise IndexAccessError(f"{redact(url)}: redirected in circles", hint=_network_hint(url)) from error
        except requests.exceptions.RequestException as error:
            return None, _innermost(error)
        return answer, ""

    def _new_session(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter
        from requests.auth import AuthBase
        from requests.utils import get_netrc_auth

        credentials, netrc = self._credentials, self._netrc

        class Auth(AuthBase):
            """Credentials of the index whose URL held them; netrc for everybody else, as without this class."""

            def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
                url = request.url or ""
                known = credentials(url) or (get_netrc_auth(url) if netrc else None)
                if known:
                    user, password = (part.encode() for part in known)
                    request = requests.auth.HTTPBasicAuth(user, password)(request)
                return request

        session = requests.Session()
        session.headers["User-Agent"] = "lamina"
        session.auth = Auth()
        adapter = HTTPAdapter(pool_connections=16, pool_maxsize=32)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


class _Watch:
    def __init__(self, transport: Transport, answer: requests.Response) -> None:
        self._transport = transport
        self._answer = answer

    def __enter__(self) -> requests.Response:
        with self._transport._guard:  # noqa: SLF001 - its other half
            self._transport._open.add(self._answer)  # noqa: SLF001
        return self._answer

    def __exit__(self, *_: object) -> None:
        with self._transport._guard:  # noqa: SLF001
            self._transport._open.discard(self._answer)  # noqa: SLF001
        self._answer.close()


def delay(attempt: int) -> float:
    """Seconds to wait after try number ``attempt``: doubled each time, and scattered so that clients do not march."""
    import random

    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.5)  # noqa: S311


def _judged(url: str, answer: requests.Response) -> requests.Response:
    """Return an answer that can be used; raise what the others mean."""
    status = answer.status_code
    if status < 400 or status == 416:  # noqa: PLR2004 - 416, range not satisfiable, is for the download to judge
        return answer
    answer.close()
    where = redact(url)
    host = urlsplit(url).hostname or url
    if status in _MISSING:
        raise NotThereError(f"{where}: nothing there ({status})")
    if status in {401, 407}:
        who = "the proxy" if status == 407 else "the index"  # noqa: PLR2004
        hint = f"Put user and password into the index URL in the environment, or into netrc for {host}."
        raise (IndexAccessError if status == 407 else RefusedError)(  # noqa: PLR2004
            f"{where}: {who} asks for user and password ({status})", hint=hint
        )
    if status == 403:  # noqa: PLR2004
        hint = f"Check the index URL, and that the credentials for {host} may read there."
        raise RefusedError(f"{where}: access refused (403)", hint=hint)
    raise IndexAccessError(f"{where}: the server answers {status} {answer.reason}", hint=_network_hint(url))


def _unavailable(url: str, answer: requests.Response, wait: float | None, tries: int) -> IndexAccessError:
    where, status = redact(url), answer.status_code
    if wait is not None and wait > PATIENCE:
        message = f"{where}: the server asks to come back in {wait:.0f} s ({status} {answer.reason})"
        return IndexAccessError(message, hint="Run the command again then; what was downloaded so far is kept.")
    often = f", {tries} times" if tries > 1 else ""
    return UnansweredError(f"{where}: the server answers {status} {answer.reason}{often}", hint=_network_hint(url))


def _asked_delay(answer: requests.Response) -> float | None:
    """The ``Retry-After`` header in seconds from now: a number or a date (RFC 9110, section 10.2.3)."""
    stated = answer.headers.get("Retry-After", "").strip()
    if stated.isdigit():
        return float(stated)
    if not stated:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(stated).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _innermost(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of wrapped errors, in one line without credentials."""
    import requests

    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {TIMEOUTS[0]:.0f} s"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {TIMEOUTS[1]:.0f} s"
    seen: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in seen:
        seen.append(inner)
        reason = getattr(inner, "reason", None)
        wrapped = next((arg for arg in inner.args if isinstance(arg, BaseException)), None)
        inner = reason if isinstance(reason, BaseException) else wrapped or inner.__cause__ or inner.__context__
    deepest = seen[-1]
    text = (deepest.strerror if isinstance(deepest, OSError) else None) or str(deepest) or type(deepest).__name__
    return redact(" ".join(text.split()))


def _network_hint(url: str) -> str:
    host = urlsplit(url).hostname or "the host"
    return f"Check that {host} can be reached from here (proxy, firewall), and run the command again."
