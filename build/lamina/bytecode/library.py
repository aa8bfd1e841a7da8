"""Compiled parts in the store: found, made where they are missing, made again where they are damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import IO, NamedTuple

import msgspec

from lamina.audit.facts import facts
from lamina.bytecode.compilers import Compiler
from lamina.bytecode.compiling import Unit, compile_all
from lamina.bytecode.model import Compiled, bytecode_path, compiled_key
from lamina.part.compress import libdeflate
from lamina.part.entry import read_entry
from lamina.part.library import data_path, load_derived
from lamina.part.model import PLAIN, Entry, Index
from lamina.part.writer import Writer
from lamina.progress import Progress
from lamina.prune.rules import propose
from lamina.store import Store

_ROOT = "python/"
#: A larger source is generated data; reading its bytecode would take longer than it saves.
_MOST_SOURCE_BYTES = 16 * 1024**2

#: More sources than a layer can hold, in bytes, are no package: a wheel of one MB can unpack to GBs of them, all of
#: whose bytecode would be in memory at once. The most of a wheel seen are 74 MB, of kubernetes 37; torch 2.13 has 47.
_MOST_PART_BYTES = 256 * 1024**2

#: Bytes of a name and of a path that every Linux unpacks (:mod:`lamina.archive`). Bytecode has a longer name than its
#: source, which works without.
_LONGEST_NAME, _LONGEST_PATH = 255, 1024

#: What pruning's rules say of sources; a change of these is one of :data:`lamina.bytecode.FORMAT`.
_PROPOSING = ("tests", "docs", "examples", "benchmarks")


class Wanted(NamedTuple):
    """What is to be compiled of a part, whose name in the store is ``part``; ``some`` where it is not as usual."""

    part: str
    sources: tuple[Entry, ...]
    some: bool = False

    def key(self, python: tuple[int, int], *, in_place: bool) -> str:
        """The name of its bytecode in the store."""
        paths = [entry.path for entry in self.sources] if self.some else ()
        return compiled_key(self.part, python, in_place=in_place, some=paths)


def wanted(part: str, about: Index, shipping: Sequence[Entry]) -> Iterator[Wanted]:
    """What is compiled of a part: all that no rule of pruning would drop, for every layer; else only what ships.

    What rules would drop takes two thirds of the time to compile scikit-learn's wheels, and a few files of it ship.
    """
    sources = [entry for entry in about.entries if _is_source(entry.path, entry.size)]
    inside = [entry.path.removeprefix(_ROOT) for entry in sources]
    proposed = {_ROOT + path for path in propose(inside, _PROPOSING, about.name)}
    ships = {entry.path for entry in shipping}
    usual = tuple(entry for entry in sources if entry.path not in proposed)
    if _total(usual) <= _MOST_PART_BYTES and any(entry.path in ships for entry in usual):
        yield Wanted(part, usual)
    others = tuple(entry for entry in sources if entry.path in proposed & ships)
    if others and _total(others) <= _MOST_PART_BYTES:
        yield Wanted(part, others, some=True)


def _total(entries: Sequence[Entry]) -> int:
    return sum(entry.size for entry in entries)


def _is_source(path: str, size: int) -> bool:
    """Whether a file is compiled; the names of its bytecode are as long for all versions that have two digits."""
    if not (path.startswith(_ROOT) and path.endswith(".py") and size <= _MOST_SOURCE_BYTES):
        return False
    made = bytecode_path(path, (3, 10), in_place=False).encode()
    return len(made.rpartition(b"/")[2]) <= _LONGEST_NAME and len(made) <= _LONGEST_PATH


def ensure(
    store: Store,
    wanted: Sequence[Wanted],
    python: tuple[int, int],
    find: Callable[[], Compiler],
    progress: Progress,
) -> list[Compiled]:
    """The bytecode of each, compiled where it is missing; ``find`` is asked for a compiler only then.

    Raises:
        MissingToolError: something has to be compiled and there is no interpreter for it.
        IntegrityError: a part is not what its index says.
    """
    keys = [one.key(python, in_place=False) for one in wanted]
    known = {key: found for key in keys if (found := load_derived(store, key, Compiled)) is not None}
    missing = {key: one for key, one in zip(keys, wanted, strict=True) if key not in known}
    if missing:
        compiler = find()
        progress.stage(f"compiling {sum(len(one.sources) for one in missing.values()):,} modules")
        with contextlib.closing(compiler):
            known |= _compile(store, missing, python, compiler, progress)
    return [known[key] for key in keys]


def ensure_in_place(
    store: Store, wanted: Sequence[Wanted], python: tuple[int, int], cached: Sequence[Compiled]
) -> list[Compiled]:
    """The same bytecode under the paths in place of the sources; ``cached`` is that of each."""
    found = []
    for one, beside in zip(wanted, cached, strict=True):
        key = one.key(python, in_place=True)
        made = load_derived(store, key, Compiled)
        if made is None:
            source = data_path(store, one.key(python, in_place=False)).read_bytes()
            paths = {
                bytecode_path(entry.path, python, in_place=False): bytecode_path(entry.path, python, in_place=True)
                for entry in one.sources
            }
            with store.exclusive(key):
                with store.create(data_path(store, key)) as unfinished, unfinished.open("wb") as out:
                    made = _moved(key, beside, paths, source, out)
                store.save(store.path("parts", key, ".index"), msgspec.msgpack.encode(made))
        found.append(made)
    return found


def _moved(key: str, beside: Compiled, paths: Mapping[str, str], source: bytes, out: IO[bytes]) -> Compiled:
    """The entries under other paths, in the order of those; their compressed bytes are copied."""
    data = Writer(out)
    entries = []
    for entry in sorted(beside.entries, key=lambda entry: paths[entry.path].encode()):
        end = entry.offset + entry.length
        entries.append(data.add_as(entry, paths[entry.path], entry.method, source[end - entry.compressed : end]))
    about = {"data_sha256": data.digest.hexdigest(), "data_bytes": data.end, "entries": tuple(entries)}
    return msgspec.structs.replace(beside, key=key, **about)


def _compile(
    store: Store,
    missing: dict[str, Wanted],
    python: tuple[int, int],
    compiler: Compiler,
    progress: Progress,
) -> dict[str, Compiled]:
    """Compile all of these together, so that no core waits for the largest file of one; then put each away."""
    magic = facts().pyc_magic["{}.{}".format(*python)].to_bytes(2, "little") + b"\r\n"
    units, counts = [], []
    for one in missing.values():
        counts.append(len(one.sources))
        path = data_path(store, one.part)
        units += [Unit(one.part, entry.path, entry.size, partial(read_entry, path, entry)) for entry in one.sources]
    with store.workplace() as folder, progress.task("compiling", sum(unit.size for unit in units)) as task:
        results = compile_all(units, compiler, magic, folder, task)
    made = {}
    at = 0
    for key, count in zip(missing, counts, strict=True):
        paths = [unit.path for unit in units[at : at + count]]
        done = dict(zip(paths, results[at : at + count], strict=True))
        at += count
        with store.exclusive(key):
            with store.create(data_path(store, key)) as beside, beside.open("wb") as out:
                made[key] = _write(key, done, python, compiler.version, out)
            store.save(store.path("parts", key, ".index"), msgspec.msgpack.encode(made[key]))
    return made


def _write(
    key: str, done: dict[str, bytes], python: tuple[int, int], version: tuple[int, ...], out: IO[bytes]
) -> Compiled:
    """The data of a compiled part, entries in the order of their paths, and its index."""
    data = Writer(out)
    paths = {bytecode_path(source, python, in_place=False): content for source, content in done.items() if content}
    ordered = sorted(paths.items(), key=lambda pair: pair[0].encode())
    entries = tuple(data.add_content(path, content, libdeflate, kind=PLAIN) for path, content in ordered)
    return Compiled(
        compiler=".".join(map(str, version)),
        data_sha256=data.digest.hexdigest(),
        data_bytes=data.end,
        entries=entries,
        failed=tuple(source for source, content in done.items() if not content),
        key=key,
    )
