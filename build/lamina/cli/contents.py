"""What ``lamina diff`` reads of an artefact: its digest, the zip's directory, RECORD files, the manifest beside it.

Artefacts may come from anywhere, so nothing is unpacked, and what is read is limited. Unlike a wheel, a layer may hold
links and folders of its own.
"""

from __future__ import annotations

import csv
import hashlib
import io
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from lamina.archive import MOST_ENTRIES
from lamina.emit import manifest as manifests
from lamina.emit.manifest import Manifest
from lamina.errors import IntegrityError, UsageError
from lamina.lock import canonical
from lamina.report.diff import File, Inventory, Shipped

#: RECORD of the largest known wheels has 2 MB; all of those of one artefact together are limited as well.
_MOST_RECORD_BYTES = 8 * 1024**2
_MOST_RECORDS_BYTES = 16 * 1024**2
_INFO = ".dist-info"
_ROOT = "python/"
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    OverflowError,
    RuntimeError,  # of an encrypted entry
)


def read(name: str) -> Inventory:
    """The inventory of a layer zip, or of a manifest where the name ends in ``.json``.

    Of an image archive, ``.tar``, the manifest beside it is taken.

    Raises:
        UsageError: there is no such file, or no manifest describes the image.
        IntegrityError: it is no zip, or no manifest, that can be read.
    """
    path = Path(name)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise UsageError(f"{name}: {what}", hint="Name a layer zip, an image archive or a manifest (.json).")
    if path.suffix == ".json":
        manifest = manifests.read(path)
        if manifest is None:
            raise IntegrityError(
                f"{name}: is not a manifest that lamina wrote", hint="Build it again, or name the zip."
            )
        return _stated(name, manifest)
    return _image(name, path) if path.suffix == ".tar" else _zip(name, path)


def _image(name: str, path: Path) -> Inventory:
    beside = path.with_suffix(".json")
    manifest = manifests.read(beside)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if manifest is None or manifest.sha256 != sha256:
        raise UsageError(
            f"{name}: of an image lamina diff reads the manifest, and the one beside it is not there or is another's",
            hint="Build it again with lamina image, or name manifests (.json) instead.",
        )
    return _stated(str(beside), manifest)


def _stated(name: str, manifest: Manifest) -> Inventory:
    """What a manifest alone tells."""
    return Inventory(
        label=name,
        sha256=manifest.sha256,
        zipped_bytes=manifest.zipped_bytes if manifest.sha256 else None,
        unzipped_bytes=manifest.unzipped_bytes,
        entries=manifest.entries,
        packages=_packages(manifest),
        findings=manifest.findings,
    )


def _packages(manifest: Manifest) -> Mapping[str, Shipped]:
    return {package.name: Shipped(package.version, package.shipped_bytes) for package in manifest.packages}


def _zip(name: str, path: Path) -> Inventory:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            owners = _owners(archive, infos)
    except _UNREADABLE as error:
        raise IntegrityError(f"{name}: is not a readable zip: {error}", hint="Build or fetch it again.") from error
    if len(infos) > MOST_ENTRIES:
        raise IntegrityError(f"{name}: {len(infos):,} entries; lamina reads at most {MOST_ENTRIES:,}", hint="Split it.")
    files: dict[str, File] = {}
    for info in infos:
        if info.filename in files:
            raise IntegrityError(
                f"{name}: {info.filename!r} is there twice, and readers differ on which one counts",
                hint="Build or fetch it again.",
            )
        files[info.filename] = File(info.filename, info.file_size, info.CRC, info.external_attr >> 16 & 0o777)
    manifest = manifests.read(path.with_suffix(".json"))
    notes: tuple[str, ...] = ()
    if manifest is not None and manifest.sha256 != sha256:
        notes = (f"the manifest beside {name} describes another zip and is not used",)
        manifest = None
    return Inventory(
        label=name,
        sha256=sha256,
        zipped_bytes=path.stat().st_size,
        unzipped_bytes=sum(info.file_size for info in infos),
        entries=len(infos),
        packages=_told(files) if manifest is None else _packages(manifest),
        files=tuple(files.values()),
        owners=owners,
        findings=None if manifest is None else manifest.findings,
        notes=notes,
    )


def _told(paths: Mapping[str, File]) -> Mapping[str, Shipped]:
    """The packages that the names of ``.dist-info`` folders tell."""
    found = {}
    for path in paths:
        name, _, version = _info_folder(path).removesuffix(_INFO).partition("-")
        if version:
            found[canonical(name)] = Shipped(version, None)
    return found


def _info_folder(path: str) -> str:
    """The name of the ``.dist-info`` folder in ``python/``, or at the root, that a path is in; else empty."""
    folder, slash, _ = path.removeprefix(_ROOT).partition("/")
    return folder if slash and folder.endswith(_INFO) else ""


def _owners(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> Mapping[str, str]:
    """Path → package, as the RECORD files state it."""
    owners: dict[str, str] = {}
    left = _MOST_RECORDS_BYTES
    for info in infos:
        folder = _info_folder(info.filename)
        left -= info.file_size if folder and info.filename.endswith(f"{_INFO}/RECORD") else 0
        if not folder or not info.filename.endswith(f"{_INFO}/RECORD") or left < 0:
            continue
        if info.file_size > _MOST_RECORD_BYTES:
            continue
        with archive.open(info) as file:
            text = file.read(_MOST_RECORD_BYTES).decode("utf-8")
        name = canonical(folder.partition("-")[0])
        root = info.filename.removesuffix(f"{folder}/RECORD")
        try:
            for row in csv.reader(io.StringIO(text)):
                if row:
                    owners.setdefault(posixpath.normpath(root + row[0]), name)
        except csv.Error as error:
            raise IntegrityError(f"{info.filename}: cannot be read: {error}", hint="Build it again.") from error
    return owners
