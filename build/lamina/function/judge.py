"""pack and layer → findings: what ``lamina audit`` would find in the function beside its layer, and on its handler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lamina.artefact.content import look_at
from lamina.artefact.gathered import Gathered, finish
from lamina.audit.check import check
from lamina.audit.model import ROOTS, Artefact
from lamina.audit.modules import Modules
from lamina.audit.own import own_modules
from lamina.findings import Finding
from lamina.function.code import check_function
from lamina.function.handler import check_handler
from lamina.function.pack import Pack
from lamina.recipe import Function
from lamina.target import Target


def judge(
    name: str, pack: Pack, function: Function, layers: Sequence[Artefact], target: Target, provided: tuple[str, ...]
) -> tuple[Finding, ...]:
    """The findings on a function called ``name``; those on its layers are told with them."""
    return tuple(_judged(name, pack, function, layers, target, provided))


def _judged(
    name: str, pack: Pack, function: Function, layers: Sequence[Artefact], target: Target, provided: tuple[str, ...]
) -> Iterator[Finding]:
    yield from pack.findings
    artefact = artefact_of(name, pack)
    stack = (*layers, artefact)
    [found] = check(stack, target, provided=provided, last=1)
    yield from found
    root = ROOTS["function"]
    contents = {root + file.path: file.content for file in pack.files}
    yield from check_handler(function.handler, Modules(stack, target, provided), contents.get)
    own = own_modules(artefact)
    yield from check_function({file.path: file.content for file in pack.files if file.path in own}, function)


def artefact_of(name: str, pack: Pack) -> Artefact:
    """The pack as an audit reads it."""
    gathered = Gathered(name)
    for file in pack.files:
        size = len(file.content)
        gathered.add(file.path, size, file.mode)
        sources = gathered.affords(file.path, size)
        gathered.saw(file.path, look_at(file.path, size, iter((file.content,)), sources=sources))
    return finish(gathered, "function")
