"""Feed forged bytes to the readers of hostile content, guided by coverage, for a bounded time.

``python scripts/fuzz.py 60`` gives each target 60 seconds; ``python scripts/fuzz.py 60 look`` that target alone. A
target fails with an exception, with an input that takes longer than its limit, or beyond its memory. The input that did
it is kept in ``--findings`` (``dist/fuzz``), and ``--again FILE`` with the target's name runs it once more. Inputs that
reached new code are kept beside them for the next run.

A target is a function of bytes, with its seeds, in ``TARGETS``.
"""

from __future__ import annotations

import argparse
import os
import resource
import struct
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

#: Bytes of address space that a target may use; the fuzzer and the interpreter have some hundred MB of it themselves.
MEMORY = 2 << 30
#: MiB that may be in use at any time, fuzzer and interpreter (about 50) included.
IN_USE = 256
#: Bytes of the longest input.
LONGEST = 1 << 16
#: Bytes of the largest seed; a real library beyond them is cut, which is an input as good.
SEED = 1 << 16


class Target(NamedTuple):
    """What is fuzzed: a function that prepares the call (and does the imports), seeds, and seconds for one input."""

    prepare: Callable[[], Callable[[bytes], object]]
    seeds: Callable[[], Iterator[bytes]]
    limit: float


class SlowError(Exception):
    """An input took longer than its target may."""


def _look() -> Callable[[bytes], object]:
    import msgspec

    from lamina.binary.look import is_native, look
    from lamina.binary.model import Binary

    def call(content: bytes) -> object:
        found = look(content)
        if found is not None:
            if not is_native(content[:64]):
                raise AssertionError("look() finds what is_native() passes over")
            if msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Binary) != found:
                raise AssertionError("what look() finds does not survive storage")
        return found

    return call


def _native_files() -> Iterator[bytes]:
    """The smallest libraries of this interpreter, and the beginnings of the other formats."""
    folders = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platlib")]
    paths = {path for folder in folders for path in folder.rglob("*.so*") if path.is_file()}
    for path in sorted(paths, key=lambda path: (path.stat().st_size, str(path)))[:40]:
        with path.open("rb") as file:
            yield file.read(SEED)
    stub = b"MZ" + bytes(58) + struct.pack("<I", 128) + b"This program cannot be run in DOS mode".ljust(64, b"\0")
    yield stub + b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 16, 0x2022) + bytes(16 + 40)
    load = struct.pack("<II16sQQQQIIII", 0x19, 72, b"__TEXT", 0, 4096, 0, 104, 7, 5, 0, 0)
    thin = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x0100_0007, 3, 6, 1, len(load), 0, 0) + load
    yield thin
    yield struct.pack(">IIIIIII", 0xCAFEBABE, 1, 0x0100_0007, 3, 64, len(thin), 12).ljust(64, b"\0") + thin


TARGETS = {
    "look": Target(_look, _native_files, limit=1.0),
}


def main() -> int:
    """Run each target in a process of its own, so that its memory can be bounded; 1 where one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seconds", type=int, nargs="?", default=60, help="for each target")
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)}; all without one")
    parser.add_argument("--findings", type=Path, default=Path("dist/fuzz"), help="where inputs are kept")
    parser.add_argument("--again", type=Path, metavar="FILE", help="run this input alone, without the fuzzer")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.target) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if options.inside:
        _fuzz(options.target[0], options.seconds, options.findings)
    names = options.target or list(TARGETS)
    if options.again:
        content = options.again.read_bytes()
        for name in names:
            print(f"{name}: {_timed(TARGETS[name])(content)}")
        return 0
    failed = [name for name in names if not _run(name, options.seconds, options.findings)]
    for name in failed:
        print(f"{name}: failed; the input is in {options.findings / name}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, seconds: int, findings: Path) -> bool:
    folder = findings / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(TARGETS[name].seeds()):
        (folder / "corpus" / f"seed-{number}").write_bytes(content)
    command = [sys.executable, __file__, str(seconds), name, "--findings", str(findings), "--inside"]
    # The fuzzer ends by itself; the rest is for the case that one input hangs.
    return subprocess.run(command, check=False, timeout=seconds + 120).returncode == 0


def _timed(target: Target) -> Callable[[bytes], object]:
    """The target's call, which fails where it takes longer than the limit (CPU seconds: other work may be going on)."""
    call = target.prepare()

    def timed(content: bytes) -> object:
        started = time.process_time()
        result = call(content)
        took = time.process_time() - started
        if took > target.limit:
            raise SlowError(f"{len(content)} bytes took {took:.1f} s; {target.limit} s are the limit")
        return result

    return timed


def _fuzz(name: str, seconds: int, findings: Path) -> None:
    """Become the fuzzer of one target; does not return."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with atheris.instrument_imports(include=["lamina"]):
        call = _timed(TARGETS[name])
    folder = findings / name
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    options: Sequence[str] = (
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={int(TARGETS[name].limit) * 5}",
        f"-rss_limit_mb={IN_USE}",
        f"-artifact_prefix={folder}{os.sep}",
        "-print_final_stats=1",
    )

    def one(content: bytes) -> None:
        call(content)

    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
