"""Bills of materials that wheels bring (PEP 770), read with distrust: what they list, or why they cannot be read.

maturin, auditwheel and some packages put them into ``.dist-info/sboms``. They tell what was compiled or linked into a
wheel's binaries, which nothing else does. Formats: CycloneDX JSON (https://cyclonedx.org/specification/overview) and
SPDX 2 JSON (https://spdx.github.io/spdx-spec/v2.3).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: More than any wheel is made of (pydantic-core, which has Rust's usual many: 95); a larger list is not read.
MOST_COMPONENTS = 2_000
#: Longer values say nothing; CycloneDX 1.6 allows no longer version. Characters.
LONGEST_VALUE = 1024

#: Component types of CycloneDX 1.6, which is what lamina writes.
_TYPES = frozenset(
    {
        "application",
        "container",
        "cryptographic-asset",
        "data",
        "device",
        "device-driver",
        "file",
        "firmware",
        "framework",
        "library",
        "machine-learning-model",
        "operating-system",
        "platform",
    }
)
_UNKNOWN = frozenset({"", "NOASSERTION", "NONE"})


class Component(NamedTuple):
    """One thing that a wheel holds by its own bill. ``group``, ``version``, ``purl`` and ``licences`` may be empty.

    ``type`` is one of CycloneDX 1.6. ``licences`` are SPDX identifiers, expressions or names.
    """

    type: str
    group: str
    name: str
    version: str
    purl: str
    licences: tuple[str, ...]


class Reading(NamedTuple):
    """What was found in one bill, in its order, each once. ``problem`` says why it could not be read, else is empty."""

    components: tuple[Component, ...]
    problem: str


def read(text: str, package: str) -> Reading:
    """Read one embedded bill of materials. ``package`` is the wheel's normalised name: itself it need not list.

    Whatever the text holds, this returns: a value of a wrong type counts as missing, a component without a name is
    passed over, and what is no bill at all, or one beyond :data:`MOST_COMPONENTS`, is a ``problem``.
    """
    try:
        content = msgspec.json.decode(text.removeprefix("\ufeff").encode())
    except (ValueError, RecursionError):
        return Reading((), "not JSON")
    if not isinstance(content, dict):
        return Reading((), "neither CycloneDX nor SPDX 2")
    if content.get("bomFormat") == "CycloneDX":
        found = _cyclonedx(content)
    elif _text(content.get("spdxVersion")).startswith("SPDX-2."):
        found = _spdx(content)
    else:
        return Reading((), "neither CycloneDX nor SPDX 2")
    listed: dict[Component, None] = {}
    for count, component in enumerate(found, 1):
        if count > MOST_COMPONENTS:
            return Reading((), f"more than {MOST_COMPONENTS:,} components")
        if component.name and not _is_package(component, package):
            listed[component] = None
    return Reading(tuple(listed), "")


def _cyclonedx(content: dict[object, object]) -> Iterator[Component]:
    """All components, the described one first: maturin describes its crate there, and lists it nowhere else."""
    metadata = content.get("metadata")
    described = metadata.get("component") if isinstance(metadata, dict) else None
    waiting = [*_objects([described]), *_objects(content.get("components"))][::-1]
    # A stack instead of recursion: how deep the document nests is not ours to decide.
    while waiting:
        item = waiting.pop()
        waiting += _objects(item.get("components"))[::-1]
        choices = _objects(item.get("licenses"))
        named = [licence for choice in choices for licence in _objects([choice.get("license")])]
        kind = _text(item.get("type"))
        yield Component(
            type=kind if kind in _TYPES else "library",
            group=_text(item.get("group")),
            name=_text(item.get("name")),
            version=_text(item.get("version")),
            purl=_text(item.get("purl")),
            licences=_known(
                [
                    *(_text(choice.get("expression")) for choice in choices),
                    *(_text(licence.get("id")) or _text(licence.get("name")) for licence in named),
                ]
            ),
        )


def _spdx(content: dict[object, object]) -> Iterator[Component]:
    """All packages; the licence is the declared one, else the concluded one."""
    for item in _objects(content.get("packages")):
        references = _objects(item.get("externalRefs"))
        purls = (_text(one.get("referenceLocator")) for one in references if one.get("referenceType") == "purl")
        licences = (_known([_text(item.get(key))]) for key in ("licenseDeclared", "licenseConcluded"))
        version = _text(item.get("versionInfo"))
        yield Component(
            type="library",
            group="",
            name=_text(item.get("name")),
            version="" if version in _UNKNOWN else version,
            purl=next(purls, ""),
            licences=next(filter(None, licences), ()),
        )


def _is_package(component: Component, package: str) -> bool:
    """Whether a component is the wheel itself. A purl with a subpath (``#…``) is of something within it."""
    if component.purl:
        whole, subpath, _ = component.purl.partition("#")
        kind, _, name = whole.partition("?")[0].partition("@")[0].rpartition("/")
        return not subpath and kind == "pkg:pypi" and _normal(name) == package
    return _normal(component.name) == package


def _normal(name: str) -> str:
    """A project name in the form that all its spellings share: https://peps.python.org/pep-0503/#normalized-names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _known(licences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(licence for licence in licences if licence not in _UNKNOWN))


def _objects(value: object) -> list[dict[object, object]]:
    """The JSON objects of an array; none where it is something else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """A string of reasonable length; empty where it is something else."""
    return value.strip() if isinstance(value, str) and len(value) <= LONGEST_VALUE else ""
