"""The functions under layers/, called in the packages of their layers, with an S3 on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli

from lamina.function.code import check_function
from lamina.recipe.model import Function

LAYERS = Path(__file__).parents[2] / "layers"
RECIPES = Path(__file__).parents[2] / "recipes"

#: Calls a handler with each event in turn and writes the answers; warnings are errors.
CALLER = """
import json, sys
layer, function, events = sys.argv[1:4]
sys.path[:0] = [function, layer]
sys.path.append(sys.argv[4])
import handler
print(json.dumps([handler.lambda_handler(event, None) for event in json.loads(events)]), file=sys.__stdout__)
"""
#: Ends with its standard input.
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """The address of an S3 that the test may fill."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        assert server.stdin is not None
        server.stdin.close()


@pytest.fixture
def s3(s3_url: str) -> Any:  # noqa: ANN401 - boto3 makes its clients' classes when it runs
    """A client of that S3."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 - moto's
    )


def call(
    name: str,
    layer: Path,
    python: str,
    events: list[dict[str, Any]],
    tmp_path: Path,
    *,
    warnings: str = "error",
    **environment: str,
) -> list[Any]:
    """Call the function of a layer in a process of its own. boto3 comes from where the tests have it."""
    import boto3

    function, shared = LAYERS / name / "function", Path(boto3.__file__).parents[1]
    done = subprocess.run(
        [python, "-B", "-W", warnings, "-c", CALLER, layer, function, json.dumps(events), shared],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **CREDENTIALS, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert isinstance(answers, list)
    return answers


def event(name: str, file: str) -> dict[str, Any]:
    """An event of a layer."""
    held = json.loads((LAYERS / name / "events" / file).read_text(encoding="utf-8"))
    assert isinstance(held, dict)
    return held


@pytest.fixture
def recorded() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers every request with the recorded message, its address, and what it was asked."""
    asked: list[dict[str, Any]] = []
    answer = (LAYERS / "docworker/recorded/messages.json").read_bytes()

    class Recorded(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if self.path == "/v1/messages" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Recorded) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


FUNCTIONS = tuple(sorted(path.parent.name for path in LAYERS.glob("*/function")))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_is_said_against_the_functions(name: str) -> None:
    raw = tomli.loads((RECIPES / f"{name}.toml").read_text(encoding="utf-8"))["function"]
    function = msgspec.convert({**raw, "memory": 0}, Function)
    folder = LAYERS / name / "function"
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}
    assert list(check_function(files, function)) == []


SKLEARN = ["scikit-learn==1.3.2", "numpy==1.26.4", "pandas==2.3.2", "scipy==1.16.3"]


def predict(body: object) -> dict[str, Any]:
    """A request with this body."""
    return {"body": body if isinstance(body, str) else json.dumps(body)}


def test_sklearn_predicts_and_refuses(layers: Any, python311: str, s3: Any, s3_url: str, tmp_path: Path) -> None:  # noqa: ANN401
    layer = layers.open("functions-sklearn", SKLEARN)
    s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.upload_file(str(LAYERS / "sklearn/events/model.pkl"), "models", "credit/model.pkl")
    good = {"income": 5200, "debt_ratio": 0.31, "late_payments": 1, "months_employed": 48}
    events = [
        event("sklearn", "predict.json"),
        event("sklearn", "missing.json"),
        {"body": "eyJpbmNvbWUiOiAx", "isBase64Encoded": True},
        predict({**good, "income": "much"}),
        predict({**good, "income": True}),
        predict('{"income": NaN, "debt_ratio": 1, "late_payments": 1, "months_employed": 1}'),
        predict([]),
        {},
        predict({**good, "debt_ratio": 0.95, "late_payments": 8}),
    ]
    answers = call(
        "sklearn",
        layer,
        python311,
        events,
        tmp_path,
        AWS_ENDPOINT_URL_S3=s3_url,
        MODEL_BUCKET="models",
        MODEL_KEY="credit/model.pkl",
    )
    assert [answer["statusCode"] for answer in answers] == [200, 400, 400, 400, 400, 400, 400, 400, 200]
    bodies = [json.loads(answer["body"]) for answer in answers]
    assert 0 < bodies[0]["probability"] < bodies[-1]["probability"] < 1
    assert [body.get("error") for body in bodies[1:-1]] == [
        "missing: debt_ratio",
        "the body is not JSON",
        "not a number: income",
        "not a number: income",
        "not a number: income",
        "the body is not a JSON object",
        "the request has no body",
    ]


DOCWORKER = [
    "anthropic==0.39.0",
    "pymupdf==1.24.0",
    "Pillow==10.2.0",
    "pytesseract==0.3.10",
    "pydantic==2.5.3",
    "obstore==0.12.1",
]


def test_docworker_classifies_and_reports_what_failed(
    layers: Any,  # noqa: ANN401
    python311: str,
    s3: Any,  # noqa: ANN401
    s3_url: str,
    recorded: tuple[str, list[dict[str, Any]]],
    tmp_path: Path,
) -> None:
    layer = layers.open("functions-docworker", [*DOCWORKER, "httpx<0.28"])
    s3.create_bucket(Bucket="documents", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.upload_file(str(LAYERS / "docworker/events/invoice.pdf"), "documents", "invoice.pdf")
    s3.put_object(Bucket="documents", Key="noise.bin", Body=b"no document at all")
    absent, good = event("docworker", "absent.json"), event("docworker", "invoice.json")
    broken = [
        {"messageId": "not-json", "body": "{"},
        {"messageId": "no-key", "body": '{"bucket": "documents"}'},
        {"messageId": "noise", "body": '{"bucket": "documents", "key": "noise.bin"}'},
        {"messageId": "other-key", "body": '{"bucket": "documents", "key": "/invoice.pdf"}'},
    ]
    batch = {"Records": [*broken, *good["Records"], *absent["Records"]]}
    url, asked = recorded
    answers = call(
        "docworker",
        layer,
        python311,
        [good, batch],
        tmp_path,
        warnings="default",  # PyMuPDF 1.24's own bindings warn when they are imported
        AWS_ENDPOINT_URL_S3=s3_url,
        RESULT_BUCKET="documents",
        ANTHROPIC_API_KEY="none-is-needed-here",
        ANTHROPIC_MODEL="claude-3-5-haiku-20241022",
        ANTHROPIC_BASE_URL=url,
    )
    last = absent["Records"][0]["messageId"]
    failed = [{"itemIdentifier": name} for name in ("not-json", "no-key", "noise", "other-key", last)]
    assert answers == [{"batchItemFailures": []}, {"batchItemFailures": failed}]
    assert "Invoice 2024-117\nConsulting, 10 hours" in asked[0]["messages"][0]["content"]
    result = json.loads(s3.get_object(Bucket="documents", Key="invoice.pdf.json")["Body"].read())
    assert result.pop("characters") == len(
        "Invoice 2024-117\nConsulting, 10 hours: 1,250.00 EUR\nPayable within 30 days.\n"
    )
    assert result == {
        "source": {"bucket": "documents", "key": "invoice.pdf"},
        "kind": "invoice",
        "confidence": 0.97,
        "summary": "Invoice 2024-117 over 1,250.00 EUR for consulting.",
    }


def test_chroma_answers_from_a_snapshot_and_refuses_a_larger_one(
    layers: Any,  # noqa: ANN401
    python312: str,
    s3: Any,  # noqa: ANN401
    s3_url: str,
    tmp_path: Path,
) -> None:
    recipe = (RECIPES / "chroma.toml").read_text(encoding="utf-8")
    omitted = recipe[recipe.index("omit = [") : recipe.index("[[target]]")]
    overlay = LAYERS / "chroma/overlay"
    layer = layers.open("functions-chroma", ["chromadb==1.5.9"], head=omitted, python="cp312", overlay=overlay)
    s3.create_bucket(Bucket="snapshots", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.upload_file(str(LAYERS / "chroma/events/snapshot.zip"), "snapshots", "handbook.zip")
    settings = {
        "AWS_ENDPOINT_URL_S3": s3_url,
        "SNAPSHOT_BUCKET": "snapshots",
        "SNAPSHOT_KEY": "handbook.zip",
        "COLLECTION": "handbook",
        "TMPDIR": str(tmp_path),
    }
    events = [
        event("chroma", "ragged.json"),
        event("chroma", "query.json"),
        {"embeddings": [[1, 0, 0, 0]], "results": 1000},
        {"embeddings": "text"},
        {"embeddings": [[0, 0, 0, 1], [0, 1, 0, 0]], "results": 1},
    ]
    ragged, first, many, text, second = call(
        "chroma", layer, python312, events, tmp_path, warnings="default", **settings
    )
    assert ragged == {"statusCode": 400, "body": {"error": "embeddings must be of one length"}}
    assert many == {"statusCode": 400, "body": {"error": "results must be a whole number from 1 to 100"}}
    assert text == {"statusCode": 400, "body": {"error": "embeddings must be a list of lists of numbers"}}
    assert first["body"]["ids"] == [["return-policy", "warranty"]]
    assert first["body"]["metadatas"] == [[{"page": 1}, {"page": 3}]]
    assert second["body"]["ids"] == [["opening-hours"], ["shipping"]]
    with pytest.raises(AssertionError, match=r"snapshots/handbook.zip: \d+ bytes, more than 0"):
        call("chroma", layer, python312, events[1:], tmp_path, warnings="default", SNAPSHOT_LIMIT_MB="0", **settings)
