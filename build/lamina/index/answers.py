"""What the answers of servers mean, and their silence: errors that say what to do, and hold no credential."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lamina.errors import IndexAccessError

if TYPE_CHECKING:
    import requests

#: A ``Retry-After`` above this many seconds ends the command with the number, rather than waiting in silence.
PATIENCE = 90.0

#: Seconds to connect, and seconds without a single byte.
TIMEOUTS = (15.0, 60.0)

_MISSING = frozenset({404, 410})

CREDENTIALS = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>)]+")


class NotThereError(IndexAccessError):
    """The server answers that there is nothing at this address (404 or 410)."""


class UnansweredError(IndexAccessError):
    """No answer, or one that may be another in a moment, after all tries."""


class RefusedError(IndexAccessError):
    """The server wants other credentials than it was given (401 or 403)."""


def redact(text: str) -> str:
    """Hide the user and password of every URL in ``text``, and query strings, where signed links carry their key."""
    return _QUERY.sub(r"\1?***", CREDENTIALS.sub("***@", text))


def judged(url: str, answer: requests.Response) -> requests.Response:
    """Return an answer that can be used; raise what the others mean, in the words of an index.

    Raises:
        NotThereError: there is nothing.
        RefusedError: other credentials are wanted.
        IndexAccessError: anything else.
    """
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
    raise IndexAccessError(f"{where}: the server answers {status} {answer.reason}", hint=network_hint(url))


def unavailable(url: str, answer: requests.Response, wait: float | None, tries: int) -> IndexAccessError:
    """What a server that stays busy or broken means; ``wait`` is the delay that it asks for, in seconds."""
    where, status = redact(url), answer.status_code
    if wait is not None and wait > PATIENCE:
        message = f"{where}: the server asks to come back in {wait:.0f} s ({status} {answer.reason})"
        return IndexAccessError(message, hint="Run the command again then; what was downloaded so far is kept.")
    often = f", {tries} times" if tries > 1 else ""
    return UnansweredError(f"{where}: the server answers {status} {answer.reason}{often}", hint=network_hint(url))


def asked_delay(answer: requests.Response) -> float | None:
    """The ``Retry-After`` header in seconds from now: a number or a date (RFC 9110, section 10.2.3)."""
    stated = answer.headers.get("Retry-After", "").strip()
    if stated.isascii() and stated.isdigit():
        return float(stated)
    if not stated:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(stated).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def innermost(error: BaseException) -> str:
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


def network_hint(url: str) -> str:
    """What to do where a host does not answer."""
    host = urlsplit(url).hostname or "the host"
    return f"Check that {host} can be reached from here (proxy, firewall), and run the command again."
