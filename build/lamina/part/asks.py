"""Where a module asks for the metadata of distributions: for whose, and what becomes of it where there is none.

Works on masked code, as :mod:`lamina.part.imports` does: every literal and every comment is one double quote.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from lamina.part.lexer import NAME
from lamina.part.source import Ask, Import

_MODULES: Final = frozenset({"importlib.metadata", "importlib_metadata", "pkg_resources"})
#: ``import importlib`` is enough where another module imports its ``metadata``.
_NEAR: Final = _MODULES | {"importlib"}
#: Functions of those modules whose first argument is the name of a distribution, or that need those of all.
_FUNCTIONS: Final = (
    "version metadata distribution requires files get_distribution require load_entry_point packages_distributions"
).split()
_TELLING: Final = frozenset("metadata importlib_metadata pkg_resources entry_points iter_entry_points".split())
_POINTS: Final = frozenset({"entry_points", "iter_entry_points"})
#: Exceptions that catch importlib.metadata.PackageNotFoundError or pkg_resources.DistributionNotFound.
_CATCHING: Final = re.compile(
    r"(?<!\w)(?:PackageNotFoundError|DistributionNotFound|ResolutionError|ModuleNotFoundError|ImportError|Exception"
    r"|BaseException)(?!\w)"
)

_FROM: Final = re.compile(rf"(?<!{NAME})from[ \t]+([\w.]+)[ \t]+import(?!{NAME})[ \t]*(?:\(([^()]*)\)|([^\n;]*))")
_IMPORT: Final = re.compile(r"(?<=[\n;: \t])import[ \t]+([^\n;]*)")
_BOUNDARY: Final = re.compile(r"[()\[\]{},]")
_LONGEST_CALL: Final = 400  # characters of masked code; also what keeps nested calls linear
_MOST_NAMES: Final = 20
_KEYWORD: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)\s*")
_LITERAL: Final = re.compile(r"(?:__(?:name|package)__\s+or\s+)?(?:[A-Za-z]{0,2}\"\s*)+")
_OWN_NAME: Final = re.compile(
    r"(__(?:name|package)__)\s*(\.\s*r?(?:split|partition)\s*\(.*\)\s*\[\s*0\s*\])?", re.DOTALL
)
_CONSTANT: Final = re.compile(
    r"\n([A-Za-z_]\w*)[ \t]*(?::[^=\n]*)?=[ \t]*[A-Za-z]{0,2}(\"(?:[ \t]*\")*)[ \t]*(?=\n|\Z)"
)
_CHAINED: Final = re.compile(r"\s*(?:\.\s*get\s*\(|\.\s*select\s*\(\s*group\s*=|\[)\s*\"")
_KEY: Final = re.compile(r"(?:async[ \t]+)?(def|try|except|with)(?!\w)")
_RAISE: Final = re.compile(r"(?<!\w)raise(?!\w)")


def may_ask(imports: Iterable[Import], calls: Iterable[str]) -> bool:
    """Tell quickly, from a module's other facts, whether it can ask for metadata at all; most cannot."""
    found = _TELLING.intersection(calls)
    if "metadata" not in found:
        return bool(found)
    return len(found) > 1 or any(one.module in _NEAR or "metadata" in one.names for one in imports)


def asks(code: str, literals: Sequence[str | None]) -> Iterator[Ask]:
    """Yield what masked code asks for, in its order; ``literals`` are what its double quotes stand for."""
    calls = [*_calls(code, literals)]
    lines = [0, *(found.start() + 1 for found in re.finditer("\n", code))] if calls else []
    places = [bisect.bisect_right(lines, call.offset) - 1 for call in calls]
    around = _circumstances(code.split("\n"), places) if calls else {}
    for call, place in zip(calls, places, strict=True):
        lazy, tries = around.get(place, (False, ()))
        handled = any(one.swallows for one in tries)
        yield Ask(call.function, call.name, picked=call.picked, lazy=lazy, handled=handled)


class _Call(NamedTuple):
    offset: int
    function: str
    name: str
    picked: bool


def _calls(code: str, literals: Sequence[str | None]) -> Iterator[_Call]:
    pattern, functions = _pattern(code)
    constants: Mapping[str, str] | None = None
    at = index = 0
    for found in pattern.finditer(code):
        start = found.end()
        index += code.count('"', at, start)
        at = start
        function = found["attribute"] or functions.get(found["function"] or "") or found["points"]
        arguments, end = _arguments(code, start)
        if constants is None:
            constants = _constants(code, literals)
        texts = [*_masked(arguments, literals, index)]
        if function in _POINTS:
            name = _group(function, texts, constants)
            if not name and not arguments[:1]:
                chained = _CHAINED.match(code, end)
                name = (literals[index + sum(a.count('"') for a in arguments)] or "") if chained else ""
            picked = any(_keyword(text)[0] == "name" for text, _ in texts)
            picked = picked or (function == "iter_entry_points" and len(texts) > 1)
            yield _Call(found.start(), function, name, picked)
        else:
            name = _told(*_positional(texts[0]), constants) if texts else ""
            yield _Call(found.start(), function, name, picked=False)


def _pattern(code: str) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """The calls to look for, by the names that this module gives to modules and functions; and the latter."""
    modules = {r"importlib\s*\.\s*metadata", "importlib_metadata", "pkg_resources"}
    functions = {}
    for found in _FROM.finditer(code):
        source = found[1].lstrip(".")
        for name, alias in _names(found[2] or found[3] or ""):
            if source in _MODULES and (name in _FUNCTIONS or name in _POINTS):
                functions[alias] = name
            elif name in {"metadata", "importlib_metadata", "pkg_resources"}:
                modules.add(re.escape(alias))  # of importlib, or of a module that is there for older Pythons
    for found in _IMPORT.finditer(code):
        modules.update(re.escape(alias) for name, alias in _names(found[1]) if name in _MODULES and alias != name)
    # A module has few names for these; were there thousands, each would slow the search down.
    return _compiled(tuple(sorted(modules)[:_MOST_NAMES]), tuple(sorted(functions)[:_MOST_NAMES])), functions


@functools.cache
def _compiled(modules: tuple[str, ...], functions: tuple[str, ...]) -> re.Pattern[str]:
    attribute = "|".join((*_FUNCTIONS, *sorted(_POINTS)))
    alone = "|".join(map(re.escape, functions)) or "(?!)"
    return re.compile(
        rf"(?<![\w.])(?<!def )(?:(?:{'|'.join(modules)})\s*\.\s*(?P<attribute>{attribute})|(?P<function>{alone}))\s*\("
        r"|(?<!\w)(?<!def )(?P<points>(?:iter_)?entry_points)\s*\("
    )


def _names(listed: str) -> Iterator[tuple[str, str]]:
    """``a, b as c`` → ``(a, a), (b, c)``."""
    for part in listed.replace('"', " ").split(","):
        words = part.split()
        if words:
            yield words[0], words[2] if len(words) == 3 and words[1] == "as" else words[0]  # noqa: PLR2004


def _arguments(code: str, start: int) -> tuple[list[str], int]:
    """The arguments of the call whose bracket opens before ``start``, masked, and where the call ends."""
    found, begin, depth = [], start, 0
    for mark in _BOUNDARY.finditer(code, start, start + _LONGEST_CALL):
        if mark[0] in "([{":
            depth += 1
        elif mark[0] != ",":
            depth -= 1
        if depth < 0 or (depth == 0 and mark[0] == ","):
            found.append(code[begin : mark.start()])
            begin = mark.end()
        if depth < 0:
            return [] if len(found) == 1 and not found[0].strip() else found, begin
    return [*found, code[begin : start + _LONGEST_CALL]], start + _LONGEST_CALL


def _masked(arguments: Iterable[str], literals: Sequence[str | None], index: int) -> Iterator[tuple[str, list[str]]]:
    """Each argument without its comments, and the literals in it; an empty one behind a last comma is left out."""
    for argument in arguments:
        first, *pieces = argument.split('"')
        values = literals[index : index + len(pieces)]
        index += len(pieces)
        text = first + "".join(f" {p}" if v is None else f'"{p}' for v, p in zip(values, pieces, strict=False))
        if text.strip():
            yield text.strip(), [value for value in values if value is not None]


def _keyword(text: str) -> tuple[str, str]:
    """``group="x"`` → ``group`` and the rest; an empty string for a positional argument."""
    found = _KEYWORD.match(text)
    return (found[1], text[found.end() :]) if found else ("", text)


def _positional(argument: tuple[str, list[str]]) -> tuple[str, list[str]]:
    return _keyword(argument[0])[1], argument[1]


def _group(function: str, texts: Sequence[tuple[str, list[str]]], constants: Mapping[str, str]) -> str:
    for number, (text, values) in enumerate(texts):
        keyword, rest = _keyword(text)
        if keyword == "group" or (not keyword and number == 0 and function == "iter_entry_points"):
            return _told(rest, values, constants)
    return ""


def _told(text: str, values: Sequence[str], constants: Mapping[str, str]) -> str:
    """What an expression is, as far as it can be told: a literal, a constant of the module, its own name."""
    if _LITERAL.fullmatch(text):
        return "".join(values)
    if own := _OWN_NAME.fullmatch(text):
        return own[1] + (".0" if own[2] else "")
    return constants.get(text, "")


def _constants(code: str, literals: Sequence[str | None]) -> Mapping[str, str]:
    """What the module assigns a literal to, at its top level."""
    found: dict[str, str] = {}
    at = index = 0
    for match in _CONSTANT.finditer(code):
        index += code.count('"', at, match.start(2))
        at = match.start(2)
        values = literals[index : index + match[2].count('"')]
        found[match[1]] = "".join(value for value in values if value is not None)
    return found


class _Try:
    """A ``try``: whether its first clause that catches a missing distribution goes on without it."""

    def __init__(self, *, swallows: bool = False) -> None:
        self.swallows = swallows
        self.decided = swallows


class _Open(NamedTuple):
    """An open block: its indentation, keyword, and the ``try`` that it belongs to."""

    width: int
    keyword: str
    attempt: _Try | None


def _circumstances(lines: Sequence[str], wanted: Iterable[int]) -> dict[int, tuple[bool, tuple[_Try, ...]]]:
    """Line → whether it runs in a function, and the ``try`` statements around it, in one pass over the lines."""
    places = set(wanted)
    stack: list[_Open] = []
    found = {}
    depth = 0
    for number, line in enumerate(lines):
        text = line.strip(" \t\f\"'")
        if depth == 0 and text:
            _enter(stack, len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip(" \f")), text)
        if number in places:
            last = max((at for at, block in enumerate(stack) if block.keyword == "def"), default=-1)
            tries = tuple(b.attempt for b in stack[last + 1 :] if b.keyword in {"try", "with"} and b.attempt)
            found[number] = (last >= 0, tries)
        if _RAISE.search(line):
            for block in stack:
                if block.keyword == "caught" and block.attempt:
                    block.attempt.swallows = False
        depth = max(depth + sum(map(line.count, "([{")) - sum(map(line.count, ")]}")), 0)
    return found


def _enter(stack: list[_Open], width: int, text: str) -> None:
    """Close the blocks that end before this line, and open the one that it begins."""
    before = None
    while stack and stack[-1].width >= width:
        last = stack.pop()
        before = last.attempt if last.width == width else None
    key = _KEY.match(text)
    keyword = key[1] if key else ""
    if keyword == "def":
        stack.append(_Open(width, keyword, None))
    elif keyword == "try":
        stack.append(_Open(width, keyword, _Try()))
    elif keyword == "with" and "suppress" in text:
        stack.append(_Open(width, keyword, _Try(swallows=_CATCHING.search(text) is not None)))
    elif keyword == "except" and before is not None:
        caught = text[len("except") :].strip().startswith(":") or _CATCHING.search(text.partition(":")[0]) is not None
        decides = caught and not before.decided
        if decides:
            before.swallows = before.decided = True
        stack.append(_Open(width, "caught" if decides else "except", before))
