"""sources → bytecode: the target's CPython runs over all of them, on every core, and may fail on any.

Sources are hostile: one can be nested so deeply that the compiler ends its process, or so large that it takes for ever.
Such a one is left without bytecode, and the rest is compiled by a new process.
"""

from __future__ import annotations

import concurrent.futures
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lamina.bytecode.compilers import Compiler
from lamina.errors import MissingToolError
from lamina.progress import Task

#: A length in bytes, as the program has it.
_LENGTH = struct.Struct("<I")
#: The header of PEP 552: magic number, flags, hash of the source.
_HEADER_BYTES = 16
#: So many sources of one part may end their process before all of the part is left without bytecode. What it holds
#: counts against no other part: each is remembered under its own name, whatever it was compiled with.
_MOST_ENDED = 5


class Unit(NamedTuple):
    """One source: ``part`` is the name of what it is of, ``path`` its layer path; ``content`` reads it."""

    part: str
    path: str
    size: int
    content: Callable[[], bytes]


def compile_all(units: Sequence[Unit], compiler: Compiler, magic: bytes, folder: Path, task: Task) -> list[bytes]:
    """The bytecode of each source, in the order of ``units``; empty where it does not compile.

    ``magic`` is the magic number of the runtime, four bytes. ``folder`` takes the files that pass between processes.

    Raises:
        MissingToolError: the compiler writes bytecode of another magic number.
    """
    shares = _shared(units, compiler.processes)
    found: dict[int, bytes] = {}
    ended: Counter[str] = Counter()
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(shares) or 1) as pool:
        jobs = [
            pool.submit(_compile_share, [units[at] for at in share], compiler, folder / str(number))
            for number, share in enumerate(shares)
        ]
        for share, job in zip(shares, jobs, strict=True):
            done, ends = job.result()
            found.update((share[at], content) for at, content in done.items())
            ended += ends
            task.advance(sum(units[at].size for at in share))
    wrong = next((content for content in found.values() if content and content[:4] != magic), None)
    if wrong is not None:
        raise MissingToolError(
            f"{compiler.name}: writes bytecode of magic number {wrong[:4].hex()}; the runtime's is {magic.hex()}",
            hint="Name a released CPython in LAMINA_PYTHON.",
        )
    # By the sum over all shares, so that the number of cores decides nothing.
    return [b"" if ended[unit.part] >= _MOST_ENDED else found.get(at, b"") for at, unit in enumerate(units)]


def _shared(units: Sequence[Unit], shares: int) -> list[list[int]]:
    """The sources, by their number, in as many shares of about the same size."""
    loads = [(0, number) for number in range(min(shares, len(units)))]
    dealt: list[list[int]] = [[] for _ in loads]
    for at in sorted(range(len(units)), key=lambda at: -units[at].size):
        load, number = min(loads)
        loads[number] = (load + units[at].size + 1, number)
        dealt[number].append(at)
    return dealt


def _compile_share(units: Sequence[Unit], compiler: Compiler, beside: Path) -> tuple[dict[int, bytes], Counter[str]]:
    """One process after another until each source was compiled, or given up; and how many of each part ended one."""
    found: dict[int, bytes] = {}
    ended: Counter[str] = Counter()
    waiting = [*range(len(units))]
    while waiting:
        sources, results = beside.with_suffix(".sources"), beside.with_suffix(".compiled")
        with sources.open("wb") as out:
            for at in waiting:
                path, content = f"/opt/{units[at].path}".encode(), units[at].content()
                for piece in (path, content):
                    out.write(_LENGTH.pack(len(piece)))
                    out.write(piece)
        results.write_bytes(b"")
        whole = compiler.run(sources, results)
        done = [*_read(results, len(waiting))]
        found.update(zip(waiting, done, strict=False))
        waiting = waiting[len(done) :]
        if waiting:
            if whole:
                raise MissingToolError(
                    f"{compiler.name}: ends without compiling all that it is given",
                    hint="Name another CPython in LAMINA_PYTHON.",
                )
            part = units[waiting.pop(0)].part  # of the one that ended the process
            ended[part] += 1
            if ended[part] >= _MOST_ENDED:
                waiting = [at for at in waiting if units[at].part != part]
    return found, ended


def _read(results: Path, most: int) -> Iterator[bytes]:
    """The complete results that a process left."""
    with results.open("rb") as file:
        for _ in range(most):
            head = file.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                return
            [length] = _LENGTH.unpack(head)
            content = file.read(length)
            if len(content) < length or 0 < length <= _HEADER_BYTES:
                return
            yield content
