"""A function's own code and variables → findings, told without running or importing anything of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lamina.findings import Finding, make
from lamina.function.calls import follow
from lamina.function.environment import check_environment, reads_of
from lamina.function.placeholders import check_placeholders
from lamina.function.scope import Names
from lamina.function.sources import read
from lamina.function.stubs import check_stubs
from lamina.recipe.model import Function


def check_function(modules: Mapping[str, bytes], function: Function) -> Iterator[Finding]:
    """Judge the function's own modules (place in its zip → bytes; those of packages left out) and its variables.

    ``stub-code``, ``placeholder-value`` and ``undeclared-variable``; paths are places in the function's zip, or the
    recipe's key (``function.environment.X``). What the host's Python cannot read is told as a note and passed over.
    """
    parsed, unread = read(modules)
    for one in unread:
        hint = "Nothing is known against it; look at it yourself."
        yield make("stub-code", one.path, f"not looked at for unfinished code: {one.reason}", hint, "note")
    names = Names(parsed)
    calls = follow(names, function.handler)
    yield from check_stubs(names, calls)
    whole = reads_of(parsed.values())
    reached = reads_of(parsed[name] for name in calls.modules) if calls.modules else whole
    yield from check_placeholders(function.environment, reached.reads)
    yield from check_environment(function.environment, reached, whole)
