"""How long imports take in a fresh process, module by module, as CPython itself tells (``-X importtime``).

Source: https://docs.python.org/3/using/cmdline.html#envvar-PYTHONPROFILEIMPORTTIME; the form of its lines is that of
``import.c``: own and whole time in microseconds, and the name, two blanks deeper for each import that led to it.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from lamina.errors import FindingsError
from lamina.prove.model import Job

if TYPE_CHECKING:
    from lamina.prove.model import Sandbox

#: How often each layer is imported from, in turn; the fastest run counts, as what else the machine does only adds.
ROUNDS = 3
_SECONDS = 120.0
#: A module is shown where it takes at least this part of all, or of a tenth of a second.
_SHOWN = 1 / 500
_LEAST = 200  # microseconds
_MOST_STEPS = 1000
_MOST_GROUPS = 100
_LONGEST_NAME = 200
_LINE = re.compile(r"import time:\s{0,20}(\d{1,12}) \|\s{0,20}(\d{1,12}) \| ( *)(\S.*)")
_CODE = """
import os, sys, time
os.environ.pop("PYTHONPROFILEIMPORTTIME")
token = sys.argv[1]
sys.stderr.write(f"\\n{token} begins\\n")
sys.stderr.flush()
began = time.perf_counter()
for name in sys.argv[2:]:
    __import__(name)
seconds = time.perf_counter() - began
sys.stderr.write(f"\\n{token} {seconds}\\n")
sys.stderr.flush()
os._exit(0)
"""


class Step(msgspec.Struct, frozen=True):
    """One module that was imported: below how many others, when it began, and how long it took, in microseconds.

    ``own`` is without the modules that it imported itself, ``whole`` with them. CPython does not tell when in its own
    time a module imports others: here they stand at its beginning.
    """

    name: str
    depth: int
    start: int
    own: int
    whole: int


class Group(msgspec.Struct, frozen=True):
    """The modules of one top-level package, and the microseconds that are their own."""

    package: str
    modules: int
    own: int


class Run(msgspec.Struct, frozen=True):
    """The fastest of several runs, in seconds, and ``every`` one.

    ``modules`` counts all, ``steps`` are the larger of them; ``groups`` add up all, the slowest first.
    """

    seconds: float
    every: tuple[float, ...]
    modules: int
    steps: tuple[Step, ...]
    groups: tuple[Group, ...] = ()


class ImportTimes(msgspec.Struct, frozen=True):
    """How long ``names`` take, from the layer (``after``) and from the same layer without bytecode (``before``).

    ``before`` is null where the layer has no bytecode, ``after`` where nothing could be measured: ``note`` says why.
    """

    names: tuple[str, ...]
    where: str = ""
    before: Run | None = None
    after: Run | None = None
    note: str = ""


def in_turn(sandboxes: Sequence[Sandbox], names: Sequence[str], rounds: int = ROUNDS) -> list[Run]:
    """Import the names from each sandbox in turn, ``rounds`` times; the fastest run of each.

    Raises:
        FindingsError: an import fails, or takes too long.
    """
    runs: list[list[tuple[float, str]]] = [[] for _ in sandboxes]
    for _ in range(rounds):
        for made, sandbox in zip(runs, sandboxes, strict=True):
            made.append(_once(sandbox, names))
    found = []
    for made in runs:
        seconds, text = min(made)
        steps = read(text.splitlines())
        least = max(_LEAST, seconds * 1e6 * _SHOWN)
        shown = sorted((step for step in steps if step.whole >= least), key=lambda step: -step.whole)[:_MOST_STEPS]
        shown.sort(key=lambda step: (step.start, step.depth))
        found.append(Run(seconds, tuple(each for each, _ in made), len(steps), tuple(shown), _groups(steps)))
    return found


def _groups(steps: Iterable[Step]) -> tuple[Group, ...]:
    modules: Counter[str] = Counter()
    own: Counter[str] = Counter()
    for step in steps:
        package = step.name.partition(".")[0]
        modules[package] += 1
        own[package] += step.own
    groups = [Group(name, modules[name], own[name]) for name in own]
    return tuple(sorted(groups, key=lambda group: (-group.own, group.package))[:_MOST_GROUPS])


def _once(sandbox: Sandbox, names: Sequence[str]) -> tuple[float, str]:
    """The seconds of one run, and what CPython told of it."""
    token = f"lamina-{secrets.token_hex(16)}"
    job = Job(("-c", _CODE, token, *names), {"PYTHONPROFILEIMPORTTIME": "1"}, seconds=_SECONDS)
    outcome = sandbox.start(job).wait()
    if outcome is None:
        raise AssertionError
    text = outcome.stderr.decode(errors="replace")
    _, _, told = text.partition(f"\n{token} begins\n")
    match = re.search(rf"\n{token} (\d{{1,6}}\.\d{{1,20}}(?:e-\d\d?)?)\n", told)
    if match is not None:
        return float(match[1]), told[: match.start()]
    said = [line for line in (told or text).splitlines() if line.strip() and not line.startswith("import time:")]
    why = said[-1] if said else f"it was ended: {outcome.ended}"
    raise FindingsError(
        f"import {', '.join(names)}: {why[:500]}", hint="See which import fails: lamina prove runs each for itself."
    )


def read(lines: Iterable[str]) -> list[Step]:
    """The steps that these lines tell, each before those that it led to."""
    below: dict[int, list[_Node]] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            continue  # of a module that writes to stderr as well
        depth = len(match[3]) // 2
        deeper = [node for level in sorted(below) if level > depth for node in below[level]]
        for level in [level for level in below if level > depth]:
            del below[level]
        below.setdefault(depth, []).append(_Node(match[4][:_LONGEST_NAME], int(match[1]), int(match[2]), deeper))
    return [*_placed([node for level in sorted(below) for node in below[level]])]


class _Node(msgspec.Struct):
    name: str
    own: int
    whole: int
    children: list[_Node]


def _placed(roots: Sequence[_Node]) -> Iterator[Step]:
    """The nodes with their beginnings; not recursive, as the depth is the packages' to choose."""
    waiting = [*_laid(roots, 0, 0)]
    waiting.reverse()
    while waiting:
        node, depth, start = waiting.pop()
        yield Step(node.name, depth, start, node.own, node.whole)
        waiting += reversed([*_laid(node.children, depth + 1, start)])


def _laid(nodes: Iterable[_Node], depth: int, start: int) -> Iterator[tuple[_Node, int, int]]:
    for node in nodes:
        yield node, depth, start
        start += node.whole
