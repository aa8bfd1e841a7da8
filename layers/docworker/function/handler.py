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
from typing import Any

import botocore.session  # boto3 has the same clients, and is slower to start
from classify import classify
from documents import read_text
from pydantic import BaseModel, Field

logger = logging.getLogger(__name__)
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))
s3 = botocore.session.get_session().create_client("s3")

gc.freeze()  # nor is it looked through afterwards
gc.enable()

LARGEST = 20 * 1024 * 1024  # bytes of a document


class Job(BaseModel):
    """What a message asks for."""

    bucket: str = Field(min_length=3, max_length=63)
    key: str = Field(min_length=1, max_length=1024)


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
    stored = s3.get_object(Bucket=job.bucket, Key=job.key)
    if stored["ContentLength"] > LARGEST:
        raise ValueError(f"s3://{job.bucket}/{job.key}: {stored['ContentLength']} bytes, more than {LARGEST}")
    text = read_text(job.key, stored["Body"].read())
    verdict = classify(text)
    result = {"source": job.model_dump(), "characters": len(text), **verdict.model_dump()}
    s3.put_object(
        Bucket=os.environ["RESULT_BUCKET"],
        Key=f"{job.key}.json",
        Body=json.dumps(result, ensure_ascii=False).encode(),
        ContentType="application/json",
    )
    logger.info("s3://%s/%s: %s", job.bucket, job.key, verdict.kind)
