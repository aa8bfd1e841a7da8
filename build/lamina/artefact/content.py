"""One file's content, read once in pieces: what it says of itself, and nothing of it kept that no check needs."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina.binary.model import Binary
    from lamina.part.source import Source

#: A larger source file is generated data: to read it would tell nothing, and take long.
MOST_SOURCE_BYTES = 16 * 1024**2
#: No metadata file is larger; RECORD of the largest known wheels is under 3 MiB.
MOST_METADATA_BYTES = 16 * 1024**2
#: A module at the root that is larger holds no handler that somebody wrote.
_MOST_HANDLER_BYTES = 1024**2
#: The first bytes that tell what a file is: enough for the headers of ELF, PE and Mach-O.
_START = 4096

#: Files of a ``.dist-info`` folder that tell of the package.
METADATA_FILES = frozenset({"METADATA", "WHEEL", "RECORD", "entry_points.txt"})

_FUNCTION = re.compile(rb"^(?:async[ \t]+)?def[ \t]+([A-Za-z]\w*)[ \t]*\(", re.MULTILINE)
_MOST_PARAMETERS_BYTES = 2000


class Sight(NamedTuple):
    """What one reading of a file found.

    ``handler`` tells that it is a module that defines a function which Lambda could call. ``text`` is the content of a
    metadata file, ``None`` of any other.
    """

    binary: Binary | None = None
    source: Source | None = None
    magic: bytes = b""
    script: bool = False
    handler: bool = False
    text: bytes | None = None
    adds: tuple[str, ...] = ()


def look_at(path: str, size: int, pieces: Iterator[bytes], *, sources: bool, native: bool = True) -> Sight:
    """Read a file of ``size`` bytes to its end; ``path`` is that in the artefact.

    ``sources`` asks for the facts of Python files, which take most of the time, ``native`` for those of native ones.
    Whatever ``pieces`` raises comes through.
    """
    from lamina.binary.gather import gathered
    from lamina.binary.look import is_native, look
    from lamina.part import paths

    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= _START:
            break
    rest = itertools.chain((start,), pieces)
    if native and is_native(start[:_START]):
        with gathered(rest) as whole:
            return Sight(binary=look(whole))
    script = start.startswith(b"#!")
    folder, _, name = path.rpartition("/")
    if folder.endswith(".dist-info") and name in METADATA_FILES and size <= MOST_METADATA_BYTES:
        return Sight(text=b"".join(rest))
    if name.endswith(".pth") and size <= paths.MOST_BYTES:
        return Sight(adds=paths.path_lines(b"".join(rest)))
    if not name.endswith(".py"):
        _exhaust(rest)
        return Sight(magic=start[:4]) if name.endswith(".pyc") else Sight(script=script)
    return _look_at_python(path, size, rest, script=script, sources=sources)


def _look_at_python(path: str, size: int, rest: Iterator[bytes], *, script: bool, sources: bool) -> Sight:
    # A handler stands at the root, or in the one folder that was packed instead of what is in it.
    root = path.count("/") <= 1 and size <= _MOST_HANDLER_BYTES
    if not root and (not sources or size > MOST_SOURCE_BYTES):
        _exhaust(rest)
        return Sight(script=script)
    content = b"".join(rest)
    source = None
    if sources and size <= MOST_SOURCE_BYTES:
        from lamina.part.scan import scan

        source = scan(content)
    return Sight(source=source, script=script, handler=root and defines_handler(content))


def defines_handler(source: bytes) -> bool:
    """Whether a module defines a public function of two positional parameters: ``def handler(event, context)``.

    Lambda calls any such function by the name that the function's configuration gives (developer guide, "Define Lambda
    function handler in Python").
    """
    matches = list(_FUNCTION.finditer(source))
    ends = (*(match.start() for match in matches[1:]), len(source))
    for match, end in zip(matches, ends, strict=False):  # none is read into the next: that would not be linear
        names = _parameters(source[match.end() : min(end, match.end() + _MOST_PARAMETERS_BYTES)])
        if len(names) == 2 and not any(name.startswith(b"*") or name == b"/" for name in names):  # noqa: PLR2004
            return True
    return False


def _parameters(text: bytes) -> list[bytes]:
    """The parameters before the closing bracket, annotations and all; none where it is not in ``text``."""
    found = []
    depth = begin = 0
    for at, byte in enumerate(text):
        if byte in b"([{":
            depth += 1
        elif (closing := byte in b")]}") and depth:
            depth -= 1
        elif closing or (byte == ord(",") and not depth):
            found.append(text[begin:at].strip())
            begin = at + 1
            if closing:
                return [name for name in found if name]
    return []


def _exhaust(pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass
