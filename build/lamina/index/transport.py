"""HTTP as the index and the downloads need it: retried, authenticated, with errors that say what to do.

The machine's proxies are honoured as :mod:`requests` reads them (``HTTPS_PROXY``, ``NO_PROXY``), and netrc where no
index URL holds credentials. Nothing shown to anybody holds a credential.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from lamina.errors import IndexAccessError
from lamina.index import answers
from lamina.index.answers import UnansweredError, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import requests

#: Tries of one request, the first included. With the delays between them about eight seconds.
TRIES = 5

#: Seconds before the second try; each further delay is twice as long, up to ``LONGEST_DELAY``, give or take a half.
FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0

#: Statuses worth another try (RFC 9110): too early, too many requests, and what servers and gateways answer in passing.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class Interrupted(Exception):  # noqa: N818 - not a failure: somebody asked for it
    """The work was told to stop while it waited or read."""


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
                    raise UnansweredError(f"{redact(url)}: {failure}{often}", hint=answers.network_hint(url))
                self.pause(delay(attempt))
            elif answer.status_code in TRANSIENT:
                wait = answers.asked_delay(answer)
                answer.close()
                if last or (wait or 0) > answers.PATIENCE:
                    raise self.unavailable(url, answer, wait, tries)
                self.pause(delay(attempt) if wait is None else wait)
            else:
                return self.judged(url, answer)
        raise AssertionError("unreachable")

    def judged(self, url: str, answer: requests.Response) -> requests.Response:
        """Return an answer that can be used; raise what the others mean, in the words of an index."""
        return answers.judged(url, answer)

    def unavailable(self, url: str, answer: requests.Response, wait: float | None, tries: int) -> IndexAccessError:
        """What a server that stays busy or broken means; ``wait`` is the delay that it asks for, in seconds."""
        return answers.unavailable(url, answer, wait, tries)

    def pause(self, seconds: float) -> None:
        """Wait, unless told to stop."""
        if self.stop.wait(seconds):
            raise Interrupted

    def interrupt(self) -> None:
        """Make every thread that waits, reads or retries stop as soon as it can. Safe from any thread."""
        self.stop.set()
        with self._guard:
            under_way = list(self._open)
        for answer in under_way:
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
                timeout=answers.TIMEOUTS,
                allow_redirects=True,
                # Given here, since a session's own setting yields to REQUESTS_CA_BUNDLE.
                verify=self._certificates or True,
            )
        except requests.exceptions.SSLError as error:
            message = f"{redact(url)}: no trusted connection: {answers.innermost(error)}"
            hint = "If a proxy or a private authority signs the certificate, name its file in SSL_CERT_FILE."
            raise IndexAccessError(message, hint=hint) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            message = f"{redact(url)}: not an address that can be asked: {redact(str(error))}"
            raise IndexAccessError(message, hint="Correct the URL of the index.") from error
        except requests.exceptions.TooManyRedirects as error:
            raise IndexAccessError(f"{redact(url)}: redirected in circles", hint=answers.network_hint(url)) from error
        except requests.exceptions.RequestException as error:
            return None, answers.innermost(error)
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

        class Session(requests.Session):
            """One that sends nobody else's redirect what netrc holds, where netrc is not asked."""

            def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
                if netrc:
                    super().rebuild_auth(prepared_request, response)
                elif self.should_strip_auth(response.request.url or "", prepared_request.url or ""):
                    prepared_request.headers.pop("Authorization", None)

        session = Session()
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
