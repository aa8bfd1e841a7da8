"""wheel → part: every file placed, verified, ready to be copied into a layer, with the facts about it."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import IO, NamedTuple

from lamina import wheel as wheels
from lamina.archive import REPORT, check_name, naming
from lamina.binary.gather import gathered
from lamina.binary.look import is_native, look
from lamina.binary.model import Binary
from lamina.errors import IntegrityError
from lamina.part import model
from lamina.part.compress import libdeflate
from lamina.part.paths import path_lines
from lamina.part.points import read_lines, to_point
from lamina.part.scan import scan
from lamina.part.schemes import Place, placed
from lamina.part.source import Source
from lamina.part.variant import may_change, variant_of
from lamina.part.writer import Compress, Writer
from lamina.zipformat import DEFLATED, STORED

__all__ = ["Compress", "libdeflate", "make"]

#: Names of licence files at the root of a ``.dist-info`` folder, from before PEP 639 gave them a folder of their own.
_LICENCE = re.compile(r"(?i)(licen[cs]e|copying|notice|authors|copyright)[^/]*")
#: Metadata that stays whatever a wheel calls a licence.
_KEPT = frozenset({"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt"})
#: The reader of a larger source file gains nothing: it is generated data. Scripts are read whole up to this size.
_MOST_SOURCE_BYTES = 16 * 1024**2
#: Above this size a stored entry stays stored: libdeflate works on whole buffers.
_MOST_DEFLATED_AT_ONCE = 256 * 1024**2


#: As many first bytes tell what a file is.
_START = 64


def make(wheel: wheels.Wheel, wheel_sha256: str, out: IO[bytes], compress: Compress) -> tuple[model.Index, model.Facts]:
    """Write the part's data to ``out`` and return its index and facts.

    Every byte of the wheel is read once: inflated, held against CRC, size and RECORD, hashed, and looked at. The
    compressed bytes themselves are copied as they are; only what the wheel stored without compression is compressed,
    and the trimmed variants of native files, which stand beside them.

    Raises:
        IntegrityError: content that is not what the directory or RECORD says.
        UnsafeWheelError: a file in a place that no installation scheme has.
    """
    record = wheel.record()
    data = Writer(out)
    entries: list[model.Entry] = []
    trimmed: list[model.Entry] = []
    whole: list[tuple[Place, _Seen]] = []
    sources: dict[str, Source] = {}
    binaries: dict[str, Binary] = {}
    magics: dict[str, bytes] = {}
    adds: dict[str, tuple[str, ...]] = {}
    scripts: list[tuple[str, bytes]] = []
    headers = 0
    places = sorted(placed(wheel), key=lambda place: place.path.encode())
    paths = {place.path for place in places}
    for place in places:
        if not place.path:
            headers += 1
            _consume(wheel, place.entry, record)
            continue
        script = place.script and _is_text(wheel, place.entry)
        source = _is_source(place.path, sources) and place.entry.size <= _MOST_SOURCE_BYTES
        facts = _consume(wheel, place.entry, record, whole=source or script, trim=may_change(place.path, paths))
        if source or (script and b"python" in facts.content.partition(b"\n")[0]):
            sources[place.path] = scan(facts.content)
        if facts.binary is not None:
            binaries[place.path] = facts.binary
        if source and place.path.endswith(".pth"):
            adds[place.path] = path_lines(facts.content)
        if place.path.endswith(".pyc"):
            magics[place.path] = facts.start
        if script and _depends_on_target(facts.content):
            scripts.append((place.path.removeprefix("bin/"), facts.content))
            continue
        if facts.trimmed is None:
            entries.append(_copied(wheel, place, facts, data, compress))
        else:
            trimmed.append(data.add_content(place.path, facts.trimmed, compress, kind=facts.kind))
            whole.append((place, facts._replace(trimmed=None)))
    # Behind all else, so that what mostly ships is one range of bytes.
    entries += [_copied(wheel, place, facts, data, compress) for place, facts in whole]
    entries.sort(key=lambda entry: entry.path.encode())
    index = model.Index(
        name=wheel.name,
        version=wheel.version,
        wheel=wheel.filename,
        wheel_sha256=wheel_sha256,
        wheel_bytes=wheel.size,
        dist_info=f"python/{wheel.dist_info}",
        data_sha256=data.digest.hexdigest(),
        data_bytes=data.end,
        entries=tuple(entries),
        trimmed=tuple(trimmed),
    )
    return index, model.Facts(
        metadata=tuple((key, str(value)) for key, value in wheel.metadata.items()),
        licences=tuple(_texts(wheel, _is_licence(wheel))),
        sboms=tuple(_texts(wheel, lambda inner: inner.startswith("sboms/"))),
        scripts=tuple(scripts),
        entry_points=tuple(_entry_points(wheel)),
        sources=sources,
        headers_dropped=headers,
        binaries=binaries,
        magics=magics,
        adds=adds,
        tags=wheel.tags,
    )


def _is_source(path: str, before: Mapping[str, Source]) -> bool:
    """Whether a file's code runs or is read when a module is imported; ``before`` holds the files that sort before it.

    A stub is, where its module gives it to lazy_loader's ``attach_stub``, which loads on demand what the stub imports.
    """
    if path.endswith(".pyi"):
        return (module := before.get(path[:-1])) is not None and "attach_stub" in module.calls
    return path.endswith((".py", ".pth"))


class _Seen(NamedTuple):
    """What one reading of an entry found; ``content`` only where it was asked for, ``start`` its first bytes."""

    sha256: bytes
    start: bytes
    content: bytes = b""
    binary: Binary | None = None
    trimmed: bytes | None = None

    @property
    def kind(self) -> int:
        return model.ELF if self.start[:4] == b"\x7fELF" else model.SCRIPT if self.start[:2] == b"#!" else model.PLAIN


def _consume(
    wheel: wheels.Wheel,
    entry: wheels.Entry,
    record: Mapping[str, tuple[str, str]],
    *,
    whole: bool = False,
    trim: bool = False,
) -> _Seen:
    """Read the entry to its end, once, hold it against RECORD, and look at it, and ``trim`` it, if it is native."""
    algorithm, stated = record.get(entry.name, ("", ""))
    sha256 = hashlib.sha256()
    other = None if algorithm in {"", "sha256"} else wheels.hasher(algorithm)

    def hashed() -> Iterator[bytes]:
        for chunk in wheel.chunks(entry):
            sha256.update(chunk)
            if other is not None:
                other.update(chunk)
            yield chunk

    pieces = hashed()
    start = b""
    while len(start) < _START and (piece := next(pieces, b"")):  # a hostile wheel may hand it out byte by byte
        start += piece
    binary, trimmed, content = None, None, b""
    if is_native(start):
        with gathered(chain([start], pieces)) as buffer:
            binary = look(buffer)
            trimmed = variant_of(buffer, binary) if trim else None
    elif whole:
        content = b"".join((start, *pieces))
    deque(pieces, maxlen=0)  # to its end, whatever looked at it
    digest = sha256.digest()
    found = digest if other is None else other.digest()
    if stated and algorithm in {"sha256", "sha384", "sha512"} and wheels.sha256_of_record(stated) != found:
        raise IntegrityError(
            f"{wheel.filename}: {entry.name}: is not the file that RECORD describes: its {algorithm} differs",
            hint=REPORT,
        )
    return _Seen(digest, start[:4], content, binary, trimmed)


def _copied(wheel: wheels.Wheel, place: Place, facts: _Seen, data: Writer, compress: Compress) -> model.Entry:
    """Write an entry of the wheel as it is."""
    method, packed = _packed(wheel, place.entry, compress)
    crc, size = place.entry.crc, place.entry.size
    return data.add(place.path, method, packed, crc=crc, size=size, kind=facts.kind, sha256=facts.sha256)


def _packed(wheel: wheels.Wheel, entry: wheels.Entry, compress: Compress) -> tuple[int, bytes | memoryview]:
    """The entry's method and bytes in the part: deflated ones as they are, stored ones compressed where that helps."""
    if entry.method == DEFLATED:
        return DEFLATED, wheel.raw(entry)
    if 0 < entry.size <= _MOST_DEFLATED_AT_ONCE:
        packed = compress(wheel.read(entry))
        if len(packed) < entry.size:
            return DEFLATED, packed
    return STORED, wheel.raw(entry)


def _is_text(wheel: wheels.Wheel, entry: wheels.Entry) -> bool:
    """Whether a script is one for an interpreter, and no binary of many megabytes, of which ruff's and uv's are two."""
    return entry.size <= _MOST_SOURCE_BYTES and next(wheel.chunks(entry), b"").startswith(b"#!")


def _depends_on_target(content: bytes) -> bool:
    """Whether a script's first line must be rewritten: for ``#!python``, and for a CRLF that the kernel trips over."""
    line = content[:1024].partition(b"\n")[0]
    return line.startswith(b"#!python") or (line.startswith(b"#!") and line.endswith(b"\r"))


def _is_licence(wheel: wheels.Wheel) -> Callable[[str], bool]:
    """Tells licence files: the folder of PEP 639, those METADATA names, the customary names before it."""
    stated = {str(value).strip() for value in wheel.metadata.get_all("License-File", [])} - _KEPT

    def is_licence(inner: str) -> bool:
        return inner.startswith(("licenses/", "license_files/")) or inner in stated or bool(_LICENCE.fullmatch(inner))

    return is_licence


def _texts(wheel: wheels.Wheel, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """The wanted files of the ``.dist-info`` folder: path relative to it, and text."""
    prefix = wheel.dist_info + "/"
    for entry in wheel.entries:
        inner = entry.name.removeprefix(prefix)
        if entry.name.startswith(prefix) and entry.size <= wheels.MOST_METADATA_BYTES and wanted(inner):
            content = wheel.read(entry)
            try:
                yield inner, content.decode("utf-8")
            except UnicodeDecodeError:  # before METADATA 2.4 no encoding was stated; Latin-1 loses nothing
                yield inner, content.decode("latin-1")


def _entry_points(wheel: wheels.Wheel) -> Iterator[model.EntryPoint]:
    """What ``entry_points.txt`` declares (entry points specification), sorted by group and name.

    Values that are no object reference are passed over outside the two groups that become commands: groups are open to
    any use.
    """
    content = wheel.read_metadata_file("entry_points.txt")
    if content is None:
        return
    where = f"{wheel.filename}: {wheel.dist_info}/entry_points.txt"
    try:
        lines = read_lines(content)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise IntegrityError(f"{where}: cannot be read: {first}", hint="Lock another version.") from error
    for group, name, value in lines:
        point = to_point(group, name, value)
        if group in model.COMMAND_GROUPS:
            if point is None or not point.attribute or not name or "/" in name:
                raise IntegrityError(f"{where}: {name} = {value}: is no command", hint="Lock another version.")
            with naming(where, name):
                check_name(f"bin/{name}")
        if point is not None:
            yield point
