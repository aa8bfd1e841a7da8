"""``placeholder-value``: values that stand for one to be filled in, in the recipe and as defaults in the code.

A secret that the recipe spells out is told by the same code, and its value is never repeated.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence

from lamina.findings import Finding, make
from lamina.function.environment import Read
from lamina.function.facts import values
from lamina.recipe.model import Variable

_LONGEST = 512  # characters; nobody writes a longer placeholder, and patterns stay quick
_SHORTEST_SECRET = 12


def check_placeholders(declared: Mapping[str, Variable], reads: Sequence[Read]) -> Iterator[Finding]:
    """Judge the values of a recipe's ``[function] environment`` and the defaults of what the code reads."""
    for name, variable in declared.items():
        if variable.value is not None:
            yield from _of_recipe(name, variable.value)
    for read in reads:
        why = why_placeholder(read.default, code=True) if read.default is not None else ""
        if why:
            known = declared.get(read.name)
            use = "is used as soon as nothing sets the variable" if known is None else "stands behind the declared one"
            message = f'the default of {read.name} in line {read.line}, "{_short(read.default or "")}", {why}: it {use}'
            hint = f'Read it as os.environ["{read.name}"], so that a missing value fails at once.'
            yield make("placeholder-value", read.path, message, hint, None if known is None else "warning")


def why_placeholder(value: str, *, code: bool = False) -> str:
    """Why a value stands for one to be filled in (``says that it is a placeholder``); empty where it does not."""
    text = value.strip().lower()
    if len(text) > _LONGEST:
        return ""
    return next((why for match, why, in_code in _patterns() if (in_code or not code) and match.fullmatch(text)), "")


def what_secret(name: str, value: str) -> tuple[str, bool]:
    """What secret a value is (``a token of GitHub``) and whether its form is proof; empty where it is none."""
    text = value[:_LONGEST]
    for match, what in _secrets():
        if match.match(text):
            return what, True
    if not re.fullmatch(values().keys["secret"], name[:200].lower()):
        return "", False
    dense = re.fullmatch(r"[\w+/=.~-]+", text) and not text.isalpha() and not text.isdigit()
    plain = text.startswith(("arn:", "/", "http")) or len(text) < _SHORTEST_SECRET
    return ("a secret, by its name and form", False) if dense and not plain else ("", False)


def _of_recipe(name: str, value: str) -> Iterator[Finding]:
    path = f"function.environment.{name}"
    if why := why_placeholder(value):
        shown = f'"{_short(value)}" ' if value.strip() else ""
        message = f"the value {shown}{why}: the function would be deployed with it"
        hint = f"Write the real value, or {name} = {{ required = true }} if whoever deploys must set it."
        yield make("placeholder-value", path, message, hint)
        return
    what, certain = what_secret(name, value)
    if what:
        message = f"the value is {what}, and stands in the recipe for all to read"
        hint = f"Write {name} = {{ secret = true }}, keep the value in a secret store, and have this one revoked."
        yield make("placeholder-value", path, message, hint, None if certain else "warning")


def _short(value: str) -> str:
    text = value.strip()
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - what a message has room for


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], str, bool], ...]:
    return tuple((re.compile(one.match, re.DOTALL), one.why, one.code) for one in values().placeholder)


@functools.cache
def _secrets() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(one.match), one.what) for one in values().secret)
