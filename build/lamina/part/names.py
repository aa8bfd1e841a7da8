"""The names that a module gives as strings: those of modules, files and folders, and those it computes for loaders."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from lamina.part.lexer import NAME, OTHER, Lexed
from lamina.part.source import LOADERS, NOTABLE, Dynamic

# Every ASCII character that cannot stand in a name becomes a space, so that words fall apart.
_TO_WORDS: Final = "".join(chr(number) if re.match(NAME, chr(number)) else " " for number in range(128))

_GLUE: Final = " \t\f\n\\rRbBuUfFtT"  # what may stand between literals that are one: white space and prefixes
_LONGEST: Final = 200  # characters
_WORD: Final = r"[^\x00-\x20\x7f-\xa0]++"
_SUFFIX: Final = r"[^\x00-\x20\x7f-\xa0]*?\.[0-9A-Za-z_]{1,10}"
_CANDIDATE: Final = re.compile(rf"(?={OTHER}*+{NAME})(?:{_WORD}|{_WORD}(?: {_WORD})*? {_SUFFIX})")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")  # Python accepts "\udc80"; it is no text that can be stored

_BOUNDARY: Final = re.compile(r"[()\[\]{},]")
_LONGEST_ARGUMENT: Final = 400  # characters of masked code; also what keeps nested calls linear
_LITERALS: Final = r"((?:[A-Za-z]{0,2}\"\s*)*)"
_LEADING: Final = re.compile(rf"(?:\s*[A-Za-z_]\w*\s*=(?!=))?\s*{_LITERALS}([+{{%]|\.format\b|\Z)?", re.ASCII)
_TRAILING: Final = re.compile(rf"[}}+]\s*{_LITERALS}\Z")
_CONVERSION: Final = re.compile(r"%(?:\([^()]*\))?[-#0 +]*[\d.*]*[a-zA-Z]|\{[^{}]*\}", re.ASCII)


def notable(code: str) -> tuple[str, ...]:
    """Return the names of ``NOTABLE`` that masked code uses, sorted."""
    return tuple(sorted(NOTABLE.intersection(code.translate(_TO_WORDS).split())))


def candidates(lexed: Lexed) -> tuple[str, ...]:
    """Return the literals that could be names, sorted.

    Literals side by side are one (``"a" "b"``), on several lines only inside brackets. As these are not counted here,
    all that could be meant is told: the whole row, each line of it, each literal.
    """
    found = {literal for literal in lexed.literals if literal}
    row: list[str] = []
    line: list[str] = []
    for code, literal in zip(lexed.code, lexed.literals, strict=False):
        if code.strip(_GLUE):
            found.update(_joined(row, line))
            row, line = [], []
        elif row and "\n" in code and "\\\n" not in code:
            found.update(_joined(line))
            line = []
        if literal is not None:
            row.append(literal)
            line.append(literal)
    found.update(_joined(row, line))
    return tuple(sorted(name for name in found if _stored(name) and _CANDIDATE.fullmatch(name)))


def _joined(*rows: list[str]) -> list[str]:
    return ["".join(row) for row in rows if len(row) > 1]


def dynamic(code: str, literals: Sequence[str | None], calls: Iterable[str]) -> tuple[Dynamic, ...]:
    """Return those calls of loaders among ``calls``, in masked code, whose first argument is more than a literal."""
    found = (_dynamic(call, code, literals) for call in calls if call in LOADERS)
    return tuple(dict.fromkeys(itertools.chain.from_iterable(found)))


def _stored(text: str) -> bool:
    return len(text) <= _LONGEST and (text.isascii() or _SURROGATE.search(text) is None)


@functools.cache
def _call(name: str) -> re.Pattern[str]:
    return re.compile(rf"{name}(?<!{NAME}{name})(?<!def {name})(?<!class {name})[ \t]*\(")


def _dynamic(call: str, code: str, literals: Sequence[str | None]) -> Iterator[Dynamic]:
    at = index = 0
    for found in _call(call).finditer(code):
        start = found.end()
        index += code.count('"', at, start)
        at = start
        end = _argument_end(code, start)
        if end is None:
            yield Dynamic(call, "", "")
            continue
        argument, *pieces = code[start:end].split('"')
        values: list[str] = []
        for literal, piece in zip(literals[index : index + len(pieces)], pieces, strict=True):
            if literal is not None:
                values.append(literal)
            argument += f" {piece}" if literal is None else f'"{piece}'
        if affixes := _affixes(argument.strip(), values):
            yield Dynamic(call, *(affix if _stored(affix) else "" for affix in affixes))


def _argument_end(code: str, start: int) -> int | None:
    """The offset behind a call's first argument, or ``None`` where it is too long to follow."""
    depth = 0
    for mark in _BOUNDARY.finditer(code, start, start + _LONGEST_ARGUMENT):
        if mark[0] in "([{":
            depth += 1
        elif depth == 0:
            return mark.start()
        elif mark[0] != ",":
            depth -= 1
    return None


def _affixes(argument: str, values: list[str]) -> tuple[str, str] | None:
    """What a masked expression begins and ends with, given the literals in it; ``None`` for no more than a literal."""
    leading, trailing = _LEADING.match(argument), _TRAILING.search(argument)
    first = leading[1].count('"') if leading else 0
    last = trailing[1].count('"') if trailing else 0
    follows = leading[2] if leading else None
    if not argument or (first and follows == ""):
        return None
    prefix = "".join(values[:first]) if follows in {"{", "+"} else ""
    suffix = "".join(values[-last:]) if last else ""
    if first and follows in {"%", ".format"}:
        around = _CONVERSION.split("".join(values[:first]))
        prefix = around[0] if len(around) > 1 else ""
        suffix = suffix if "+" in argument else around[-1] if len(around) > 1 else ""
    return prefix, suffix
