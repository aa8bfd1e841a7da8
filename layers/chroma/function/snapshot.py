"""A snapshot in S3 → files in a folder, neither more nor elsewhere than meant."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any


class SnapshotError(Exception):
    """A snapshot that is too large, or no snapshot."""


def fetch(s3: Any, bucket: str, key: str, limit: int) -> bytes:  # noqa: ANN401 - botocore makes the class when it runs
    """The bytes of an object of at most ``limit`` bytes."""
    stored = s3.get_object(Bucket=bucket, Key=key)
    if stored["ContentLength"] > limit:
        raise SnapshotError(f"s3://{bucket}/{key}: {stored['ContentLength']} bytes, more than {limit}")
    body: bytes = stored["Body"].read()
    return body


def unpack(archive: bytes, folder: str, limit: int) -> int:
    """Unpack a zip into a fresh folder and return the bytes written; what its sizes claim is checked beforehand."""
    root = Path(folder)
    shutil.rmtree(root, ignore_errors=True)
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        entries = [entry for entry in packed.infolist() if not entry.is_dir()]
        total = sum(entry.file_size for entry in entries)
        if total > limit:
            raise SnapshotError(f"the snapshot unpacks to {total} bytes, more than {limit}")
        for entry in entries:
            packed.extract(entry, root)  # keeps within root, and reads no more than the size stated
    if not (root / "chroma.sqlite3").is_file():
        raise SnapshotError("the snapshot has no chroma.sqlite3 at its top")
    return total
