"""A built wheel in the one form of its content: the same files give the same bytes, whatever packed them.

Backends differ, and so do their versions and their zlib; a layer must not. So a wheel that was built here is written
anew: names sorted, dates and modes fixed, compressed by the pinned libdeflate, RECORD sorted, and the backend's name
and version taken out of WHEEL. A dependency that METADATA places in a folder of this machine, as Poetry does for those
of its workspace, keeps its name alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lamina.built import Built, metadata_digest
from lamina.errors import ResolutionError
from lamina.lock import LockedWheel
from lamina.part.compress import libdeflate
from lamina.recipe.spelling import requirement_name
from lamina.wheel import Wheel, open_wheel
from lamina.zipformat import DEFLATED, STORED, central_header, end_of_directory, local_header

if TYPE_CHECKING:
    from collections.abc import Iterable

_NATIVE = re.compile(r"(?i)\.(so(\.\d+)*|pyd|dll|dylib)\Z")
_GENERATOR = re.compile(rb"(?mi)^Generator:[^\r\n]*(\r?\n|\Z)")

#: A requirement that is to be found in a folder: name and extras, then a URL.
_PLACED = re.compile(r"([A-Za-z0-9._-]+(?:\s*\[[^\]]*\])?)\s*@\s*file:\S+")
_PLACED_LINE = re.compile(rb"(?m)^(Requires-Dist:\s*)" + _PLACED.pattern.encode())

_WAY_OUT = (
    'Set kind = "docker" in the recipe\'s [builder]: native code is then built inside the base image. Without an\n'
    "engine, build a wheel for the target elsewhere, put it into a folder that find-links names, and require it\n"
    "by its name."
)


def normalize(path: Path, where: str, out: IO[bytes], *, native: bool = False) -> Built:
    """Write the wheel at ``path`` to ``out`` in its one form; ``where`` names the project in messages.

    ``native``: it was built for the target, so it may hold native code, if its tags say so.

    Raises:
        ResolutionError: it holds native code that it must not hold, or needs something by its URL.
        IntegrityError, UnsafeWheelError: the backend wrote no valid wheel.
    """
    with open_wheel(path, path.name) as wheel:
        contents = {entry.name: wheel.read(entry) for entry in wheel.entries}
        _refuse_native(wheel, contents, where, native=native)
        record = f"{wheel.dist_info}/RECORD"
        layout = f"{wheel.dist_info}/WHEEL"
        contents[layout] = _GENERATOR.sub(b"", contents[layout])
        head, blank, rest = contents[f"{wheel.dist_info}/METADATA"].partition(b"\n\n")
        contents[f"{wheel.dist_info}/METADATA"] = _PLACED_LINE.sub(rb"\1\2", head) + blank + rest
        contents.pop(record, None)
        rows = [f"{_quoted(name)},sha256={_stated(content)},{len(content)}\n" for name, content in _sorted(contents)]
        contents[record] = "".join([*rows, f"{_quoted(record)},,\n"]).encode()
        sha256, size = _write(_sorted(contents), out)
        metadata = wheel.metadata
        stated = [str(text).strip() for text in metadata.get_all("Requires-Dist", [])]
        requires = tuple(_PLACED.sub(r"\1", text) for text in stated)
        siblings = {requirement_name(text) for text in stated if _PLACED.match(text)}
        _refuse_urls(requires, where)
        extras = list(map(str, metadata.get_all("Provides-Extra", [])))
        summary = metadata_digest(wheel.name, requires, str(metadata.get("Requires-Python", "")), extras)
        return Built(
            LockedWheel(wheel.name, wheel.version, wheel.filename, sha256, size),
            summary,
            requires,
            tuple(sorted(siblings)),
        )


def native_in(path: Path) -> str:
    """What of the wheel at ``path`` is native code: a file's name, or the wheel's own; empty where it is pure.

    Raises:
        IntegrityError, UnsafeWheelError: the backend wrote no valid wheel.
    """
    with open_wheel(path, path.name) as wheel:
        found = (entry.name for entry in wheel.entries if _is_native(entry.name, wheel.read(entry)))
        return next(found, "" if _is_any(wheel) else path.name)


def _is_native(name: str, content: bytes) -> bool:
    return _NATIVE.search(name) is not None or content.startswith(b"\x7fELF")


def _is_any(wheel: Wheel) -> bool:
    return wheel.filename.endswith("-none-any.whl")


def _refuse_native(wheel: Wheel, contents: dict[str, bytes], where: str, *, native: bool) -> None:
    if native and not _is_any(wheel):
        return
    found = [name for name, content in _sorted(contents) if _is_native(name, content)]
    if native and found:
        message = f"{where}: builds to {wheel.filename} with {found[0]}: native code in a wheel for any platform"
        raise ResolutionError(message, hint="Have its backend make a wheel for the platform, so that it is repaired.")
    if found or not _is_any(wheel):
        what = f"{wheel.filename} with {found[0]}" if found else wheel.filename
        message = f"{where}: builds to {what}: native code, and only pure Python is built here"
        raise ResolutionError(message, hint=_WAY_OUT)


def _refuse_urls(requires: Iterable[str], where: str) -> None:
    for text in requires:
        if "@" in text.partition(";")[0]:
            hint = (
                "State the dependency by name; require it here too if it is a local project, or name an index for it."
            )
            raise ResolutionError(f"{where}: needs {text}: a lock holds no URL, as it serves any index", hint=hint)


def _write(contents: Iterable[tuple[str, bytes]], out: IO[bytes]) -> tuple[str, int]:
    """Write the zip; return its SHA-256 and its size in bytes."""
    digest = hashlib.sha256()
    directory: list[bytes] = []
    offset = 0

    def put(piece: bytes) -> None:
        digest.update(piece)
        out.write(piece)

    for name, content in contents:
        crc = zlib.crc32(content)
        packed = libdeflate(content) if content else b""
        method, data = (DEFLATED, packed) if 0 < len(packed) < len(content) else (STORED, content)
        header = local_header(name, method, crc, len(data), len(content))
        directory.append(central_header(name, method, crc, len(data), len(content), offset, mode=0o644))
        put(header)
        put(data)
        offset += len(header) + len(data)
    tail = b"".join(directory)
    put(tail)
    put(end := end_of_directory(len(directory), len(tail), offset))
    return digest.hexdigest(), offset + len(tail) + len(end)


def _sorted(contents: dict[str, bytes]) -> list[tuple[str, bytes]]:
    return sorted(contents.items(), key=lambda item: item[0].encode())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if re.search(r'[,"\r\n]', name) else name


def _stated(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
