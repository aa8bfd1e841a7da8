"""Any artefact → the value that checks judge: told by what lies at the path, not by who made it."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lamina.artefact import folders, images, wheels
from lamina.artefact.gathered import Gathered, finish, shown
from lamina.artefact.zips import read_zip
from lamina.audit.model import ROOTS
from lamina.errors import UsageError
from lamina.findings import make

if TYPE_CHECKING:
    from lamina.audit.model import Artefact, ArtefactKind

_KNOWN = "lamina audits layer zips, function zips, wheels, folders, image archives (.tar) and single native files."
_PEX_INFO = "PEX-INFO"
#: Docs of pex: "pex3 venv create", layout flat-zipped, made for Lambda (pex-tool/pex#2110, #2140).
_PEX_HINT = (
    "Export it: pex3 venv create --pex-repository {name} --layout flat-zipped --prefix python --dest-dir layer "
    "writes layer.zip, with packages below python/; without --prefix python it is a function."
)
_USTAR, _USTAR_AT = b"ustar", 257
_GZIP = b"\x1f\x8b"


def open_artefact(
    name: str, *, kind: ArtefactKind | None = None, sources: bool = True, architecture: str | None = None
) -> Artefact:
    """Read the artefact at the path ``name``: a folder, zip, wheel, image archive or one native file.

    ``kind`` says how Lambda gets it where that cannot be told, or is told wrongly: ``layer``, ``function``; a wheel
    given as a layer is judged as the zip that it is. ``sources`` asks for the facts of Python files, which take most of
    the time. ``architecture`` (``x86_64``, ``aarch64``) picks one of the images of an archive.

    What is broken, unsafe or contradictory is among the artefact's findings, and the rest is read as far as that is
    safe. The artefact is never unpacked to disk, and none of its links is followed.

    Raises:
        UsageError: there is nothing at the path, or nothing of these kinds, or it cannot be read at all.
    """
    path = Path(name)
    if "\0" in name:
        raise UsageError(f"{shown(name)}: is no path", hint=_KNOWN)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _open_folder(path, name, kind, sources=sources, architecture=architecture)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{name}: is a device, socket or pipe", hint=_KNOWN)
        return _open_file(path, name, kind, sources=sources, architecture=architecture)
    except FileNotFoundError:
        raise UsageError(f"{name}: there is no such file or folder", hint="Check the path; build first.") from None
    except OSError as error:
        raise UsageError(
            f"{name}: cannot be read: {error.strerror}", hint="Check the path and its permissions."
        ) from error


def _open_folder(
    path: Path, name: str, kind: ArtefactKind | None, *, sources: bool, architecture: str | None
) -> Artefact:
    if kind == "image" or (kind is None and images.is_layout(path)):
        if not images.is_layout(path):
            raise UsageError(f"{name}: is no OCI layout: it has no oci-layout and index.json", hint=_KNOWN)
        return finish(images.read_image(path, name, architecture=architecture, sources=sources), "image")
    gathered = folders.read_folder(path, name, sources=sources)
    if _is_pex(gathered, path.name):
        kind = kind or "function"
    return finish(gathered, kind, place=wheels.place_in_layer if kind == "wheel" else None)


def _open_file(
    path: Path, name: str, kind: ArtefactKind | None, *, sources: bool, architecture: str | None
) -> Artefact:
    from lamina.binary.look import is_native

    with path.open("rb") as file:
        start = file.read(4096)
    size = path.stat().st_size
    suffix = path.suffix.lower()
    if is_native(start):
        return _open_native(path, name, kind)
    if start.startswith(_GZIP) and kind in {None, "image"}:
        raise UsageError(f"{name}: is compressed as a whole", hint=f"Unpack it first: gzip -d {path.name}. {_KNOWN}")
    if kind == "image" or (kind is None and (suffix == ".tar" or _is_tar(start))):
        return finish(images.read_image(path, name, architecture=architecture, sources=sources), "image", size)
    if not start.startswith(b"PK") and suffix not in {".zip", ".whl", ".pex"} and not zipfile.is_zipfile(path):
        _refuse(name, start)
    gathered = read_zip(path, name, sources=sources)
    if _is_pex(gathered, path.name):
        kind = kind or "function"
    elif suffix == ".whl":
        kind = kind or "wheel"
    return finish(gathered, kind, size, wheels.place_in_layer if kind == "wheel" else None)


def _open_native(path: Path, name: str, kind: ArtefactKind | None) -> Artefact:
    """One native file, as if a layer held it in ``python/``."""
    kind = kind or "layer"
    if kind == "image":
        raise UsageError(f"{name}: is a native file and no image", hint=_KNOWN)
    gathered = Gathered(name)
    if gathered.is_safe(path.name):
        # What it may be on this machine says nothing of the mode that it gets in an artefact.
        folders.read_file(path, path.name, gathered, None, sources=False)
    folder = "/var/task/" if kind == "function" else f"{ROOTS['layer']}python/"
    return finish(gathered, kind, path.stat().st_size, lambda inside: folder + inside)


def _is_tar(start: bytes) -> bool:
    return start[_USTAR_AT : _USTAR_AT + len(_USTAR)] == _USTAR


def _is_pex(gathered: Gathered, filename: str) -> bool:
    """Whether it is a PEX, and a finding if so.

    It has its packages in ``.deps``, and code that puts them on ``sys.path`` when the PEX itself is run.
    """
    if _PEX_INFO not in gathered.items:
        return False
    message = (
        "is a PEX: its packages are below .deps/, where Python does not look until the PEX's own start-up code has "
        "run, and Lambda does not run it"
    )
    gathered.findings.append(make("bad-layout", _PEX_INFO, message, _PEX_HINT.format(name=filename)))
    return True


def _refuse(name: str, start: bytes) -> NoReturn:
    what = "is empty" if not start else "is no zip, wheel, image archive or native file"
    raise UsageError(f"{name}: {what}", hint=_KNOWN)
