"""Predicts a probability with a scikit-learn model from S3.

The model is a pickled dict: ``model``, a fitted classifier with ``predict_proba``, and ``columns``, the names of its
features in the order it was fitted with. It is loaded once for each execution environment. A pickle runs code when it
is loaded: only those who deploy this function may be able to write to its bucket.
"""

from __future__ import annotations

import gc

gc.disable()  # what imports make stays; looking for garbage in it takes up to a tenth of a cold start

import base64
import binascii
import contextlib
import json
import logging
import math
import os
import pickle
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import botocore.session  # boto3 has the same clients, and is slower to start
import pandas as pd

logger = logging.getLogger(__name__)
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))
s3 = botocore.session.get_session().create_client("s3")

gc.freeze()  # nor is it looked through afterwards
gc.enable()


class BadRequestError(Exception):
    """The event does not hold what a prediction needs."""


class Model(NamedTuple):
    """A classifier, and the names of its features in order."""

    classifier: Any
    columns: tuple[str, ...]


_model: Model | None = None


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - as Lambda calls it
    """Answer a request of API Gateway or a function URL, whose body is a JSON object of feature to number."""
    try:
        fields = read_fields(event)
        model = load_model()
        frame = to_frame(fields, model.columns)
    except BadRequestError as error:
        return answer(400, {"error": str(error)})
    with strict_warnings():
        probability = float(model.classifier.predict_proba(frame)[0, 1])
    return answer(200, {"probability": probability})


def load_model() -> Model:
    """The model, from S3 the first time."""
    global _model  # noqa: PLW0603 - what an execution environment keeps between invocations
    if _model is None:
        bucket, key = os.environ["MODEL_BUCKET"], os.environ["MODEL_KEY"]
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with strict_warnings():
            held = pickle.loads(body)  # noqa: S301 - the bucket is as trusted as the code, see above
        _model = Model(held["model"], tuple(held["columns"]))
        logger.info("loaded s3://%s/%s, %d bytes, %d columns", bucket, key, len(body), len(_model.columns))
    return _model


@contextlib.contextmanager
def strict_warnings() -> Iterator[None]:
    """Make errors of warnings: a model of another version of scikit-learn, or other columns, must not answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def read_fields(event: dict[str, Any]) -> dict[str, Any]:
    """The JSON object in the body of a request."""
    body = event.get("body")
    if not isinstance(body, str) or not body:
        raise BadRequestError("the request has no body")
    try:
        text = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body
        fields = json.loads(text)
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadRequestError("the body is not JSON") from error
    if not isinstance(fields, dict):
        raise BadRequestError("the body is not a JSON object")
    return fields


def to_frame(fields: dict[str, Any], columns: tuple[str, ...]) -> pd.DataFrame:
    """One row with the model's columns, by name and in order."""
    missing = [name for name in columns if name not in fields]
    if missing:
        raise BadRequestError(f"missing: {', '.join(missing)}")
    wrong = [name for name in columns if not is_number(fields[name])]
    if wrong:
        raise BadRequestError(f"not a number: {', '.join(wrong)}")
    return pd.DataFrame([[float(fields[name]) for name in columns]], columns=list(columns))


def is_number(value: object) -> bool:
    """Whether a value can stand for a feature: a finite number, no boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """A response as API Gateway and function URLs take it."""
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
