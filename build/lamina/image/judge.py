"""base, layer and function → findings: all that an audit knows, with the three standing in one file system.

What was found is remembered under the base's digest, the plan and the function's content. After a change of the
handler only the function is judged again.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence

import msgspec

import lamina
from lamina.audit.model import Artefact
from lamina.findings import Acceptance, Finding, accept
from lamina.function.pack import Pack
from lamina.planner import Planner
from lamina.recipe import Function
from lamina.store import Store

#: Counted up with every change of what is judged or how.
_FORMAT = 1
_OPT, _TASK = "opt/", "var/task/"


def found_in(
    planner: Planner, function: Function | None, pack: Pack | None, digest: str, base: Callable[[], Artefact]
) -> tuple[Finding, ...]:
    """The findings on the dependencies and the function on a base of that digest; each with its path in the image.

    ``base`` gives the base's files, and is called only where something is judged anew.
    """
    order, store = planner.order, planner.store
    made_from = (
        f"image {_FORMAT}",
        lamina.__version__,
        sys.version_info[:2],  # which decides what source code can be read
        digest,
        planner.key,
        order.recipe.provided,
    )
    layer = _Once(planner.layer)
    below = _Once(base)

    def of_layer() -> tuple[Finding, ...]:
        from lamina.audit.check import check

        found = check([below(), layer()], order.target, provided=order.recipe.provided, built=True, last=1)
        return _placed((*planner.composing_findings(), *found[0]), _OPT, (item.path for item in layer().items))

    def of_function() -> tuple[Finding, ...]:
        from lamina.function.judge import judge

        if function is None or pack is None:
            return ()
        found = judge(order.name, pack, function, [below(), layer()], order.target, order.recipe.provided)
        return _placed(found, _TASK, (file.path for file in pack.files))

    return (
        *_remembered(store, made_from, of_layer),
        *_remembered(store, (*made_from, function, pack.sha256 if pack else ""), of_function),
    )


def accepted(findings: Sequence[Finding], accepts: Sequence[Acceptance]) -> tuple[Finding, ...]:
    """Mark what a recipe accepts, by paths of the image or by those of the layer and the function in it."""
    here = accept(findings, accepts)
    there = accept([msgspec.structs.replace(finding, path=_inside(finding.path)) for finding in findings], accepts)
    return tuple(
        msgspec.structs.replace(one, accepted=one.accepted or other.accepted)
        for one, other in zip(here, there, strict=True)
    )


def _inside(path: str) -> str:
    return path.removeprefix(_OPT) if path.startswith(_OPT) else path.removeprefix(_TASK)


def _placed(findings: Iterable[Finding], folder: str, paths: Iterable[str]) -> tuple[Finding, ...]:
    """Findings with their paths in the image; one whose path is a key of the recipe keeps it."""
    tops = {path.partition("/")[0] for path in paths}
    return tuple(
        msgspec.structs.replace(one, path=folder + one.path) if one.path.partition("/")[0] in tops else one
        for one in findings
    )


def _remembered(store: Store, made_from: object, judge: Callable[[], tuple[Finding, ...]]) -> tuple[Finding, ...]:
    key = hashlib.sha256(msgspec.json.encode(made_from, order="deterministic")).hexdigest()
    path = store.path("plans", key, ".image")
    content = store.load(path)
    if content is not None:
        try:
            known = msgspec.msgpack.decode(content, type=tuple[Finding, ...])
        except msgspec.MsgspecError:
            pass
        else:
            store.touch([path])
            return known
    found = judge()
    store.save(path, msgspec.msgpack.encode(found))
    return found


class _Once:
    """A value that is made when it is first asked for."""

    def __init__(self, make: Callable[[], Artefact]) -> None:
        self._make = make
        self._value: Artefact | None = None

    def __call__(self) -> Artefact:
        if self._value is None:
            self._value = self._make()
        return self._value
