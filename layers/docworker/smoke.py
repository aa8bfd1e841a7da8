"""The proof of docworker: a document read, classified by an answer that was recorded, and the result written back.

Runs in the sandbox, with the layer and the function on the path and the objects of the recipe's proof in an S3 on
loopback. The API is a server of this script that gives the recorded answer to whoever asks.
"""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3

s3 = boto3.client("s3")
ASKED: list[bytes] = []


def read(bucket: str, key: str) -> bytes:
    """An object."""
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


ANSWER = read("recorded", "messages.json")


class Recorded(BaseHTTPRequestHandler):
    """Gives the recorded answer."""

    def do_POST(self) -> None:
        """Keep the question, answer as it was answered once."""
        ASKED.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Recorded)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["ANTHROPIC_BASE_URL"] = f"http://127.0.0.1:{server.server_port}"
os.environ["ANTHROPIC_API_KEY"] = "recorded"

import handler  # noqa: E402 - it makes its clients when it is imported

event = json.loads(read("recorded", "event.json"))
key = json.loads(event["Records"][0]["body"])["key"]
answer = handler.lambda_handler(event, None)
if answer != {"batchItemFailures": []}:
    raise SystemExit(f"the batch failed: {answer}")
if len(ASKED) != 1:
    raise SystemExit(f"asked {len(ASKED)} times about one document")
missing = [words for words in json.loads(read("recorded", "words.json")) if words not in ASKED[0].decode()]
if missing:
    raise SystemExit(f"not read from the document: {missing}; asked: {ASKED[0].decode()}")
written = json.loads(read("documents", f"{key}.json"))
if written["source"] != {"bucket": "documents", "key": key} or written["kind"] != "invoice":
    raise SystemExit(f"the result is not about the document: {written}")
