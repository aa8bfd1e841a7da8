"""Events that a function is proven with, and what is expected of its answer.

Beside ``predict.json`` may stand ``predict.expect.json``, an object with these keys, each of them optional:

``status``
    the ``statusCode`` of the answer, as API Gateway and function URLs read it: a number, or ``$between``.
``body``
    what the answer's ``body`` must hold; a body that is a string is read as JSON, as those services deliver it.
``answer``
    what the whole answer must hold.
``error``
    what the error must hold (``errorType``, ``errorMessage``, ``stackTrace``); excludes the other three. Without this
    key an error is never what was expected.

What must be held: of an object the stated keys, others may be there; of a list each item at its place, and as many;
anything else is equal (numbers by value: 1 is 1.0, and never ``true``). An object of one key that begins with ``$``
stands for values of a kind: ``{"$between": [0, 1]}`` for a number from 0 to 1, both included; ``{"$contains": "text"}``
for a string that has this text in it; ``{"$type": "string"}`` for any ``string``, ``number``, ``boolean``, ``array``,
``object`` or ``null``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lamina.errors import RecipeError, UsageError
from lamina.recipe.words import nearest
from lamina.runtimes import quotas

_KEYS = ("status", "body", "answer", "error")
_KINDS = ("$between", "$contains", "$type")
_TYPES = ("string", "number", "boolean", "array", "object", "null")
_STATUSES = range(100, 600)
#: Mismatches that are told of one answer, and characters of a value that a message quotes.
_MOST = 20
_QUOTED = 60
#: Objects and lists within each other, in an event or an expectation. Lambda's own clients stop far before.
_DEEP = 200


class Expectation(NamedTuple):
    """What is expected of an answer: the keys of its file that are there, checked."""

    stated: Mapping[str, Any]


class _Pair(NamedTuple):
    path: str
    wanted: Any
    found: Any


def expectation_path(event: Path) -> Path:
    """Where the expectation for an event stands: ``predict.expect.json`` beside ``predict.json``."""
    return event.with_name(f"{event.stem}.expect.json")


def event(data: bytes, where: str) -> bytes:
    """The event as the function gets it: ``data``, found to be JSON and not too large.

    Raises:
        UsageError: it is not JSON, or above Lambda's limit for an event.
    """
    limit = quotas().event
    if len(data) > limit:
        raise UsageError(
            f"{where}: {len(data):,} bytes are more than Lambda takes as an event: {limit:,}",
            hint="Put what is large into an object in S3, and its key into the event.",
        )
    try:
        _json(data)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {error}", hint="Correct the event, or name another file.") from error
    return data


def expectation(data: bytes, where: str) -> Expectation:
    """Read what is expected.

    Raises:
        RecipeError: it is not JSON, or not in the form that this module describes; all mistakes at once.
    """
    try:
        stated = _json(data)
    except ValueError as error:
        raise RecipeError(f"{where}: not JSON: {error}", hint="Correct the expectation.") from error
    mistakes = list(_mistakes(stated))
    if mistakes:
        hint = f"An expectation is an object with {', '.join(_KEYS[:-1])} or {_KEYS[-1]}."
        raise RecipeError("\n".join(f"{where}: {mistake}" for mistake in mistakes[:_MOST]), hint=hint)
    return Expectation(stated)


def mismatches(expected: Expectation | None, payload: bytes, *, failed: bool) -> list[str]:
    """Where an answer is not what was expected, each with its path in it: empty if all is as expected.

    ``failed`` tells that the payload is that of an error. Without an expectation an answer must be JSON and no error.
    """
    stated = {} if expected is None else expected.stated
    try:
        found = _json(payload)
    except ValueError as error:
        return [f"answer: not JSON: {error}: {_shown(payload[:_QUOTED].decode(errors='replace'))}"]
    if failed and "error" not in stated:
        kind, message = _pick(found, "errorType"), _pick(found, "errorMessage")
        return [f"answer: the function failed with {_text(kind)}: {_text(message)}"]
    if "error" in stated:
        if not failed:
            return [f"answer: {_shown(found)} where an error was expected: {_shown(stated['error'])}"]
        return _differences(_Pair("error", stated["error"], found))
    pairs = [_Pair("answer", stated["answer"], found)] if "answer" in stated else []
    told: list[str] = []
    if not isinstance(found, dict) and ("status" in stated or "body" in stated):
        return [f"answer: {_shown(found)} is no object with statusCode and body"]
    if "status" in stated:
        pairs.append(_Pair("answer.statusCode", stated["status"], _pick(found, "statusCode")))
    if "body" in stated:
        body = _pick(found, "body")
        try:
            pairs.append(_Pair("answer.body", stated["body"], _json(body.encode()) if isinstance(body, str) else body))
        except (ValueError, UnicodeEncodeError):
            told.append(f"answer.body: {_shown(body)} is not JSON")
    return [*(line for pair in reversed(pairs) for line in _differences(pair)), *told][:_MOST]


class _Absent:
    """Stands for a key that is not there."""


_ABSENT = _Absent()


def _pick(value: object, key: str) -> Any:  # noqa: ANN401 - any JSON
    return value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT


def _differences(first: _Pair) -> list[str]:
    """Where ``found`` does not hold what is ``wanted``, in the order of the expectation."""
    told: list[str] = []
    waiting = [first]
    while waiting and len(told) < _MOST:
        path, wanted, found = waiting.pop()
        if isinstance(found, _Absent):
            told.append(f"{path} is missing; expected {_shown(wanted)}")
        elif (kind := _kind(wanted)) is not None:
            told += _of_kind(path, kind, wanted[kind], found)
        elif isinstance(wanted, dict) and isinstance(found, dict):
            waiting += [_Pair(_at(path, key), wanted[key], found.get(key, _ABSENT)) for key in reversed(wanted)]
        elif isinstance(wanted, list) and isinstance(found, list):
            if len(wanted) != len(found):
                told.append(f"{path}: {_items(len(found))}; expected {len(wanted)}")
            several = zip(range(len(wanted)), wanted, found, strict=False)
            waiting += reversed([_Pair(f"{path}[{at}]", one, other) for at, one, other in several])
        elif not _equal(wanted, found):
            told.append(f"{path}: {_shown(found)} is not {_shown(wanted)}")
    return told


def _of_kind(path: str, kind: str, stated: Any, found: object) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if kind == "$between":
        low, high = stated
        if not (_type(found) == "number" and low <= found <= high):
            yield f"{path}: {_shown(found)} is not in [{_shown(low)}, {_shown(high)}]"
    elif kind == "$contains":
        if not (isinstance(found, str) and stated in found):
            yield f"{path}: {_shown(found)} does not contain {_shown(stated)}"
    elif _type(found) != stated:
        yield f"{path}: {_shown(found)} is not of type {stated}"


def _mistakes(stated: object) -> Iterator[str]:
    if not isinstance(stated, dict):
        yield f"expected an object, found {_shown(stated)}"
        return
    for key in stated:
        if key not in _KEYS:
            yield f"{_at('', key)}: unknown key{nearest(key, _KEYS)}"
    if "error" in stated:
        yield from (f"{key}: error and {key} exclude each other" for key in _KEYS[:-1] if key in stated)
        if not isinstance(stated["error"], dict):
            yield f"error: expected an object, found {_shown(stated['error'])}"
    status = stated.get("status", 200)
    if _kind(status) is None and not (type(status) is int and status in _STATUSES):
        yield f"status: expected a number from 100 to 599, found {_shown(status)}"
    for key in _KEYS:
        if key in stated:
            yield from _deep_mistakes(key, stated[key])


def _deep_mistakes(key: str, value: object) -> Iterator[str]:
    """Objects with keys that begin with ``$`` and are not as they must be."""
    waiting: list[tuple[str, object]] = [(key, value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, list):
            waiting += reversed([(f"{path}[{at}]", inner) for at, inner in enumerate(one)])
        elif isinstance(one, dict):
            special = [name for name in one if name.startswith("$")]
            if special:
                yield from _kind_mistakes(path, special[0], one)
            else:
                waiting += reversed([(_at(path, name), inner) for name, inner in one.items()])


def _kind_mistakes(path: str, key: str, value: Mapping[str, Any]) -> Iterator[str]:
    stated = value[key]
    if key not in _KINDS:
        yield f"{_at(path, key)}: unknown{nearest(key, _KINDS)}"
    elif len(value) > 1:
        yield f"{path}: {key} stands alone in its object"
    elif key == "$between":
        numbers = isinstance(stated, list) and [_type(one) for one in stated] == ["number", "number"]
        if not numbers or stated[0] > stated[1]:
            yield f"{_at(path, key)}: expected two numbers, the lower one first, found {_shown(stated)}"
    elif key == "$contains":
        if not isinstance(stated, str):
            yield f"{_at(path, key)}: expected a string, found {_shown(stated)}"
    elif stated not in _TYPES:
        suggestion = nearest(stated, _TYPES) if isinstance(stated, str) else ""
        yield f"{_at(path, key)}: expected one of {', '.join(_TYPES)}, found {_shown(stated)}{suggestion}"


def _kind(wanted: object) -> str | None:
    """The key that begins with ``$``, of an object that stands for values of a kind."""
    if isinstance(wanted, dict) and len(wanted) == 1:
        [key] = wanted
        return key if key in _KINDS else None
    return None


def _equal(wanted: object, found: object) -> bool:
    return _type(wanted) == _type(found) and wanted == found


def _type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "null" if value is None else "absent"


def _json(data: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Read JSON as its standard has it (RFC 8259): NaN and infinities are none. Raises ValueError."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("too deep") from None
    level: Sequence[Any] = [found]
    for _ in range(_DEEP):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return found
    raise ValueError(f"more than {_DEEP} objects and lists within each other")


def _at(path: str, key: str) -> str:
    bare = key.replace("_", "a").replace("-", "a").replace("$", "a").isalnum() and len(key) <= _QUOTED
    step = key if bare else _shown(key)
    return f"{path}.{step}" if path else step


def _items(count: int) -> str:
    return f"{count} item{'s' * (count != 1)}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else _shown(value)


def _shown(value: object) -> str:
    """A value as JSON on one line, shortened."""
    if isinstance(value, _Absent):
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}..."
