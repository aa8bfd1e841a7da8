"""Compiles the sources in one file to bytecode in another; run by a CPython of the target's minor version.

``python -s -S -B compile_each.py SOURCES COMPILED``, with ``PYTHONHASHSEED=0`` and nothing else in the environment that
speaks to Python. SOURCES is a sequence of path (as it will stand on Lambda) and source, each after its length in four
bytes, little-endian; COMPILED gets for each, in that order, a whole ``.pyc`` after its length, which is zero for a
source that does not compile. A source that ends the process leaves what came before it, and one that takes more
processor time or memory than honest ones do either does that or does not compile.

The bytes depend on the source, its path and the version of CPython only. By itself ``marshal`` marks an object as one
that may be referred to again where its reference count is above one, and that depends on what else the process holds,
as short strings are shared through all of it. Here every object that can be shared is held once more while it is
written, so all are marked. Sets are written in the order of their hashes before CPython 3.11, hence the hash seed.
"""

from __future__ import annotations

import gc
import importlib.util
import marshal
import signal
import struct
import sys
import types
import warnings

#: A length in bytes.
LENGTH = struct.Struct("<I")
#: PEP 552: bytecode named by the hash of its source, which is not checked when it is loaded.
_UNCHECKED = b"\x01\x00\x00\x00"

#: Bytes of address space. A thousand bytes of source can ask for all that a machine has: ``finally`` within ``finally``
#: is compiled twice at each level. Tables of several MiB, the largest that packages have, take some hundred MiB.
MEMORY = 2 << 30
#: Seconds of processor time for any source, and for each of its bytes; a compiler does a MiB in one or two.
_SECONDS, _SECONDS_A_BYTE = 10.0, 2.0 / 1024**2
#: Bytes of the largest ``.pyc``: to read more takes longer than it saves, and it was made to fill its reader's memory.
MOST_BYTES = 32 * 1024**2


def compiled(path: str, source: bytes) -> bytes:
    """The ``.pyc`` of a source, or nothing where it does not compile."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        held: list[object] = []
        _hold(code, held)
        content = marshal.dumps(code)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return b""
    if len(content) > MOST_BYTES:
        return b""
    return importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source) + content


def _hold(value: object, held: list[object]) -> None:
    """Put everything that ``marshal`` will meet in ``value``, and that others may hold as well, into ``held``."""
    held.append(value)
    if isinstance(value, types.CodeType):
        # Tuples of names are the compiler's own, shared by equality within one compilation alone.
        for names in (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars):
            held.extend(names)
        held += (value.co_name, value.co_filename, getattr(value, "co_qualname", None))
        for constant in value.co_consts:
            _hold(constant, held)
    elif isinstance(value, (tuple, frozenset)):
        for item in value:
            _hold(item, held)
    elif isinstance(value, slice):  # a constant since CPython 3.14
        for item in (value.start, value.stop, value.step):
            _hold(item, held)


def limit_memory() -> None:
    """Let this process have no more than that, where the system can tell (not on Windows, nor quite on macOS)."""
    try:
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most), most))
    except (ImportError, AttributeError, ValueError, OSError):
        pass


def _limit_time(seconds: float) -> None:
    """End this process after so much of its processor's time from now on; 0 takes that back. Not on Windows."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def main(sources: str, results: str) -> None:
    """Compile all of one file into the other."""
    warnings.simplefilter("ignore")
    gc.disable()  # looking for cycles, of which a compiler makes none, takes a fifteenth of the time
    with open(sources, "rb") as given, open(results, "wb") as out:  # noqa: PTH123 - pathlib takes time to import
        while head := given.read(LENGTH.size):
            path = given.read(LENGTH.unpack(head)[0]).decode()
            source = given.read(LENGTH.unpack(given.read(LENGTH.size))[0])
            _limit_time(_SECONDS + len(source) * _SECONDS_A_BYTE)
            content = compiled(path, source)
            _limit_time(0)
            out.write(LENGTH.pack(len(content)) + content)
            out.flush()


if __name__ == "__main__":
    limit_memory()
    main(sys.argv[1], sys.argv[2])
