"""Compiles the sources in one file to bytecode in another; run by a CPython of the target's minor version.

``python -s -S -B compile_each.py SOURCES COMPILED``, with ``PYTHONHASHSEED=0`` and nothing else in the environment that
speaks to Python. SOURCES is a sequence of path (as it will stand on Lambda) and source, each after its length in four
bytes, little-endian; COMPILED gets for each, in that order, a whole ``.pyc`` after its length, which is zero for a
source that does not compile. A source that ends the process leaves what came before it.

The bytes depend on the source, its path and the version of CPython only. By itself ``marshal`` marks an object as one
that may be referred to again where its reference count is above one, and that depends on what else the process holds,
as short strings are shared through all of it. Here every object that can be shared is held once more while it is
written, so all are marked. Sets are written in the order of their hashes before CPython 3.11, hence the hash seed.
"""

from __future__ import annotations

import gc
import importlib.util
import marshal
import struct
import sys
import types
import warnings

#: A length in bytes.
LENGTH = struct.Struct("<I")
#: PEP 552: bytecode named by the hash of its source, which is not checked when it is loaded.
_UNCHECKED = b"\x01\x00\x00\x00"


def compiled(path: str, source: bytes) -> bytes:
    """The ``.pyc`` of a source, or nothing where it does not compile."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        held: list[object] = []
        _hold(code, held)
        content = marshal.dumps(code)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
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


def main(sources: str, results: str) -> None:
    """Compile all of one file into the other."""
    warnings.simplefilter("ignore")
    gc.disable()  # looking for cycles, of which a compiler makes none, takes a fifteenth of the time
    with open(sources, "rb") as given, open(results, "wb") as out:  # noqa: PTH123 - pathlib takes time to import
        while head := given.read(LENGTH.size):
            path = given.read(LENGTH.unpack(head)[0]).decode()
            source = given.read(LENGTH.unpack(given.read(LENGTH.size))[0])
            content = compiled(path, source)
            out.write(LENGTH.pack(len(content)) + content)
            out.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
