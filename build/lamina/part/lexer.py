"""Python source into its code and its literals, for any syntax version and the same on every host.

``ast`` and ``tokenize`` read the syntax of the Python that runs them; lamina reads packages for other ones, and what it
finds decides which bytes ship. So this lexer knows only what holds in every Python from 2.7 to 3.15: comments, string
literals and, since PEP 701 lets their quotes nest, the inside of f-strings and t-strings. Everything else is code and
is handed out as written. The work is left to searches for single characters and to a few patterns, which makes a pass
over 30 MB a matter of half a second; nothing here is quadratic, whatever the input.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

#: A character that can stand in a name, and one that cannot. All beyond ASCII can: which of them are letters depends on
#: the host's Unicode tables.
NAME = r"[^\x00-/:-@\[-^`{-\x7f]"
OTHER = r"[\x00-/:-@\[-^`{-\x7f]"

# What Python takes for the declaration of an encoding: https://peps.python.org/pep-0263/
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"[ \t\f]*(?:#.*)?")
# The encodings that are read: supersets of ASCII, known to every host. Others (mbcs, unicode_escape, a package's own
# codec) mean different things on different machines.
_ENCODING = re.compile(
    r"ascii|us-ascii|utf-?8(?:-.*)?|latin-?[1-9]\d?(?:-.*)?|l[1-9]|iso-latin-1(?:-.*)?|iso-?8859-\d+(?:-.*)?"
    r"|(?:cp|windows-)125\d|cp(?:437|85\d|86[0-6]|874|932|949|950)|koi8-[rtu]|mac-?(?:roman|cyrillic)|kz1048|ptcp154"
    r"|euc-?(?:jp|kr|cn)|shift-?jis|s-?jis|gb2312|gbk|big5(?:-?hkscs)?|johab|tis-620"
)

# All repeats are possessive: a match that fails never goes back, so no input takes more than one look. Up to CPython
# 3.11.4 a possessive repeat of a group goes on from where its last attempt failed (https://github.com/python/cpython/
# issues/106052): there each alternative first looks whether it will match, and takes nothing before it knows.
_ONE_LINE = r"([^{q}\\\n]*+(?:\\.[^{q}\\\n]*+)*+){q}"
_LONE = r"(?={q}{{1,2}}+[^{q}]){q}"
_MANY_LINES = r"{q}{q}([^{q}\\]*+(?:(?:\\.|" + _LONE + r")[^{q}\\]*+)*+){q}{q}{q}"
_LITERALS = {
    quote: re.compile(f"{quote}(?:(?!{quote}{quote}){_ONE_LINE}|{_MANY_LINES})".format(q=quote), re.DOTALL)
    for quote in ('"', "'")
}
_PREFIX = re.compile(rf"(?<!{NAME})(?:[rR][bBfFtT]?|[uUbBfFtT][rR]?)\Z")
_PREFIXES = frozenset("rRuUbBfFtT")

# The own text of an f-string, up to a field, its end, or what must not be there; and the same in a format
# specification, where doubled braces are not an escape. A backslash hides no brace, but "\N{DASH}" has its own.
_TEXT = r"(?:[^{{}}{quote}\\{newline}]++|{inner}\\[^{{}}]|(?=\\[{{}}])\\)*+"
_IN_FIELD = re.compile("[\"'#()\\[\\]{}:]")
_DEEPEST = 150  # f-strings within f-strings; CPython's own limit


def _texts(quote: str) -> dict[tuple[str, bool, bool], re.Pattern[str]]:
    """Patterns for what stands between fields, by the quotes, whether raw, and whether in a format specification."""
    patterns = {}
    for quotes in (quote, quote * 3):
        alone = "" if quotes == quote else _LONE.format(q=quote) + "|"
        for raw in (False, True):
            named = "" if raw else r"\\N\{[^{}\n]*\}|"
            for specification in (False, True):
                inner = alone + named + ("" if specification else r"\{\{|\}\}|")
                newline = "" if specification or alone else r"\n"
                pattern = _TEXT.format(quote=quote, newline=newline, inner=inner)
                patterns[quotes, raw, specification] = re.compile(pattern, re.DOTALL)
    return patterns


_TEXTS = _texts('"') | _texts("'")

_ESCAPE = re.compile(r"\\(?:(\n)|([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([abfnrtv\\'\"]))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LONGEST = 4096  # characters; literals beyond are texts, whose escapes interest nobody


class Lexed(NamedTuple):
    r"""A source as code and literals by turns: ``code[0] literals[0] code[1] ... literals[-1] code[-1]``.

    ``code`` always has one item more. A literal is its content without quotes, its escapes decoded where it has at most
    4096 characters (``\N{...}`` stays as written: names depend on the host's tables); ``None`` stands for a comment.
    Prefixes stay in the code before. An f-string gives one literal for each stretch of its own text, empty ones
    included, and its fields as code in braces between them.
    """

    code: list[str]
    literals: list[str | None]


def decode(source: bytes) -> str | None:
    """Decode a module as Python would (PEP 263), with line feeds for all line ends.

    Returns:
        ``None`` where Python refuses the file (null bytes, bytes that the encoding does not have), or where the
        declared encoding is not one that every host knows.
    """
    if b"\0" in source:
        return None
    encoding = "utf-8-sig"
    if not source.startswith(b"\xef\xbb\xbf"):
        for line in re.split(rb"\r\n?|\n", source, maxsplit=2)[:2]:
            if cookie := _COOKIE.match(line):
                encoding = cookie[1].decode("ascii", "replace").lower().replace("_", "-")
                if not _ENCODING.fullmatch(encoding):
                    return None
                # Emacs writes utf-8-unix; Python takes it for utf-8.
                encoding = re.sub(r"^(utf-?8|latin-1|iso-latin-1|iso-8859-1)-[^0-9].*", r"\1", encoding)
                break
            if not _BLANK.fullmatch(line):
                break
    try:
        text = source.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def lex(text: str) -> Lexed | None:
    """Part a decoded module into code and literals, in time linear in its length.

    Returns:
        ``None`` where a string literal or a field of an f-string does not end.
    """
    lexed = Lexed([], [])
    code, literals = lexed
    find, size = text.find, len(text)
    double = single = hashed = -1  # the next of each mark; looking for one character is ten times as fast as for three
    at = 0
    while True:
        if double < at and (double := find('"', at)) < 0:
            double = size
        if single < at and (single := find("'", at)) < 0:
            single = size
        if hashed < at and (hashed := find("#", at)) < 0:
            hashed = size
        start = min(single, double)
        if hashed < start:
            code.append(text[at:hashed])
            literals.append(None)
            if (at := find("\n", hashed)) < 0:
                at = size
        elif start < size:
            code.append(text[at:start])
            at = _literal(text, start, lexed, 0)
            if at < 0:
                return None
        else:
            code.append(text[at:])
            return lexed


def _literal(text: str, start: int, lexed: Lexed, depth: int) -> int:
    """Read the literal whose quotes begin at ``start``; return where it ends, or -1."""
    raw = False
    if start and text[start - 1] in _PREFIXES and (prefix := _PREFIX.search(text, max(start - 2, 0), start)):
        letters = prefix[0].lower()
        raw = "r" in letters
        if "f" in letters or "t" in letters:
            quote = text[start]
            quotes = quote * 3 if text.startswith(quote * 3, start) else quote
            return _formatted(text, start + len(quotes), (quotes, raw, False), lexed, depth + 1)
    found = _LITERALS[text[start]].match(text, start)
    if found is None:
        return -1
    literal = found[found.lastindex or 0]
    lexed.literals.append(literal if raw or "\\" not in literal else _unescape(literal))
    return found.end()


def _formatted(text: str, at: int, kind: tuple[str, bool, bool], lexed: Lexed, depth: int) -> int:
    """Read the text of an f-string, or a format specification, and the fields in it.

    Returns:
        Where the closing quotes end, or the brace is that ends the specification; -1 where neither comes.
    """
    quotes, raw, specification = kind
    while depth <= _DEEPEST:
        found = _TEXTS[kind].match(text, at)
        end = found.end() if found else at
        literal = text[at:end] if specification else text[at:end].replace("{{", "{").replace("}}", "}")
        lexed.literals.append(literal if raw else _unescape(literal))
        if specification and text.startswith("}", end):
            return end
        if not specification and text.startswith(quotes, end):
            return end + len(quotes)
        if not text.startswith("{", end):
            break
        at = _field(text, end, kind, lexed, depth)
        if at < 0:
            break
    return -1


def _field(text: str, mark: int, kind: tuple[str, bool, bool], lexed: Lexed, depth: int) -> int:
    """Read the field whose brace stands at ``mark``; return where it ends, or -1. Its code keeps the braces."""
    at, brackets = mark + 1, 0
    while found := _IN_FIELD.search(text, at):
        start, sign = found.start(), found[0]
        at = start + 1
        if sign in "([{":
            brackets += 1
        elif sign == "#":
            lexed.code.append(text[mark:start])
            lexed.literals.append(None)
            mark = at = text.find("\n", at)
        elif sign in "\"'":
            lexed.code.append(text[mark:start])
            mark = at = _literal(text, start, lexed, depth)
        elif sign == ":":
            if not brackets:
                lexed.code.append(text[mark:at])
                mark = at = _formatted(text, at, (*kind[:2], True), lexed, depth + 1)
        elif brackets:
            brackets -= 1
        else:
            lexed.code.append(text[mark:at])
            return at if sign == "}" else -1
        if at < 0:
            break
    return -1


def _unescape(literal: str) -> str:
    return _ESCAPE.sub(_character, literal) if "\\" in literal and len(literal) <= _LONGEST else literal


def _character(escape: re.Match[str]) -> str:
    newline, octal, two, four, eight, simple = escape.groups()
    if newline:
        return ""
    if simple:
        return _SIMPLE.get(simple, simple)
    number = int(octal, 8) if octal else int(two or four or eight, 16)
    return chr(number) if number <= sys.maxunicode else escape[0]
