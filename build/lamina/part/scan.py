"""What a module refers to: its imports and the names it gives as strings, told from its source and from nothing else.

The prune rules are vetoed where kept code refers to what would go. These are the facts for it, made once a wheel. They
decide which bytes ship, so they must not depend on the Python that runs lamina: hence :mod:`lamina.part.lexer` and a
few patterns instead of ``ast``, which moreover takes ten times as long.

In doubt a fact is stated: an import too many keeps a file, one too few breaks a package.
"""

from __future__ import annotations

from lamina.part.source import LOADERS, NOTABLE, UNREADABLE, Ask, Dynamic, Import, Source, resolve

__all__ = ["LOADERS", "NOTABLE", "UNREADABLE", "Ask", "Dynamic", "Import", "Source", "resolve", "scan"]


def scan(source: bytes) -> Source:
    """Tell what a Python module refers to. Takes time linear in its length; raises nothing, whatever the bytes are."""
    from lamina.part.asks import asks, may_ask
    from lamina.part.imports import imports, join_lines
    from lamina.part.lexer import decode, lex
    from lamina.part.names import candidates, dynamic, notable

    text = decode(source)
    lexed = None if text is None else lex(text)
    if lexed is None:
        return UNREADABLE
    # Each literal and each comment is one double quote now.
    code = join_lines("\n" + '"'.join(lexed.code))
    if any(code.count(opening) != code.count(closing) for opening, closing in ("()", "[]", "{}")):
        return UNREADABLE
    calls = notable(code)
    imported = tuple(dict.fromkeys(imports(code)))
    return Source(
        imports=imported,
        strings=candidates(lexed),
        dynamic=dynamic(code, lexed.literals, calls),
        calls=calls,
        readable=True,
        asks=tuple(dict.fromkeys(asks(code, lexed.literals))) if may_ask(imported, calls) else (),
    )
