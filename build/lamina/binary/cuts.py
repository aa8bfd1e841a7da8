"""What of an ELF file may be cut: bytes that no segment maps, and of which section headers say what they are.

A loader needs nothing of what stands outside the segments, but programs may: files that are made to read themselves
have an archive behind their last section (AppImage, Nuitka, zipapps with a launcher), or in a section that no segment
maps (PyInstaller). So a byte is cut only where it belongs to a section whose kind is known, to the section header
table, to one that patchelf has left behind, or is padding of zeros.

Source: System V ABI, chapter 4, "Sections" (https://www.sco.com/developers/gabi/latest/ch4.sheader.html).
"""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

from lamina.binary.segments import Header

_NOBITS: Final = 8
#: PROGBITS and NOTE: what they hold, their names tell.
_PLAIN: Final = frozenset({1, 7})
_ALLOC: Final = 2  # SHF_ALLOC

#: Types of sections are below the first, which is a round number above all that are assigned, or from the second on
#: (SHT_LOOS), where they belong to an operating system or a processor.
_RESERVED, _SPECIFIC = 32, 0x6000_0000

#: Kinds that linkers and debuggers read, never programs: null, symtab, strtab, rela, rel, group, symtab_shndx, relr;
#: and the attributes of ARM, RISC-V (0x70000003) and GNU (0x6ffffff5).
_KINDS: Final = frozenset({0, 2, 3, 4, 9, 17, 18, 19, 0x7000_0003, 0x6FFF_FFF5})

#: Names of the other sections that compilers, linkers and ``objcopy`` leave: debug information, remarks, notes on the
#: build, the link to a file of debug information, intermediate code for the linker.
_NAMES: Final = re.compile(
    rb"\.(?:z?debug(?:_[\w.]+)?|line|stab(?:str)?(?:\.\w+)?|gdb_index|comment|GCC\.command\.line|gnu_debug(?:link|altlink|data)"
    rb"|note\.gnu\.gold-version|note\.GNU-stack|gnu\.build\.attributes[\w.]*|gnu\.lto_[\w.]*|gnu_object_only"
    rb"|SUNW_ctf|ctf|llvm_addrsig|deplibs|annobin\.notes|pdr|mdebug\.\w+|reginfo)"
)

#: Linked files have some dozens of sections; of what has more, nothing is said, so that time stays bounded.
_MOST: Final = 4096


class Span(NamedTuple):
    """Bytes of a file, from ``begin`` up to but not including ``end``."""

    begin: int
    end: int


def named_spans(view: memoryview, header: Header, kept: list[Span]) -> list[Span] | None:
    """Where sections stand that are for linkers and debuggers alone, with the table of the sections, in order.

    ``kept`` are the spans that stay, in order. ``None`` where that cannot be told: there are no section headers, they
    are damaged, or a section outside ``kept`` is of a kind that is not known.
    """
    wide = header.bits == 64  # noqa: PLR2004 - the two classes
    form = _form(header)
    table, size, count, names = _stated(view, wide=wide, order=header.order)
    end = table + count * size
    if not table or size != form.size or not 0 < count < _MOST or names >= count or end > len(view):
        return None
    rows = [*form.iter_unpack(view[table:end])]
    _, _, _, _, strings, length, _ = rows[names]
    if strings + length > len(view):
        return None
    spans = [Span(table, end)]
    for name, kind, flags, _, offset, stored, _ in rows:
        if kind == _NOBITS or not stored or any(span.begin <= offset and offset + stored <= span.end for span in kept):
            continue
        if offset + stored > len(view) or flags & _ALLOC:
            return None
        text = bytes(view[strings + name : min(strings + name + 64, strings + length)]).partition(b"\0")[0]
        if kind not in _KINDS and not ((kind in _PLAIN or kind >= _SPECIFIC) and _NAMES.fullmatch(text)):
            return None
        spans.append(Span(offset, offset + stored))
    return sorted(spans)


def is_accounted(view: memoryview, header: Header, cut: Span, named: list[Span]) -> bool:
    """Whether all of ``cut`` is in ``named`` spans, which are in order, or zero, or a table that patchelf left."""
    begin = cut.begin
    for span in (*named, Span(cut.end, cut.end)):
        end = min(span.begin, cut.end)
        if begin < end and bytes(view[begin:end]).strip(b"\0") and not _is_old_table(view, header, begin, end):
            return False
        begin = max(begin, span.end)
    return True


def _is_old_table(view: memoryview, header: Header, begin: int, end: int) -> bool:
    """Whether these bytes are section headers and zeros: where patchelf appends, it leaves the table of before."""
    form = _form(header)
    at = begin + -begin % (header.bits // 8)
    if at + form.size > end or any(view[begin : at + form.size]):
        return False  # the first section header is empty
    at += form.size
    for _, kind, _, _, offset, size, align in form.iter_unpack(view[at : end - (end - at) % form.size]):
        known = 0 < kind < _RESERVED or kind >= _SPECIFIC
        inside = offset <= len(view) and (size <= len(view) or kind == _NOBITS)
        if not known or not inside or align & (align - 1):
            break
        at += form.size
    return not bytes(view[at:end]).strip(b"\0")


def _form(header: Header) -> struct.Struct:
    """A section header: name, type, flags, address, offset, size, alignment."""
    wide = header.bits == 64  # noqa: PLR2004 - the two classes
    return struct.Struct(header.order + ("IIQQQQ8xQ8x" if wide else "IIIIII8xI4x"))


def _stated(view: memoryview, *, wide: bool, order: str) -> tuple[int, int, int, int]:
    """Offset, entry size and number of section headers, and which of them names the others."""
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), view, 40 if wide else 32)
    size, count, names = struct.unpack_from(order + "HHH", view, 58 if wide else 46)
    return table, size, count, names
