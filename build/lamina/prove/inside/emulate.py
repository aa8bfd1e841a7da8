"""Sends events to the emulator of a base image, from inside it; says nothing where the image has none.

Runs in the image's interpreter, with the standard library alone: an order on standard input, an answer a line on
standard output. AWS's images start the emulator (aws-lambda-rie) where no Runtime API is named to them, and it answers
on port 8080: AWS Lambda developer guide, page python-image, "(Optional) Test the image locally".
"""

import base64
import http.client
import json
import os
import subprocess
import sys
import time

EMULATOR = "/usr/local/bin/aws-lambda-rie"
PORT, PATH = 8080, "/2015-03-31/functions/function/invocations"
START = 10.0  # seconds for the emulator to listen
BESIDE = 15.0  # seconds that an answer may take beyond the function's timeout: initialization


def main() -> None:
    """Start what the image starts, send each event, end it."""
    order = json.loads(sys.stdin.buffer.read())
    if not os.access(EMULATOR, os.X_OK):
        return
    emulator = subprocess.Popen(  # noqa: S603 - the image's own
        order["command"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        env=order.get("environment"),
        cwd=order.get("folder"),
    )
    try:
        for event in order["events"]:
            answer = answered(base64.b64decode(event), order["seconds"] + BESIDE)
            sys.stdout.write(base64.b64encode(answer).decode() + "\n")
            sys.stdout.flush()
    finally:
        emulator.kill()
        emulator.wait()


def answered(event: bytes, seconds: float) -> bytes:
    """What the emulator answers."""
    until = time.monotonic() + START
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=seconds)
        try:
            connection.request("POST", PATH, event, {"Content-Type": "application/json"})
            return connection.getresponse().read()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


if __name__ == "__main__":
    main()
