"""The Invoke API, called as users call it: by boto3 and by curl."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamina.errors import UsageError
from lamina.prove.invocation import Invocation
from lamina.prove.invoke import Function
from lamina.prove.serve import InvokeServer

SOURCE = """
def lambda_handler(event, context):
    print("got", event)
    if "fail" in event:
        raise ValueError(event["fail"])
    custom = context.client_context.custom if context.client_context else None
    return {"event": event, "custom": custom}
"""


class Served(InvokeServer):
    """A server that keeps what it was told."""

    done: list[Invocation]


@pytest.fixture
def served(function: Callable[..., Function]) -> Iterator[Served]:
    done: list[Invocation] = []
    with Served(function(SOURCE).invoke, done.append) as server:
        server.done = done
        yield server


def call(served: Served, body: bytes, *, name: str = "function", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request("POST", f"/2015-03-31/functions/{name}/invocations", body, sent)
    answer = connection.getresponse()
    found = answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


BOTO3 = """
import base64, boto3, json, sys
from botocore.config import Config
client = boto3.client("lambda", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="x",
                      aws_secret_access_key="x", config=Config(retries={"max_attempts": 0}))
context = base64.b64encode(json.dumps({"custom": {"a": "é"}}).encode()).decode()
told = []
for event, more in [({"n": 1}, {"LogType": "Tail"}), ({"fail": "so"}, {}), ({"n": 2}, {"InvocationType": "DryRun"}),
                    ({"n": 3}, {"ClientContext": context}), ({"n": 4}, {"InvocationType": "Event"})]:
    answer = client.invoke(FunctionName="churn", Payload=json.dumps(event), **more)
    told.append([answer["StatusCode"], answer.get("FunctionError"), answer.get("ExecutedVersion"),
                 base64.b64decode(answer.get("LogResult", "")).decode(), answer["Payload"].read().decode()])
try:
    client.invoke(FunctionName="churn", Payload="{'n': 1}")
except client.exceptions.InvalidRequestContentException as error:
    told.append(error.response["Error"]["Message"])
print(json.dumps(told))
"""


def test_boto3_invokes_it(served: Served, aws: Path) -> None:
    command = [sys.executable, "-c", BOTO3, f"http://127.0.0.1:{served.port}"]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(aws)}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    first, failed, dry, third, later, refused = json.loads(done.stdout)
    assert first == [200, None, "$LATEST", "got {'n': 1}\n", '{"event": {"n": 1}, "custom": null}']
    assert failed[:3] == [200, "Unhandled", "$LATEST"]
    assert json.loads(failed[4])["errorType"] == "ValueError"
    assert dry == [204, None, None, "", ""]
    assert json.loads(third[4]) == {"event": {"n": 3}, "custom": {"a": "é"}}
    assert later == [202, None, "$LATEST", "", ""]
    assert refused.startswith("the event: not JSON: JSON is malformed")
    until = time.monotonic() + 20
    while len(served.done) < 4 and time.monotonic() < until:
        time.sleep(0.02)
    assert [one.payload for one in served.done[3:]] == [b'{"event": {"n": 4}, "custom": null}']


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_invokes_it(served: Served) -> None:
    url = f"http://127.0.0.1:{served.port}/2015-03-31/functions/function/invocations"
    large = json.dumps({"text": "x" * 2_000_000})  # curl asks whether it may send so much: Expect: 100-continue
    for body in ('{"name": "ann"}', large):
        done = subprocess.run(
            ["curl", "-sS", url, "-d", "@-"], input=body, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stderr == ""
        assert json.loads(done.stdout) == {"event": json.loads(body), "custom": None}


def test_what_it_refuses(served: Served) -> None:
    status, headers, body = call(served, b"1" * 6_291_457)
    assert (status, headers["x-amzn-errortype"]) == (413, "RequestTooLargeException")
    assert json.loads(body)["message"] == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    assert call(served, b"{}", X_Amz_Invocation_Type="Sometimes")[0] == 400
    assert call(served, b"{}", X_Amz_Client_Context="%%%")[0] == 400
    assert call(served, b"{}", name="a/b")[0] == 404
    assert call(served, b"{", name="x")[1]["x-amzn-errortype"] == "InvalidRequestContentException"
    assert served.done == []
    assert call(served, b"")[2] == b'{"event": {}, "custom": null}'


def test_only_the_end_of_a_long_log_is_told(function: Callable[..., Function]) -> None:
    noisy = function("def lambda_handler(event, context):\n    print('x' * 10_000)\n    print('end')\n")
    with Served(noisy.invoke) as server:
        headers = call(server, b"{}", X_Amz_Log_Type="Tail")[1]
    assert base64.b64decode(headers["x-amz-log-result"]) == b"x" * 4091 + b"\nend\n"


def test_a_port_that_is_taken_is_told(served: Served) -> None:
    with pytest.raises(UsageError, match=f"^port {served.port} cannot be opened: Address already in use"):
        Served(lambda event, **_: pytest.fail(str(event)), port=served.port)


def test_closed_it_takes_no_more(function: Callable[..., Function]) -> None:
    with Served(function(SOURCE).invoke) as server:
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
