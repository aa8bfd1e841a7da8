"""Reads documents that SQS messages name in S3, classifies each, and writes the result beside it.

A message's body is ``{"bucket": ..., "key": ...}``. What fails stays in the queue, message by message: the answer
lists ``batchItemFailures``, so the queue's event source must report batch item failures.
"""

from __future__ import annotations

import gc

gc.disable()  # what imports make stays; looking for garbage in it takes up to a tenth of a cold start

import json
import logging
import os
from datetime import timedelta
from functools import lru_cache
from typing import Any

from classify import classify
from documents import read_text
from obstore.store import S3Store  # starts in a tenth of the time that the SDK of the runtime takes
from pydantic import BaseModel, Field

logger = logging.getLogger(__name__)
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))

gc.freeze()  # nor is it looked through afterwards
gc.enable()

LARGEST = 20 * 1024 * 1024  # bytes of a document


class Job(BaseModel):
    """What a message asks for."""

    bucket: str = Field(min_length=3, max_length=63)
    key: str = Field(max_length=1024, pattern="^[^/]+(/[^/]+)*$")  # obstore would read the key without further slashes


@lru_cache(maxsize=16)
def bucket(name: str) -> S3Store:
    """A client, kept between invocations; it does without TLS only where the environment says ``http://``."""
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    return S3Store(
        name,
        client_options={"allow_http": url.startswith("http://"), "timeout": timedelta(seconds=20)},
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=30)},
    )


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - as Lambda calls it
    """Work on each message of a batch; those that failed are delivered again."""
    failures = []
    for record in event["Records"]:
        try:
            work(Job.model_validate_json(record["body"]))
        except Exception:  # whatever one document does to it, the others are worked on
            logger.exception("message %s failed", record["messageId"])
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def work(job: Job) -> None:
    """Read, classify, and write the result to the result bucket under the document's key and ``.json``."""
    stored = bucket(job.bucket).get(job.key)
    if stored.meta["size"] > LARGEST:
        raise ValueError(f"s3://{job.bucket}/{job.key}: {stored.meta['size']} bytes, more than {LARGEST}")
    text = read_text(job.key, stored.bytes().to_bytes())
    verdict = classify(text)
    result = {"source": job.model_dump(), "characters": len(text), **verdict.model_dump()}
    bucket(os.environ["RESULT_BUCKET"]).put(
        f"{job.key}.json",
        json.dumps(result, ensure_ascii=False).encode(),
        attributes={"Content-Type": "application/json"},
    )
    logger.info("s3://%s/%s: %s", job.bucket, job.key, verdict.kind)
