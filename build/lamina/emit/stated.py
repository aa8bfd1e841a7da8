"""What METADATA states of a package: its licence and its places on the web. Notices and SBOM tell the same from it.

Sources: the core metadata specification, PEP 639 for licences, PEP 753 for the labels of project URLs. Nothing is
guessed: what a package states in its own words is passed on in these words.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: METADATA's header as ``(key, value)`` pairs in order.
Metadata = tuple[tuple[str, str], ...]

#: The field ``License`` may name a licence or hold its whole text; a longer value, in characters, is no name.
LONGEST_NAME = 120

# Spelled out instead of \s or str.isprintable, which follow the Unicode tables of the Python at work.
_BLANK = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_CLASSIFIER = "License :: "
_TITLE = re.compile(r"(?i)\blicen[cs]e\b")
_NOTHING = frozenset({"", "unknown", "none", "n/a"})
#: PEP 753, "Well-known labels"; labels are compared without punctuation, spaces and case.
_HOME = frozenset({"homepage"})
_SOURCE = frozenset({"source", "repository", "sourcecode", "github"})
# A URL that every reader takes for one: printable ASCII, whole escapes, one fragment, no user and password.
_CHARACTER = r"(?:[A-Za-z0-9._~:/?@!$&()*+,;=-]|%[0-9A-Fa-f]{2})"
_HOST = r"[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?"
_URL = re.compile(rf"https?://{_HOST}(?:[/?]{_CHARACTER}*)?(?:\#{_CHARACTER}*)?")
_LONGEST_URL = 2048


class Licence(NamedTuple):
    """A licence as stated. ``source`` is the field that states it; empty, with no ``values``, where none does."""

    source: str
    values: tuple[str, ...]


class Links(NamedTuple):
    """Where a package lives on the web; each empty where METADATA does not say, or says no URL."""

    home: str
    source: str


def licence(metadata: Metadata) -> Licence:
    """The licence as METADATA states it: ``License-Expression``, else a short ``License``, else the classifiers.

    Where none of them is there and ``License`` holds a whole text, the first line of it counts where it is a title
    (``MIT License``). Only classifiers give more than one value.
    """
    for field in ("License-Expression", "License"):
        for value in _values(metadata, field):
            if not _is_text(value) and one_line(value).lower() not in _NOTHING:
                return Licence(field, (one_line(value),))
    named = (one_line(value) for value in _values(metadata, "Classifier"))
    found = {value.rpartition("::")[2].strip(): None for value in named if value.startswith(_CLASSIFIER)}
    if found:
        return Licence("Classifier", tuple(found))
    title = one_line(licence_text(metadata).partition("\n")[0])
    return Licence("License", (title,)) if len(title) <= LONGEST_NAME and _TITLE.search(title) else Licence("", ())


def licence_text(metadata: Metadata) -> str:
    """The text that the field ``License`` holds where it holds more than a name; else empty.

    A header field continues on indented lines, some writers mark them with ``|`` as well: both are taken off.
    """
    for value in _values(metadata, "License"):
        if _is_text(value):
            first, _, rest = value.strip().replace("\r\n", "\n").replace("\r", "\n").partition("\n")
            rest = textwrap.dedent(rest)
            lines = rest.split("\n")
            if all(line.startswith("|") for line in lines if line.strip()):
                rest = textwrap.dedent("\n".join(line.removeprefix("|") for line in lines))
            return f"{first}\n{rest}".strip("\n")
    return ""


def links(metadata: Metadata) -> Links:
    """Home page and source of a package, from ``Project-URL`` by PEP 753 and from ``Home-page``."""
    labelled = []
    for value in _values(metadata, "Project-URL"):
        label, _, url = value.partition(",")
        labelled.append((re.sub(r"[^a-z0-9]", "", label.lower()), url.strip()))
    home = [*_labelled(labelled, _HOME), *_values(metadata, "Home-page")]
    return Links(_first_url(home), _first_url(_labelled(labelled, _SOURCE)))


def one_line(text: str) -> str:
    """The text on one line: control characters and runs of blanks become one space."""
    return _BLANK.sub(" ", text).strip()


def _is_text(value: str) -> bool:
    """Whether a value of ``License`` is the text of a licence rather than the name of one."""
    return "\n" in value.strip() or len(value.strip()) > LONGEST_NAME


def _values(metadata: Metadata, field: str) -> Iterator[str]:
    """All values of a field; field names are compared without case, as in e-mail headers."""
    return (value for key, value in metadata if key.lower() == field.lower())


def _labelled(pairs: Iterable[tuple[str, str]], labels: frozenset[str]) -> Iterator[str]:
    return (url for label, url in pairs if label in labels)


def _first_url(candidates: Iterable[str]) -> str:
    urls = (one_line(url) for url in candidates if len(url) <= _LONGEST_URL)
    return next((url for url in urls if _URL.fullmatch(url)), "")
