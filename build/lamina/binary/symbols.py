"""The dynamic symbols of an ELF file: which of them versions are bound to, and which are CPython's by their names.

Symbol tables are most of what there is to read: large libraries have tens of thousands of names. So names are looked at
where version index or the first letters ask for it, and never all decoded.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Final, NamedTuple

from lamina.binary.dynamic import DT_GNU_HASH, DT_HASH, DT_SYMTAB, DT_VERSYM, TABLES, Dynamic, Names
from lamina.binary.model import Need
from lamina.binary.segments import Image
from lamina.binary.versions import Asked

_WEAK: Final = 2  # STB_WEAK
_UNDEFINED: Final = 0  # SHN_UNDEF
_UNVERSIONED: Final = frozenset({0, 1})  # VER_NDX_LOCAL, VER_NDX_GLOBAL

#: C identifiers of CPython's name space; mangled names of C++ begin otherwise.
_PYTHON: Final = re.compile(rb"(_?Py[A-Z_][A-Za-z0-9_]{0,250})\0")
_INIT: Final = re.compile("_?PyInit(U)?_")  # PEP 489: what an extension module offers to the import system

#: Bytes that are enough to order names, and to state the first.
_LONG_ENOUGH: Final = 1024

#: ``e_machine`` of those whose DT_HASH has words of 8 bytes: s390x and Alpha.
_WIDE_HASH: Final = frozenset({22, 0x9026})


class Symbols(NamedTuple):
    """What the symbols say: version needs with a symbol each, and names of CPython's asked for and offered."""

    needs: tuple[Need, ...] = ()
    python: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()


def read_symbols(image: Image, dynamic: Dynamic, names: Names, asked: Sequence[Asked], faults: list[str]) -> Symbols:
    """Go through the symbols once."""
    content = _symbol_table(image, dynamic, faults)
    wide = image.header.bits == 64  # noqa: PLR2004 - the two classes
    # st_name, st_info, st_shndx; the classes order their fields differently.
    form = struct.Struct(image.header.order + ("IBxH16x" if wide else "I8xBxH"))
    versions = _versions(image, dynamic, len(content) // form.size, faults)
    bound: dict[int, list[int]] = defaultdict(list)
    wanted = {need.number for need in asked} - _UNVERSIONED
    undefined, defined = set(), set()
    is_python, table = _PYTHON.match, names.table
    for (name, info, section), version in zip(form.iter_unpack(content), versions, strict=False):
        if version in wanted:
            bound[version].append(name)
        if is_python(table, name):
            if section != _UNDEFINED:
                defined.add(name)
            elif info >> 4 != _WEAK:
                undefined.add(name)
    # Once a version, not once a need: forged needs can share one.
    first = {number: _first(table, offsets) for number, offsets in bound.items()}
    return Symbols(
        tuple(Need(need.library, need.version, first.get(need.number, ""), need.weak) for need in asked),
        tuple(sorted({names[name] for name in undefined})),
        tuple(sorted({text for name in defined if not _INIT.match(text := names[name])})),
    )


def _first(table: bytes, offsets: Iterable[int]) -> str:
    # NUL sorts before all else, so that what follows a name does not disturb the order.
    found = min(table[offset : offset + _LONG_ENOUGH] for offset in offsets)
    return found.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _versions(image: Image, dynamic: Dynamic, count: int, faults: list[str]) -> Iterable[int]:
    """The version index of each symbol, the bit that hides it taken off; 0 where the table does not tell it."""
    address = dynamic.tags.get(DT_VERSYM)
    if address is None:
        return repeat(0)
    content = image.at(address)
    if content is None:
        faults.append(f"its table of symbol versions, at address {address:#x}, is in none of its segments")
        return repeat(0)
    form = struct.Struct(image.header.order + "H")
    if len(content) < 2 * count:
        faults.append(f"its table of symbol versions ends after {len(content) // 2} of {count} symbols")
        count = len(content) // 2
    return chain((index & 0x7FFF for (index,) in form.iter_unpack(content[: 2 * count])), repeat(0))


def _symbol_table(image: Image, dynamic: Dynamic, faults: list[str]) -> memoryview:
    """The bytes of the symbol table, whole entries."""
    address = dynamic.tags.get(DT_SYMTAB)
    if address is None:
        return memoryview(b"")
    content = image.at(address)
    if content is None:
        faults.append(f"its symbol table, at address {address:#x}, is in none of its segments")
        return memoryview(b"")
    size = 24 if image.header.bits == 64 else 16  # noqa: PLR2004 - the two classes
    count = _hashed(image, dynamic, faults)
    if count is None:
        # Nothing tells the number: then up to whichever table comes next, mostly the strings.
        after = min((value for tag in TABLES if (value := dynamic.tags.get(tag, 0)) > address), default=address)
        count = min((after - address) // size, len(content) // size)
    if count * size > len(content):
        faults.append(f"its symbol table is said to have {count} entries, which end outside its segment")
        count = len(content) // size
    return content[: count * size]


def _hashed(image: Image, dynamic: Dynamic, faults: list[str]) -> int | None:
    """The number of symbols as a hash table tells it; ``None`` where none does."""
    for tag, read in ((DT_HASH, _sysv_count), (DT_GNU_HASH, _gnu_count)):
        address = dynamic.tags.get(tag)
        if address is None:
            continue
        content = image.at(address)
        try:
            if content is not None:
                return read(image, content)
        except struct.error:
            pass
        faults.append(f"its table of symbol hashes, at address {address:#x}, reaches beyond its segments")
    return None


def _sysv_count(image: Image, content: memoryview) -> int:
    """``nchain`` of DT_HASH: as many as there are symbols."""
    wide = image.header.machine in _WIDE_HASH and image.header.bits == 64  # noqa: PLR2004
    count: int = struct.unpack_from(image.header.order + ("QQ" if wide else "II"), content)[1]
    return count


def _gnu_count(image: Image, content: memoryview) -> int | None:
    """One past the last symbol of the last chain of DT_GNU_HASH, whose lowest bit marks its end.

    Symbols that are not defined are not in the chains; they come first, ``offset`` of them. GNU ld states an offset of
    1 where nothing is defined, however many there are: then it tells nothing.
    """
    order = image.header.order
    buckets, offset, bloom, _ = struct.unpack_from(order + "IIII", content)
    start = 16 + bloom * image.header.bits // 8
    chains = start + 4 * buckets
    if chains > len(content):
        raise struct.error
    word = struct.Struct(order + "I")
    last = max((bucket for (bucket,) in word.iter_unpack(content[start:chains])), default=0)
    if last < offset or last == 0:
        return offset if offset > 1 else None
    rest = content[chains + 4 * (last - offset) :]
    for number, (value,) in enumerate(word.iter_unpack(rest[: len(rest) // 4 * 4])):
        if value & 1:
            return int(last + number + 1)
    raise struct.error
