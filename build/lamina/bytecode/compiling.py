"""sources → bytecode: the target's CPython runs over all of them, on every core, and may fail on any.

Sources are hostile: one can be nested so deeply that the compiler ends its process, or so large that it takes for ever.
Such a one is left without bytecode, and the rest is compiled by a new process.
"""

from __future__ import annotations

import concurrent.futures
import struct
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
#: So many sources may end their process before the rest of a share is left without bytecode.
_MOST_ENDED = 5


class Unit(NamedTuple):
    """One source: ``path`` is its layer path; ``content`` reads it."""

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
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(shares) or 1) as pool:
        jobs = [
            pool.submit(_compile_share, [units[at] for at in share], compiler, folder / str(number))
            for number, share in enumerate(shares)
        ]
        for share, job in zip(shares, jobs, strict=True):
            found.update(zip(share, job.result(), strict=True))
            task.advance(sum(units[at].size for at in share))
    wrong = next((content for content in found.values() if content and content[:4] != magic), None)
    if wrong is not None:
        raise MissingToolError(
            f"{compiler.name}: writes bytecode of magic number {wrong[:4].hex()}; the runtime's is {magic.hex()}",
            hint="Name a released CPython in LAMINA_PYTHON.",
        )
    return [found[at] for at in range(len(units))]


def _shared(units: Sequence[Unit], shares: int) -> list[list[int]]:
    """The sources, by their number, in as many shares of about the same size."""
    loads = [(0, number) for number in range(min(shares, len(units)))]
    dealt: list[list[int]] = [[] for _ in loads]
    for at in sorted(range(len(units)), key=lambda at: -units[at].size):
        load, number = min(loads)
        loads[number] = (load + units[at].size + 1, number)
        dealt[number].append(at)
    return dealt


def _compile_share(units: Sequence[Unit], compiler: Compiler, beside: Path) -> list[bytes]:
    """One process after another until each source was compiled, or given up."""
    done: list[bytes] = []
    ended = 0
    while len(done) < len(units) and ended < _MOST_ENDED:
        rest = units[len(done) :]
        sources, results = beside.with_suffix(".sources"), beside.with_suffix(".compiled")
        with sources.open("wb") as out:
            for unit in rest:
                path, content = f"/opt/{unit.path}".encode(), unit.content()
                for piece in (path, content):
                    out.write(_LENGTH.pack(len(piece)))
                    out.write(piece)
        results.write_bytes(b"")
        whole = compiler.run(sources, results)
        done += _read(results, len(rest))
        if len(done) < len(units):
            ended += 1
            if whole:
                raise MissingToolError(
                    f"{compiler.name}: ends without compiling all that it is given",
                    hint="Name another CPython in LAMINA_PYTHON.",
                )
            done.append(b"")  # the one that ended the process
    return done + [b""] * (len(units) - len(done))


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
