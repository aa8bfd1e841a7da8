"""ELF: from bytes to :class:`~lamina.binary.model.Elf`, as the loader reads them."""

from __future__ import annotations

from lamina.binary import dynamic as dynamics
from lamina.binary.dynamic import DF_1_PIE, DT_FLAGS_1, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRTAB, Names
from lamina.binary.literals import read_literals
from lamina.binary.machines import elf_name
from lamina.binary.model import ET_DYN, ET_EXEC, Binary, Elf
from lamina.binary.segments import PT_INTERP, Image, Segment, misalignment, read_header, read_segments
from lamina.binary.symbols import read_symbols
from lamina.binary.versions import read_defines, read_needs

MAGIC = b"\x7fELF"


def read(view: memoryview) -> Binary:
    """The facts of a file that begins as ELF does. Never fails: what is wrong with the bytes is its ``damage``."""
    faults: list[str] = []
    header = read_header(view, faults)
    if header is None:
        return Binary("elf", "unknown", library=False, damage=faults[0])
    segments: tuple[Segment, ...] = ()
    if header.type in (ET_EXEC, ET_DYN):
        segments = read_segments(view, header, faults)
    image = Image(view, header, segments)
    elf, pie = _loaded(image, faults)
    # libc.so.6 can be run and has an interpreter, but also a name that others need it by.
    library = header.type == ET_DYN and not pie and (not elf.interpreter or bool(elf.soname))
    machine = elf_name(header.machine, header.bits, little=header.little)
    return Binary("elf", machine, library, faults[0] if faults else "", elf)


def _loaded(image: Image, faults: list[str]) -> tuple[Elf, bool]:
    """What the segments and the dynamic section say, and whether that is a position-independent program."""
    header = image.header
    interpreter = _interpreter(image, faults)
    unaligned = misalignment(image.segments)
    dynamic = dynamics.read_dynamic(image, faults)
    if dynamic is None:
        literals = read_literals(image, (0, 0), ())
        return Elf(
            header.machine,
            header.bits,
            header.little,
            header.type,
            interpreter=interpreter,
            opens=literals,
            unaligned=unaligned,
        ), False
    names = dynamics.read_names(image, dynamic, faults)
    tags = dynamic.tags
    soname = names[tags[DT_SONAME]] if DT_SONAME in tags else ""
    needed = tuple(name for offset in dynamic.needed if (name := names[offset]))
    asked = read_needs(image, dynamic, names, faults)
    symbols = read_symbols(image, dynamic, names, asked, faults)
    begin, _ = image.offset(tags.get(DT_STRTAB, 0)) or (0, 0)
    elf = Elf(
        header.machine,
        header.bits,
        header.little,
        header.type,
        interpreter=interpreter,
        soname=soname,
        needed=needed,
        rpath=_folders(names, tags.get(DT_RPATH)),
        runpath=_folders(names, tags.get(DT_RUNPATH)),
        needs=symbols.needs,
        defines=read_defines(image, dynamic, names, faults),
        python=symbols.python,
        offers=symbols.offers,
        opens=read_literals(image, (begin, begin + len(names.table)), {*needed, soname}),
        unaligned=unaligned,
    )
    return elf, bool(tags.get(DT_FLAGS_1, 0) & DF_1_PIE)


def _folders(names: Names, offset: int | None) -> tuple[str, ...]:
    """A search path as its folders; an empty one is the working directory to the loader, and stays."""
    text = "" if offset is None else names[offset]
    return tuple(text.split(":")) if text else ()


def _interpreter(image: Image, faults: list[str]) -> str:
    segment = next((segment for segment in image.segments if segment.type == PT_INTERP), None)
    if segment is None:
        return ""
    content = bytes(image.view[segment.offset : segment.offset + min(segment.stored, 4096)])
    text, end, _ = content.partition(b"\0")
    if not end:
        faults.append(f"the path of its interpreter, segment {segment.number}, does not end inside the file")
        return ""
    return text.decode("utf-8", "backslashreplace")
