"""A loopback S3 that functions read from and write to with boto3."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamina.errors import MissingToolError, RecipeError
from lamina.prove.invoke import Function
from lamina.prove.s3 import LoopbackS3

SOURCE = """
import boto3, os
s3 = boto3.client("s3")
def lambda_handler(event, context):
    body = s3.get_object(Bucket="models", Key=event["key"])["Body"].read()
    s3.put_object(Bucket="models", Key="out/upper copy.txt", Body=body.upper())
    return {"size": len(body), "endpoint": os.environ["AWS_ENDPOINT_URL_S3"]}
"""


@pytest.fixture
def s3(aws: Path, tmp_path: Path) -> Iterator[LoopbackS3]:
    (tmp_path / "model.pkl").write_bytes(b"weights")
    (tmp_path / "large.bin").write_bytes(b"\0" * 9_000_000)
    objects = {"models/churn/model v1.pkl": tmp_path / "model.pkl", "archive/large.bin": tmp_path / "large.bin"}
    with LoopbackS3(objects, {**os.environ, "PYTHONPATH": str(aws)}) as server:
        yield server


def test_a_function_reads_and_writes_objects(s3: LoopbackS3, function: Callable[..., Function], aws: Path) -> None:
    assert aws
    reading = function(SOURCE, environment=s3.environment, reach=[s3.port])
    done = reading.invoke(b'{"key": "churn/model v1.pkl"}')
    assert done.error is None, done.logs
    assert json.loads(done.payload) == {"size": 7, "endpoint": f"http://127.0.0.1:{s3.port}"}
    assert s3.get("models/out/upper copy.txt") == b"WEIGHTS"
    assert s3.get("archive/large.bin") == b"\0" * 9_000_000
    assert s3.names("models") == ["churn/model v1.pkl", "out/upper copy.txt"]
    assert (s3.get("models/none"), s3.get("nowhere/none"), s3.names("nowhere")) == (None, None, [])
    missing = reading.invoke(b'{"key": "none"}')
    assert missing.error is not None
    assert missing.error.error_type == "NoSuchKey"


def test_it_ends_when_it_is_closed(aws: Path) -> None:
    server = LoopbackS3({}, {**os.environ, "PYTHONPATH": str(aws)})
    assert server.names("models") == []
    server.close()
    with pytest.raises(MissingToolError, match=r"^moto's server, the S3 of \[proof\.s3\], does not answer: "):
        server.names("models")


def test_without_moto_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "moto.py").write_text("raise ModuleNotFoundError(\"No module named 'moto'\", name='moto')")
    with pytest.raises(MissingToolError) as caught:
        LoopbackS3({}, {**os.environ, "PYTHONPATH": str(tmp_path)})
    assert caught.value.message == "[proof.s3] needs moto's server, which is not installed beside lamina"
    assert caught.value.hint == "Install it with: pip install 'moto[s3,server]'"


def test_a_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "moto.py").write_text("raise RuntimeError('no luck')")
    with pytest.raises(MissingToolError) as caught:
        LoopbackS3({}, {**os.environ, "PYTHONPATH": str(tmp_path)})
    assert caught.value.message == "moto's server, the S3 of [proof.s3], does not start"
    assert caught.value.hint.endswith("RuntimeError: no luck")


def test_a_file_that_is_not_there_is_told_and_no_server_stays(aws: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.pkl"
    with pytest.raises(RecipeError) as caught:
        LoopbackS3({"models/model.pkl": gone}, {**os.environ, "PYTHONPATH": str(aws)})
    assert caught.value.message == f'proof.s3."models/model.pkl": {gone}: No such file or directory'
