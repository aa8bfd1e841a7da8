"""Artefacts forged for a test: zips with any mode, tars, images."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec._core
import pytest

#: A file's content, or a link's target with a mode that says so, or a folder by a name that ends in a slash.
Files = Mapping[str, "bytes | tuple[bytes, int]"]


@pytest.fixture(scope="session")
def native() -> bytes:
    """A real extension module of this machine."""
    return Path(msgspec._core.__file__).read_bytes()


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[..., str]:
    """Write a zip of files, each with 644 or with the whole mode given beside its content; ``system`` packed it."""

    def write(files: Files | Sequence[tuple[str, bytes]], name: str = "a.zip", system: int = 3) -> str:
        path = tmp_path / name
        pairs = files.items() if isinstance(files, Mapping) else files
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, stated in pairs:
                content, mode = stated if isinstance(stated, tuple) else (stated, 0o100644)
                info = zipfile.ZipInfo(file, (2020, 1, 1, 0, 0, 0))
                info.create_system = system
                info.external_attr = mode << 16 | 0x20  # and DOS's archive bit: zipfile would replace a plain zero
                info.filename = info.orig_filename = file  # zipfile would make it a safe one
                archive.writestr(info, content, zipfile.ZIP_DEFLATED)
        return str(path)

    return write


@pytest.fixture
def tarred() -> Callable[..., bytes]:
    """A tar of members: name → content, or ``(type, target)``; a name that ends in a slash is a folder."""

    def pack(members: Mapping[str, bytes | tuple[bytes, str]], form: int = tarfile.PAX_FORMAT) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                if isinstance(content, tuple):
                    info.type, info.linkname = content
                    archive.addfile(info)
                elif name.endswith("/"):
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(info)
                else:
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        return out.getvalue()

    return pack


class Images:
    """Makes image archives of layers, which are tars; single files can be replaced to make them lie."""

    def __init__(self, folder: Path, tarred: Callable[..., bytes]) -> None:
        self._folder = folder
        self._tarred = tarred

    def oci(self, *layers: bytes, packed: bool = True, **replace: bytes) -> str:
        """An OCI layout archive. ``replace`` is by ``layer0`` and so on, ``manifest`` and ``index``."""
        return self._write(self.layout(*layers, packed=packed, **replace))

    def layout(self, *layers: bytes, packed: bool = True, **replace: bytes) -> dict[str, bytes]:
        """The files of an OCI layout."""
        files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        blobs = [gzip.compress(layer) if packed else layer for layer in layers]
        stated = [self._put(files, blob, replace.get(f"layer{at}")) for at, blob in enumerate(blobs)]
        config = self._put(files, b'{"architecture":"amd64","os":"linux"}')
        manifest = json.dumps({"schemaVersion": 2, "config": config, "layers": stated}).encode()
        descriptor = self._put(files, manifest, replace.get("manifest"))
        files["index.json"] = replace.get("index") or json.dumps({"manifests": [descriptor]}).encode()
        return files

    def docker(self, *layers: bytes, digests: Sequence[str] | None = None) -> str:
        """What ``docker save`` wrote before version 25: a folder for each layer."""
        stated = digests or [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        files = {f"{at}/layer.tar": layer for at, layer in enumerate(layers)}
        config = json.dumps({"architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": stated}})
        files["c.json"] = config.encode()
        files["manifest.json"] = json.dumps(
            [{"Config": "c.json", "RepoTags": None, "Layers": list(files)[:-1]}]
        ).encode()
        return self._write(files)

    def _put(self, files: dict[str, bytes], blob: bytes, instead: bytes | None = None) -> dict[str, object]:
        digest = hashlib.sha256(blob).hexdigest()
        files[f"blobs/sha256/{digest}"] = blob if instead is None else instead
        return {"digest": f"sha256:{digest}", "size": len(blob), "mediaType": "application/x"}

    def _write(self, files: Mapping[str, bytes]) -> str:
        path = self._folder / "image.tar"
        path.write_bytes(self._tarred(files))
        return str(path)


@pytest.fixture
def images(tmp_path: Path, tarred: Callable[..., bytes]) -> Images:
    """The workshop of :class:`Images`."""
    return Images(tmp_path, tarred)
