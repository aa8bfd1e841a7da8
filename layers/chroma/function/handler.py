"""Answers nearest neighbours from a collection of chromadb, whose snapshot lies in S3.

The snapshot is a zip of the folder of a persistent client. It is fetched and unpacked once for each execution
environment, into ``/tmp``; a larger one than ``SNAPSHOT_LIMIT_MB`` is refused before it fills that. Events bring the
embeddings to ask for: no model is loaded, and nothing else is fetched.
"""

from __future__ import annotations

import gc

gc.disable()  # what imports make stays; looking for garbage in it takes up to a tenth of a cold start

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import botocore.session  # boto3 has the same clients, and is slower to start
import chromadb
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings
from snapshot import fetch, unpack

logger = logging.getLogger(__name__)
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))
s3 = botocore.session.get_session().create_client("s3")

gc.freeze()  # nor is it looked through afterwards
gc.enable()

FOLDER = str(Path(tempfile.gettempdir()) / "chroma")  # in Lambda /tmp, the one place to write to
MOST_RESULTS = 100

_collection: Collection | None = None


class BadRequestError(Exception):
    """The event does not hold what a query needs."""


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - as Lambda calls it
    """Answer ``{"embeddings": [[...]], "results": n}`` with ids, distances, documents and metadata of the nearest."""
    try:
        embeddings, count = read_query(event)
        found = open_collection().query(
            query_embeddings=embeddings, n_results=count, include=["distances", "documents", "metadatas"]
        )
    except BadRequestError as error:
        return {"statusCode": 400, "body": {"error": str(error)}}
    answer = {name: found[name] for name in ("ids", "distances", "documents", "metadatas")}
    return {"statusCode": 200, "body": answer}


def open_collection() -> Collection:
    """The collection, from S3 the first time."""
    global _collection  # noqa: PLW0603 - what an execution environment keeps between invocations
    if _collection is None:
        limit = int(os.environ.get("SNAPSHOT_LIMIT_MB", "256")) * 1024 * 1024
        archive = fetch(s3, os.environ["SNAPSHOT_BUCKET"], os.environ["SNAPSHOT_KEY"], limit)
        written = unpack(archive, FOLDER, limit)
        client = chromadb.PersistentClient(path=FOLDER, settings=Settings(anonymized_telemetry=False))
        _collection = client.get_collection(os.environ["COLLECTION"], embedding_function=None)
        logger.info("opened %s: %d bytes unpacked, %d items", _collection.name, written, _collection.count())
    return _collection


def read_query(event: dict[str, Any]) -> tuple[list[list[float]], int]:
    """The embeddings to ask for, all of one length, and how many neighbours of each."""
    embeddings, count = event.get("embeddings"), event.get("results", 10)
    if not isinstance(embeddings, list) or not embeddings or not all(map(is_vector, embeddings)):
        raise BadRequestError("embeddings must be a list of lists of numbers")
    dimension = len(embeddings[0])
    if any(len(one) != dimension for one in embeddings):
        raise BadRequestError("embeddings must be of one length")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_RESULTS:
        raise BadRequestError(f"results must be a whole number from 1 to {MOST_RESULTS}")
    return [[float(number) for number in one] for one in embeddings], count


def is_vector(value: object) -> bool:
    """Whether a value is a list of numbers."""
    numbers = value if isinstance(value, list) else []
    return bool(numbers) and all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
