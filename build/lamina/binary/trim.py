"""ELF → the same file without what no segment maps: symbol tables, debug information, section headers.

What stands behind the last segment is cut; what stands between segments is cut in whole pages, and the segments behind
it move down by that. So offset and address of each segment stay congruent, which ``strip`` gets wrong where patchelf
has appended segments. No byte of a segment is changed, and no address: only file offsets in the program headers.

The file stays as it is where anything speaks against it; see :func:`trimmed`.

Source: System V ABI, chapters 4 and 5 (https://www.sco.com/developers/gabi/latest/contents.html).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from lamina.binary import elf
from lamina.binary.cuts import Span, is_accounted, named_spans
from lamina.binary.dynamic import read_dynamic, read_names
from lamina.binary.machines import elf_name
from lamina.binary.model import ET_DYN, ET_EXEC
from lamina.binary.segments import (
    PAGE,
    PT_DYNAMIC,
    PT_LOAD,
    Header,
    Image,
    Segment,
    misalignment,
    read_header,
    read_segments,
)

#: A saving below this, in bytes, is no reason to touch a file.
LEAST_SAVED: Final = PAGE

#: Machines whose pages all have 4 KiB; on the others, kernels exist with pages of up to 64 KiB. Source: MAXPAGESIZE
#: and COMMONPAGESIZE of the machine's BFD back end in GNU binutils.
_SMALL_PAGES: Final = frozenset({"i386", "x86_64", "s390", "s390x", "riscv", "riscv32", "riscv64"})
_LARGE_PAGE: Final = 65536

#: Their files are no programs of a host, and their loaders read section headers; unknown machines are left alone too.
_NO_HOSTS: Final = frozenset({"cuda", "amdgpu", "bpf"})

#: Linked files have about ten program headers; what has more is left alone, so that time stays bounded.
_MOST: Final = 1024

#: The header's own bytes, by its class.
_HEADER_BYTES: Final = {32: 52, 64: 64}

#: Content is compared in pieces of so many bytes.
_PIECE: Final = 1024**2


class _Region(NamedTuple):
    """Bytes that stay together: ``begin`` to ``end`` of the file, which may move by multiples of ``step`` bytes."""

    begin: int
    end: int
    step: int


def trimmed(content: bytes | memoryview | mmap.mmap) -> bytes | None:
    """The file without what no segment maps; ``None`` where it is to stay as it is.

    It stays where less than a page would be saved, and where it

    - is no program or shared library of a host's machine (object files, core dumps, code for GPUs);
    - is damaged, or cannot be loaded as it is, or has segments that claim to start where they do not;
    - has no section headers, or they do not account for all that would be cut: see :mod:`lamina.binary.cuts`.

    Never fails, whatever the bytes are. The result has been read again: it has the same segments at the same addresses,
    with the same sizes, flags and bytes, aligned as before, all inside the file, and so the same dynamic section.
    """
    with memoryview(content) as whole, whole.cast("B") as view:
        if bytes(view[:4]) != elf.MAGIC:
            return None
        before = _image(view)
        if before is None:
            return None
        regions = _regions(before)
        kept = [Span(region.begin, region.end) for region in regions]
        cuts = _gaps(kept, len(view))
        starts = _placed(regions)
        saved = len(view) - starts[-1] - (regions[-1].end - regions[-1].begin)
        if saved < LEAST_SAVED or kept[-1].end > len(view):
            return None
        named = named_spans(view, before.header, kept)
        if named is None or not all(is_accounted(view, before.header, cut, named) for cut in cuts):
            return None
        result = _written(before, regions, starts)
        with memoryview(result) as after:
            return result if _is_same(before, after, regions) else None


def _image(view: memoryview) -> Image | None:
    """The file as its loader sees it; ``None`` where it is none that may be trimmed."""
    faults: list[str] = []
    header = read_header(view, faults)
    if header is None or faults or header.type not in (ET_EXEC, ET_DYN) or not 0 < header.entries <= _MOST:
        return None
    machine = elf_name(header.machine, header.bits, little=header.little)
    if machine in _NO_HOSTS or machine.startswith("machine "):
        return None
    image = Image(view, header, read_segments(view, header, faults))
    return image if not faults and _is_sound(image) else None


def _is_sound(image: Image) -> bool:
    """Whether all segments are inside the file and where their alignment wants them, and the file can be loaded."""
    segments, size = image.segments, len(image.view)
    loaded = [segment for segment in segments if segment.type == PT_LOAD]
    dynamic = any(segment.type == PT_DYNAMIC and segment.stored for segment in segments)
    return (
        any(segment.stored for segment in loaded)
        and not misalignment(segments)
        and all(segment.align and segment.offset + segment.stored <= size for segment in loaded)
        and all(segment.offset + segment.stored <= size for segment in segments if segment.stored)
        and not any(segment.align & (segment.align - 1) for segment in segments if segment.align)
        and (dynamic or image.header.type == ET_EXEC)  # a library without is one of debug information alone
    )


def _regions(image: Image) -> list[_Region]:
    """What stays, in order: ELF header, program headers, and the bytes of all segments; what touches is one region."""
    header = image.header
    page = PAGE if elf_name(header.machine, header.bits, little=header.little) in _SMALL_PAGES else _LARGE_PAGE
    spans = [(*span, page) for span in _headers(header)]
    for segment in image.segments:
        if segment.stored:
            spans.append((segment.offset, segment.offset + segment.stored, max(page, segment.align)))
        elif segment.type == PT_LOAD:
            # A loader maps the page that such a segment begins in, if it begins within one, to fill the rest with zero.
            spans.append((segment.offset - segment.offset % page, segment.offset, max(page, segment.align)))
    regions: list[_Region] = []
    for begin, end, step in sorted(spans):
        if regions and begin <= regions[-1].end:
            last = regions[-1]
            regions[-1] = _Region(last.begin, max(last.end, end), max(last.step, step))
        else:
            regions.append(_Region(begin, end, step))
    return regions


def _headers(header: Header) -> tuple[Span, Span]:
    """Where the ELF header and the program headers stand."""
    return Span(0, _HEADER_BYTES[header.bits]), Span(header.table, header.table + header.entries * header.entry_size)


def _gaps(kept: Sequence[Span], size: int) -> list[Span]:
    """What is in no region, and so may go: between the regions, and behind the last."""
    ends = [span.end for span in kept]
    begins = [*(span.begin for span in kept[1:]), size]
    return [Span(end, begin) for end, begin in zip(ends, begins, strict=True) if begin > end]


def _placed(regions: Sequence[_Region]) -> list[int]:
    """Where each region begins in the result: as far down as its step allows."""
    starts: list[int] = []
    free = 0
    for region in regions:
        start = region.begin - (region.begin - free) // region.step * region.step
        starts.append(start)
        free = start + region.end - region.begin
    return starts


def _written(image: Image, regions: Sequence[_Region], starts: Sequence[int]) -> bytes:
    """The regions at their new places, zeros between them, and headers that say so."""
    view, header = image.view, image.header
    pieces: list[bytes | memoryview] = []
    end = 0
    for region, start in zip(regions, starts, strict=True):
        pieces += [bytes(start - end), view[region.begin : region.end]]
        end = start + region.end - region.begin
    result = bytearray().join(pieces)
    wide = header.bits == 64  # noqa: PLR2004 - the two classes
    word = header.order + ("Q" if wide else "I")
    table = _moved(header.table, regions, starts)
    struct.pack_into(word + word[1:], result, 32 if wide else 28, table, 0)  # e_phoff, e_shoff
    struct.pack_into(header.order + "HH", result, 60 if wide else 48, 0, 0)  # e_shnum, e_shstrndx
    for segment in image.segments:
        place = table + segment.number * header.entry_size + (8 if wide else 4)
        if segment.stored or segment.type == PT_LOAD:
            struct.pack_into(word, result, place, _moved(segment.offset, regions, starts))
        else:
            inside = any(region.begin <= segment.offset <= region.end for region in regions)
            struct.pack_into(word, result, place, _moved(segment.offset, regions, starts) if inside else 0)
    return bytes(result)


def _moved(offset: int, regions: Sequence[_Region], starts: Sequence[int]) -> int:
    """Where what stood at ``offset``, in a region or at its end, stands in the result."""
    region, start = next(
        (region, start) for region, start in zip(regions, starts, strict=True) if region.begin <= offset <= region.end
    )
    return start + offset - region.begin


def _is_same(before: Image, after: memoryview, regions: Sequence[_Region]) -> bool:
    """Whether a loader sees in ``after`` what it saw before."""
    faults: list[str] = []
    header = read_header(after, faults)
    if header is None or header._replace(table=0) != before.header._replace(table=0):
        return False
    image = Image(after, header, read_segments(after, header, faults))
    if faults or misalignment(image.segments) or not _same_rows(before, image) or not _same_bytes(before, image):
        return False
    pairs = zip(before.segments, image.segments, strict=True)
    if any((old.offset - new.offset) % _step(old, regions) for old, new in pairs):
        return False
    dynamic, was = read_dynamic(image, faults), read_dynamic(before, faults)
    if dynamic is None or was is None:
        return dynamic is was and not faults
    return dynamic == was and read_names(image, dynamic, faults).table == read_names(before, was, faults).table


def _step(segment: Segment, regions: Sequence[_Region]) -> int:
    """The step of the region that a loaded segment is in; 1 for all else, which is found by address or whole."""
    if segment.type != PT_LOAD:
        return 1
    return next(region.step for region in regions if region.begin <= segment.offset <= region.end)


def _same_rows(before: Image, after: Image) -> bool:
    """Whether the program headers differ in nothing but their offsets."""
    place, size = (8, 8) if before.header.bits == 64 else (4, 4)  # noqa: PLR2004 - the two classes

    def rows(image: Image) -> list[bytes]:
        _, table = _headers(image.header)
        each = range(table.begin, table.end, image.header.entry_size)
        found = [bytes(image.view[row : row + image.header.entry_size]) for row in each]
        return [row[:place] + row[place + size :] for row in found]

    return rows(before) == rows(after)


def _same_bytes(before: Image, after: Image) -> bool:
    """Whether what the segments hold is inside the file, and the same but for the two headers."""
    spans: dict[int, list[Span]] = {}
    for old, new in zip(before.segments, after.segments, strict=True):
        if new.stored and new.offset + new.stored > len(after.view):
            return False
        if new.type == PT_LOAD and new.offset > len(after.view):
            return False
        if new.stored:
            spans.setdefault(old.offset - new.offset, []).append(Span(old.offset, old.offset + old.stored))
    for shift, moved in spans.items():
        begin = 0
        for span in sorted(moved):
            begin = max(begin, span.begin)
            if not _equal(before, begin, span.end, after.view, shift):
                return False
            begin = max(begin, span.end)
    return True


def _equal(before: Image, begin: int, end: int, after: memoryview, shift: int) -> bool:
    """Whether the bytes from ``begin`` to ``end`` stand ``shift`` bytes further down in ``after``."""
    for head in _headers(before.header):
        if begin < head.end and head.begin < end:
            return _equal(before, begin, head.begin, after, shift) and _equal(before, head.end, end, after, shift)
    return all(
        bytes(before.view[at : min(at + _PIECE, end)]) == bytes(after[at - shift : min(at + _PIECE, end) - shift])
        for at in range(begin, end, _PIECE)
    )
