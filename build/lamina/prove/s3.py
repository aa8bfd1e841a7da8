"""A loopback S3 for the time of a proof: moto's server in a process of its own, with the recipe's files in it.

In ``[proof.s3]`` the first part of a key names the bucket: ``"models/churn/model.pkl"`` is the object
``churn/model.pkl`` in the bucket ``models``.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import threading
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from lamina.errors import MissingToolError, RecipeError
from lamina.prove.invocation import CREDENTIALS, REGION

#: Ends with its standard input, so that it never outlives what started it, however that ended.
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
#: moto looks at who asks, since objects are private, and never at the signature.
_SIGNED = (
    f"AWS4-HMAC-SHA256 Credential={CREDENTIALS['AWS_ACCESS_KEY_ID']}/20260101/{REGION}/s3/aws4_request, "
    "SignedHeaders=host, Signature=none"
)
#: Seconds for the server to start; it imports a good deal.
_START = 60.0
_TALK = 60.0
_MISSING = re.compile(r"No module named '(moto|flask|werkzeug|boto3|botocore|flask_cors)\b")
#: Source: Amazon S3 user guide, page bucketnamingrules, and page object-keys for the length of a key in bytes.
_BUCKET = re.compile(r"(?=.{3,63}$)[a-z0-9][a-z0-9.-]*[a-z0-9]")
_KEY_BYTES = 1024


class Place(NamedTuple):
    """Where an object is."""

    bucket: str
    key: str


def place(name: str) -> Place:
    """The bucket and the key that a name in ``[proof.s3]`` stands for.

    Raises:
        RecipeError: it has no key, or begins with what cannot be the name of a bucket.
    """
    bucket, _, key = name.partition("/")
    if not key or len(key.encode(errors="surrogatepass")) > _KEY_BYTES:
        raise RecipeError(
            f'proof.s3."{name}": expected a bucket and a key of at most {_KEY_BYTES} bytes',
            hint="Write it as bucket/key: models/churn/model.pkl is churn/model.pkl in the bucket models.",
        )
    if _BUCKET.fullmatch(bucket) is None or ".." in bucket:
        raise RecipeError(
            f'proof.s3."{name}": {bucket} cannot be the name of a bucket',
            hint="A bucket's name is 3 to 63 lower-case letters, digits, hyphens and dots, and begins the key.",
        )
    return Place(bucket, key)


class LoopbackS3:
    """An S3 on a port that the system chooses, holding ``objects``: names as in ``[proof.s3]`` and their files.

    ``environment`` is that of the server's process. Closing it ends the process; what functions wrote is gone then.

    Raises:
        MissingToolError: moto is not installed, or its server does not start.
        RecipeError: a name that is no bucket and key, or a file that cannot be read.
    """

    def __init__(self, objects: Mapping[str, Path], environment: Mapping[str, str]) -> None:
        files = {place(name): path for name, path in objects.items()}
        # -P: a folder named moto where lamina happens to run is not the moto that is meant.
        command = [sys.executable, "-P", "-c", _SERVER]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
            command, stdin=pipe, stdout=pipe, stderr=pipe, env={**environment, **CREDENTIALS}
        )
        self._errors = bytearray()
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        try:
            self.port = self._started()
            for bucket in sorted({at.bucket for at in files}):
                self._request("PUT", f"/{bucket}")
            for at, path in files.items():
                self._request("PUT", _path(at), _read(path, at))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a function needs to find it: the AWS SDKs read these. Credentials and region are Lambda's own."""
        url = f"http://127.0.0.1:{self.port}"
        return {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": url, "AWS_REGION": REGION}

    def get(self, name: str) -> bytes | None:
        """The object of this name, bucket and key, or ``None`` where there is none."""
        status, body = self._talk("GET", _path(place(name)))
        return body if status == http.HTTPStatus.OK else None

    def names(self, bucket: str) -> list[str]:
        """The keys in a bucket, sorted; empty for one that is not there. Buckets of more than 1,000 are cut off."""
        status, body = self._talk("GET", f"/{bucket}?list-type=2")
        if status != http.HTTPStatus.OK:
            return []
        keys = ET.fromstring(body).iterfind("{*}Contents/{*}Key")  # noqa: S314 - of our own server
        return sorted(key.text or "" for key in keys)

    def close(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _started(self) -> int:
        alarm = threading.Timer(_START, self._process.kill)
        alarm.start()
        stdout = self._process.stdout
        line = stdout.readline(100) if stdout is not None else b""
        alarm.cancel()
        if line.strip().isdigit():
            return int(line)
        self._process.kill()
        self._reader.join()
        said = self._errors.decode(errors="replace").strip()
        if _MISSING.search(said):
            message = "[proof.s3] needs moto's server, which is not installed beside lamina"
            raise MissingToolError(message, hint="Install it with: pip install 'moto[s3,server]'")
        message = "moto's server, the S3 of [proof.s3], does not start"
        raise MissingToolError(message, hint="\n".join(said.splitlines()[-5:]) or "It ended without a word.")

    def _drain(self) -> None:
        stderr = self._process.stderr
        while stderr is not None and (data := stderr.read1(65_536)):  # type: ignore[attr-defined]
            self._errors = (self._errors + data)[-65_536:]

    def _request(self, method: str, path: str, body: bytes = b"") -> None:
        status, said = self._talk(method, path, body)
        if status != http.HTTPStatus.OK:
            message = f"moto's server, the S3 of [proof.s3], answers {status} to {method} {path}"
            raise MissingToolError(message, hint=said[:500].decode(errors="replace"))

    def _talk(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TALK)
        try:
            connection.request(method, path, body, {"Authorization": _SIGNED})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            message = f"moto's server, the S3 of [proof.s3], does not answer: {type(error).__name__} {error}"
            raise MissingToolError(
                message, hint="Try again; it has ended, or the machine is short of memory."
            ) from error
        finally:
            connection.close()


def _path(at: Place) -> str:
    return f"/{at.bucket}/{urllib.parse.quote(at.key, safe='/', errors='surrogatepass')}"


def _read(path: Path, at: Place) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecipeError(
            f'proof.s3."{at.bucket}/{at.key}": {path}: {error.strerror}',
            hint="Name a file of the project; paths are relative to its root.",
        ) from error
