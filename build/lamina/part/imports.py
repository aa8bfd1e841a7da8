"""The imports of a module, each with the circumstances under which it runs.

Works on *masked* code: what :mod:`lamina.part.lexer` leaves when every literal and every comment is one double quote.
There the grammar makes it simple. The word ``import`` stands in import statements only; a block begins with one of few
keywords at the start of a logical line, and ends before the next one that is indented no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from lamina.part.lexer import NAME
from lamina.part.source import Import

_IMPORT: Final = re.compile(rf"import(?<!{NAME}import)(?!{NAME})")
_FROM: Final = re.compile(rf"[ \t\f]*(?:lazy[ \t]+)?from(?!{NAME})(.*)")
_LAZY: Final = re.compile(rf"[ \t\f]*lazy(?!{NAME})")
_NAMES: Final = re.compile(r"[ \t\f]*\(([^()]*)\)|([^\n;]*)")
_DOTS: Final = re.compile(r"[ \t\f]*\.[ \t\f]*")

# A line that holds nothing but a backslash; the first white space of all that it goes on with is the indentation.
_LEADING_BACKSLASHES: Final = re.compile(r"\n(?=[ \t\f]*+\\\n)(?:\\\n)*+([ \t\f]*+)(?:\\\n[ \t\f]*+)*+")
# The first line of a block. What looks like one inside brackets is sorted out by counting them.
_OPENING: Final = re.compile(
    rf"\n([ \t\f]*+)(?:async[ \t]++)?(def|class|if|elif|else|try|except|finally|for|while|with|match|case)(?!{NAME})"
)
_INDENTATION: Final = re.compile(r"[ \t\f]*")
_TYPE_CHECKING: Final = re.compile(rf"[\s(\"]*+(not(?!{NAME})[\s(\"]*+)?(?:{NAME}++ *\. *)?TYPE_CHECKING[\s)\"]*+:")
# A module that gives TYPE_CHECKING another value than False means something of its own.
_REDEFINED: Final = re.compile(
    r"TYPE_CHECKING[ \t]*(?::[^=:;\n]{0,80})?=(?!=)(?![ \t]*(?:False|0)[ \t\"]*(?:[\n;]|\Z))"
)
# contextlib.suppress() of what an import that fails raises, before the colon that ends the line of ``with``.
_SUPPRESS: Final = re.compile(
    rf"[^:]{{0,200}}?(?<!{NAME})suppress\s*\([^():]{{0,300}}?(?<!{NAME})"
    rf"(?:ImportError|ModuleNotFoundError|Exception|BaseException)(?!{NAME})"
)


def join_lines(code: str) -> str:
    """Return masked code with each logical line that backslashes break in one piece."""
    if "\\\n" not in code:
        return code
    return _LEADING_BACKSLASHES.sub(r"\n\1", code).replace("\\\n", " ")


def imports(code: str) -> Iterator[Import]:
    """Yield the imports of masked code in their order, without those that only a type checker sees.

    ``code`` begins with a line feed, its brackets are even in number, and no logical line is broken by a backslash.
    """
    blocks = _Blocks(code)
    line = end = 0
    for found in _IMPORT.finditer(code):
        start = found.start()
        if start < end:
            continue
        line = code.rfind("\n", end, start) + 1 or line
        head = code[max(line, end) : start]
        statement = head[max(head.rfind(";"), head.rfind(":")) + 1 :]
        # Most imports stand unindented on a line of their own: nothing to look up.
        plain = len(statement) == len(head) and not head.startswith((" ", "\t", "\f"))
        block = _MODULE if plain else blocks.around(line)
        names = _NAMES.match(code, start + len("import"))
        if names is not None:
            end = names.end()
            if not block.dead:
                yield from _statement(statement, names[1] or names[2] or "", block)


def _statement(before: str, behind: str, block: _Block) -> Iterator[Import]:
    """The imports of one statement, by what stands before the word ``import`` in it and what behind."""
    lazy = block.lazy or _LAZY.match(before) is not None
    source = _FROM.match(before)
    if source is None:
        behind = _DOTS.sub(".", behind)
    words = [part.split(None, 1)[0] for part in behind.replace('"', " ").split(",") if part.strip(' \t\f\n"')]
    if source is None:
        for word in words:
            yield Import(word, 0, (), lazy, block.guarded)
        return
    written = "".join(source[1].split())
    module = written.lstrip(".")
    yield Import(module, len(written) - len(module), tuple(words), lazy, block.guarded)


class _Block(NamedTuple):
    """An open block. ``clause`` is what an ``elif`` or ``else`` that follows it must know."""

    width: int  # columns that its first line is indented by
    line: int  # offset of that line
    clause: str
    lazy: bool
    guarded: bool
    dead: bool  # never entered when the code runs


_MODULE: Final = _Block(-1, -1, "", lazy=False, guarded=False, dead=False)


class _Blocks:
    """The blocks of masked code, followed from its beginning as far as asked."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._openings = _OPENING.finditer(code)
        self._next = next(self._openings, None)
        self._open = [_MODULE]
        self._counted = self._depth = 0
        self._redefined: bool | None = None

    def around(self, line: int) -> _Block:
        """Return the innermost block around the statements of the line at offset ``line``; to be asked in order."""
        while self._next is not None and self._next.start() < line:
            self._enter(self._next)
            self._next = next(self._openings, None)
        # A statement in a line that begins inside brackets stands behind them and behind a colon: it is the body of the
        # block just opened, as is one in the very line that opens it.
        if not self._inside_brackets(line) and self._open[-1].line != line:
            found = _INDENTATION.match(self._code, line)
            self._leave(found[0] if found else "")
        return self._open[-1]

    def _enter(self, opening: re.Match[str]) -> None:
        line = opening.start() + 1
        if self._inside_brackets(line):
            return
        before = self._leave(opening[1])
        _, _, _, lazy, guarded, dead = self._open[-1]
        keyword, clause = opening[2], ""
        if keyword == "def":
            lazy = True
        elif keyword in {"for", "while"}:
            clause = "loop"
        elif keyword == "if":
            clause = self._type_checking(opening.end())
            dead = dead or clause == "type checking"
            guarded = guarded or not clause
        elif keyword == "elif":
            dead = dead or self._type_checking(opening.end()) == "type checking"
            guarded = True
        elif keyword == "else":
            dead = dead or before == "no type checking"
            guarded = guarded or not before
        elif keyword in {"try", "except", "case"}:
            guarded = True
        elif keyword == "with":
            guarded = guarded or _SUPPRESS.match(self._code, opening.end()) is not None
        self._open.append(_Block(_width(opening[1]), line, clause, lazy, guarded, dead))

    def _leave(self, indentation: str) -> str:
        """Close what a line with this indentation closes; return the clause of the last block as deep as the line."""
        width, clause = _width(indentation), ""
        while self._open[-1].width >= width:
            last = self._open.pop()
            clause = last.clause if last.width == width else ""
        return clause

    def _inside_brackets(self, line: int) -> bool:
        """Tell whether brackets are open where the line begins; lines are asked for in order."""
        if line > self._counted:
            count = self._code.count
            for opening, closing in ("()", "[]", "{}"):
                self._depth += count(opening, self._counted, line) - count(closing, self._counted, line)
            self._counted = line
        return self._depth > 0

    def _type_checking(self, condition: int) -> str:
        """Tell which known condition begins here: ``type checking``, ``no type checking``, or an empty string."""
        found = _TYPE_CHECKING.match(self._code, condition)
        if found is None:
            return ""
        if self._redefined is None:
            self._redefined = _REDEFINED.search(self._code) is not None
        if self._redefined:
            return ""
        return "no type checking" if found[1] else "type checking"


def _width(indentation: str) -> int:
    """Columns of an indentation: a tab goes on to the next multiple of eight, a form feed starts again."""
    if "\t" not in indentation and "\f" not in indentation:
        return len(indentation)
    return len(indentation.rpartition("\f")[2].expandtabs(8))
