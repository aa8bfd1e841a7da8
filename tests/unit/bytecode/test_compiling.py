"""What becomes of the others when a source ends the process that compiles it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lamina.bytecode.compiling import Unit, compile_all
from lamina.errors import MissingToolError
from lamina.progress import Task

MAGIC = b"\xa7\r\r\n"


class Ending:
    """A compiler whose process ends, as a crash or a limit ends it, at each source that says so."""

    name, version = "a compiler", (3, 11, 7)

    def __init__(self, processes: int) -> None:
        self.processes = processes

    def run(self, sources: Path, results: Path) -> bool:
        given = sources.read_bytes()
        pieces = []
        at = 0
        while at < len(given):
            [length] = struct.unpack_from("<I", given, at)
            pieces.append(given[at + 4 : at + 4 + length])
            at += 4 + length
        with results.open("wb") as out:
            for source in pieces[1::2]:
                if source == b"end":
                    return False
                made = MAGIC + bytes(12) + source
                out.write(struct.pack("<I", len(made)) + made)
        return True

    def close(self) -> None: ...


def units(part: str, *sources: bytes) -> list[Unit]:
    return [Unit(part, f"python/{part}/{at}.py", len(each), lambda each=each: each) for at, each in enumerate(sources)]


@pytest.mark.parametrize("processes", [1, 2, 7])
def test_a_part_whose_sources_end_processes_costs_no_other_part_its_bytecode(tmp_path: Path, processes: int) -> None:
    given = [*units("hostile", *[b"end"] * 9, b"fine"), *units("good", *[b"a"] * 20), *units("worse", b"end", b"b")]
    made = compile_all(given, Ending(processes), MAGIC, tmp_path, Task())
    by_part = {
        part: [bool(each) for unit, each in zip(given, made, strict=True) if unit.part == part]
        for part in ("hostile", "good", "worse")
    }
    assert by_part == {"hostile": [False] * 10, "good": [True] * 20, "worse": [False, True]}


def test_a_compiler_that_ends_well_before_its_end_is_told_of(tmp_path: Path) -> None:
    class Lazy(Ending):
        def run(self, sources: Path, results: Path) -> bool:
            assert sources.stat().st_size
            assert not results.stat().st_size
            return True

    with pytest.raises(MissingToolError) as caught:
        compile_all(units("a", b"a"), Lazy(1), MAGIC, tmp_path, Task())
    assert caught.value.message == "a compiler: ends without compiling all that it is given"
    assert caught.value.hint == "Name another CPython in LAMINA_PYTHON."
