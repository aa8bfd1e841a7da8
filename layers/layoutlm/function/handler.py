"""Classifies pages of words and boxes by the newest LayoutLM model in S3, or in a folder of the image.

The newest of ``runs/*/best/model.safetensors`` in ``MODEL_BUCKET`` (else in the folder ``MODEL_DIR``) is looked for and
loaded once for each execution environment; a new run is taken up by the environments that start after it. Which one is
in use is written to ``latest.json`` in ``CACHE_BUCKET``.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import model as models
import runs
from page import BadRequestError, read_page

logger = logging.getLogger(__name__)
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))

FOLDER = Path(tempfile.gettempdir()) / "layoutlm"  # in Lambda /tmp, the one place to write to
LATEST = "latest.json"


class Loaded(NamedTuple):
    """A run, and its model ready to be asked."""

    run: runs.Run
    classifier: models.Classifier


_loaded: Loaded | None = None


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - as Lambda calls it
    """Answer a page with its label and score, or with a label and score for each of its words."""
    try:
        page = read_page(event)
    except BadRequestError as error:
        return {"statusCode": 400, "body": {"error": str(error)}}
    run, classifier = load()
    reading = models.classify(classifier, page)
    said = [one._asdict() for one in reading.labels]
    answer: dict[str, Any] = said[0] if classifier.whole else {"labels": said}
    # A page of more words than the model can hold is judged by its beginning; the caller sees how much was read.
    return {"statusCode": 200, "body": {**answer, "words": len(page.words), "read": reading.words, "run": run.name}}


def load() -> Loaded:
    """The newest run's model, looked for the first time."""
    global _loaded  # noqa: PLW0603 - what an execution environment keeps between invocations
    if _loaded is None:
        limit = int(os.environ.get("MODEL_LIMIT_MB", "450")) * 1024 * 1024
        run, folder = find(limit)
        found = Loaded(run, models.load(folder))
        announce(run)
        logger.info("loaded %s, %d bytes, written %s", run.key, run.size, run.written.isoformat())
        _loaded = found
    return _loaded


def find(limit: int) -> tuple[runs.Run, Path]:
    """The newest run of at most ``limit`` bytes of model, and the folder that holds its files."""
    bucket, root = os.environ.get("MODEL_BUCKET"), os.environ.get("MODEL_DIR")
    if bucket:
        s3 = boto3.client("s3")
        run = runs.newest(runs.in_bucket(s3, bucket), f"s3://{bucket}")
        return run, runs.fetch(s3, bucket, run, FOLDER, limit)
    if root:
        run = runs.newest(runs.in_folder(Path(root)), root)
        return run, runs.local(Path(root), run, limit)
    raise runs.RunError("neither MODEL_BUCKET nor MODEL_DIR is set: there is nowhere to look for a model")


def announce(run: runs.Run) -> None:
    """Write which run is in use to the cache bucket, where one is named; the time is that of the run."""
    bucket = os.environ.get("CACHE_BUCKET")
    if bucket:
        said = {"run": run.name, "key": run.key, "etag": run.etag, "time": run.written.isoformat()}
        body = json.dumps(said, ensure_ascii=False).encode()
        boto3.client("s3").put_object(Bucket=bucket, Key=LATEST, Body=body, ContentType="application/json")
