"""Training runs in S3 or in a folder: the newest one, and its files as a folder that can be loaded.

A run is ``runs/<name>/best/model.safetensors`` with ``config.json`` and ``tokenizer.json`` beside it. The newest is the
one whose model was written last; of models written in the same second, the one whose run has the greater name.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

MODEL = "model.safetensors"
BESIDE = ("config.json", "tokenizer.json")
LARGEST_BESIDE = 32 * 1024 * 1024  # bytes; a tokenizer of 250,000 words has 17 million

_KEY = re.compile(r"runs/([^/]+)/best/model\.safetensors")
_CHUNK = 1024 * 1024


class RunError(Exception):
    """There is no run, or one that cannot be used."""


class Run(NamedTuple):
    """A training run: its name, its model's key, entity tag (none in a folder), time of writing and size in bytes."""

    name: str
    key: str
    etag: str | None
    written: dt.datetime
    size: int


def newest(runs: Iterable[Run], where: str) -> Run:
    """The run that was written last.

    Raises:
        RunError: there is none.
    """
    found = max(runs, key=lambda run: (run.written.replace(microsecond=0), run.name), default=None)
    if found is None:
        raise RunError(f"{where}: there is no runs/*/best/{MODEL}; upload a run, or name another place")
    return found


def in_bucket(s3: Any, bucket: str) -> Iterable[Run]:  # noqa: ANN401 - boto3 makes the class when it runs
    """All runs in a bucket."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="runs/"):
        for stored in page.get("Contents", ()):
            if match := _KEY.fullmatch(stored["Key"]):
                yield Run(match[1], stored["Key"], stored["ETag"], stored["LastModified"], stored["Size"])


def in_folder(root: Path) -> Iterable[Run]:
    """All runs in a folder."""
    for path in root.glob(f"runs/*/best/{MODEL}"):
        found = path.stat()
        written = dt.datetime.fromtimestamp(int(found.st_mtime), dt.UTC)
        yield Run(path.parts[-3], path.relative_to(root).as_posix(), None, written, found.st_size)


def fetch(s3: Any, bucket: str, run: Run, folder: Path, limit: int) -> Path:  # noqa: ANN401 - as above
    """Download a run into a folder of its own below ``folder``, unless it is there, and return that.

    ``limit`` is what the model may have, in bytes. The folder appears when it is whole: what an invocation that was cut
    off left behind is never taken for a run.

    Raises:
        RunError: the model is larger, a file is missing, or came otherwise than announced.
    """
    check_size(run, limit, f"s3://{bucket}/{run.key}")
    place = folder / hashlib.sha256(f"{bucket}\n{run.key}\n{run.etag}".encode()).hexdigest()[:16]
    if place.is_dir():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder, prefix="unfinished-"))
    try:
        # The model as it was listed: a run that is being replaced is refused, not mixed.
        _download(s3, {"Bucket": bucket, "Key": run.key, "IfMatch": run.etag}, unfinished / MODEL, limit)
        for name in BESIDE:
            key = f"{run.key.removesuffix(MODEL)}{name}"
            _download(s3, {"Bucket": bucket, "Key": key}, unfinished / name, LARGEST_BESIDE)
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return place


def local(root: Path, run: Run, limit: int) -> Path:
    """The folder of a run that lies in a folder.

    Raises:
        RunError: the model is larger than ``limit`` bytes, or a file is missing.
    """
    check_size(run, limit, str(root / run.key))
    place = (root / run.key).parent
    for name in BESIDE:
        if not (place / name).is_file():
            raise RunError(f"{place / name}: there is no such file; a run needs {', '.join((MODEL, *BESIDE))}")
    return place


def check_size(run: Run, limit: int, where: str) -> None:
    """Refuse a model of more than ``limit`` bytes.

    Raises:
        RunError: it is larger.
    """
    if run.size > limit:
        raise RunError(f"{where}: {run.size} bytes, more than {limit}")


def _download(s3: Any, wanted: dict[str, Any], path: Path, limit: int) -> None:  # noqa: ANN401 - as above
    where = f"s3://{wanted['Bucket']}/{wanted['Key']}"
    try:
        stored = s3.get_object(**wanted)
    except s3.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        raise RunError(f"{where}: {code}; a run needs {', '.join((MODEL, *BESIDE))}") from error
    size = stored["ContentLength"]
    if size > limit:
        raise RunError(f"{where}: {size} bytes, more than {limit}")
    written = 0
    with path.open("wb") as file:
        for chunk in stored["Body"].iter_chunks(_CHUNK):
            written += file.write(chunk)
    if written != size:
        raise RunError(f"{where}: {written} bytes came, {size} were announced")
