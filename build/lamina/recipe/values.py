"""Checks of single values, by the ``format`` that the model gives them.

Each check takes the value and answers what is wrong with it, or nothing. It says what was expected; the caller adds
what stood there.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from lamina.findings import CODES
from lamina.recipe import sizes
from lamina.recipe.spelling import is_local, local_project
from lamina.runtimes import quotas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from packaging.requirements import Requirement

#: What JSON schema, too, can hold a text against, by format. ECMA 262 and Python agree on all of these.
PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "name": r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        "package": r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
        "variable": r"^[A-Za-z][A-Za-z0-9_]+$",
        "handler": r"^[^\s.][^\s]*\.[^\s./]+$",
        "index-name": r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        "word": r"^[^\s]+$",
        "image": r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
        # Both are handed to programs inside the image: nothing may look like an option of theirs.
        "system-package": r"^[A-Za-z0-9][A-Za-z0-9+._:=~-]*$",
        "from-image": r"^/?[A-Za-z0-9][A-Za-z0-9+._/-]*$",
        "url": r"^https?://[^\s@]+$",
        "reason": r"[^\s]",
        "module": r"^[^\s.-]+(\.[^\s.-]+)*$",
    },
)

_EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        # 64 is Lambda's limit for the names of functions; with the target behind it, a layer's stays within its 140.
        "name": "expected at most 64 of A-Z, a-z, 0-9, - and _, not beginning with - or _, since layers and functions "
        "on Lambda are named after it",
        "package": "expected the name of a package alone",
        "variable": "expected a letter, then letters, digits and _, at least two characters, as Lambda demands",
        "handler": 'expected "module.function"',
        "index-name": "expected letters, digits, - and _",
        "word": "expected one word",
        "image": "expected the reference of an image, as registry.example.org/python:3.13",
        "system-package": "expected the name of a package of the image's system",
        "from-image": "expected the name of a library or executable, or an absolute path in the image",
        "url": "expected http:// or https:// and an address without spaces or credentials",
        "reason": "expected a reason",
    },
)


def requirement(text: str) -> Requirement | None:
    """Parse a requirement string by PEP 508; None when it is none, or a local project."""
    from packaging.requirements import Requirement

    try:
        return Requirement(text)
    except (ValueError, RecursionError):  # beside InvalidRequirement: versions of 5000 digits, brackets in brackets
        return None


def _pattern(form: str) -> Callable[[str], str]:
    compiled = re.compile(PATTERNS[form].removesuffix("$") + (r"\Z" if PATTERNS[form].endswith("$") else ""))
    expected = _EXPECTED[form]
    return lambda value: "" if compiled.search(value) and (form == "reason" or value.isprintable()) else expected


def _line(value: str) -> str:
    return "" if value.isprintable() else "expected one line without control characters"


def _requirement(value: str) -> str:
    if is_local(value):
        return _local(value)
    parsed = requirement(value)
    if parsed is None:
        return 'expected a requirement such as "pandas", "pandas>=2,<3" or "pandas==2.3.2"'
    if not _is_decidable(parsed):
        return f'expected a marker that can be decided, such as python_version < "3.13", not {parsed.marker}'
    if parsed.url:
        return (
            f'expected a name and versions, since a lock serves any index (require "{parsed.name}==VERSION", and put '
            "the wheel into a folder that find-links names)"
        )
    return ""


def _is_decidable(parsed: Requirement) -> bool:
    """Whether the marker can be evaluated at all: PEP 508 lets one write ``python_version ~= "x"``."""
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName

    from lamina.target import target_for

    if parsed.marker is None:
        return True
    try:
        parsed.marker.evaluate({**target_for("cp311", architecture="x86_64").markers(), "extra": ""})
    except (UndefinedComparison, UndefinedEnvironmentName, ValueError):
        return False
    return True


def _local(value: str) -> str:
    local = local_project(value)
    if local is None or "\\" in value:
        return 'expected "./" and the folder of a local project in this one, such as "./packages/shared[extra]"'
    if not all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", extra) for extra in local.extras):
        return "expected names of extras between the brackets"
    return _path(local.path.removeprefix("./") or ".")


def _constraint(value: str) -> str:
    parsed = requirement(value)
    if parsed is None or parsed.url:
        return 'expected a requirement that limits versions, such as "pandas<3"'
    if parsed.extras:
        return "expected a name and versions only, since extras belong into requirements"
    return ""


def _glob(value: str) -> str:
    if not value or value.startswith("/") or "\\" in value or ".." in value.split("/") or not value.isprintable():
        return 'expected a relative glob with "/" between folders and without ".."'
    return ""


def _path(value: str) -> str:
    if _glob(value) or re.match(r"[A-Za-z]:", value):
        return 'expected a path inside the project, relative to it, with "/" between folders and without ".."'
    return ""


def _place(value: str) -> str:
    return "" if not _path(value) else 'expected a folder inside the function, "." for its root'


def _folder(value: str) -> str:
    if not value or not value.isprintable() or "://" in value:
        return "expected a folder of wheels"
    return ""


def _module(value: str) -> str:
    if all(part.isidentifier() for part in value.split(".")):
        return ""
    return 'expected the dotted name of a module, such as "sklearn.linear_model"'


def _object_key(value: str) -> str:
    return "" if value and value.isprintable() else "expected the key of an object"


def _size(value: object) -> tuple[int, str]:
    """Turn a size into bytes; or say what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return 0, 'expected a size such as "250 MiB", "220 MB" or a number of bytes'
    try:
        return sizes.to_bytes(value), ""
    except ValueError as error:
        return 0, str(error)


def _within_quota(value: object) -> str:
    size, wrong = _size(value)
    if wrong:
        return wrong
    if size <= 0:
        return "expected more than nothing"
    if size > quotas().unzipped:
        return f"expected at most {quotas().unzipped} bytes, Lambda's quota for a function and all its layers"
    return ""


def _memory(value: object) -> str:
    size, wrong = _size(value)
    low, high = sizes.MEMORY
    if wrong or not low <= size <= high or size % sizes.MIB:
        return 'expected whole MiB from "128 MiB" to "10240 MiB", which is what Lambda offers'
    return ""


def _stack(value: object) -> str:
    if isinstance(value, str) and not sizes.is_size(value):
        wrong = _path(value) if value.endswith(".zip") else STRINGS["name"](value)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        return _within_quota(value)
    else:
        wrong = "not of these types"
    return (
        wrong and "expected the name of a recipe, a size, a number of bytes or the path of a layer zip in the project"
    )


#: Checks of values that must be strings.
STRINGS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        **{form: _pattern(form) for form in _EXPECTED},
        "line": _line,
        "requirement": _requirement,
        "constraint": _constraint,
        "glob": _glob,
        "path": _path,
        "place": _place,
        "folder": _folder,
        "module": _module,
        "object-key": _object_key,
    },
)

#: What the words are of which a value must be one, and the words.
CHOICES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType({"code": ("the code of a finding", tuple(CODES))})

#: Checks that judge the type as well, since a recipe writes these values in more ways than the model holds them.
SIZES: Mapping[str, Callable[[object], str]] = MappingProxyType(
    {"size": _within_quota, "memory": _memory, "stack": _stack},
)
