"""The whole way of the sklearn recipe with an engine and a registry, on a stand-in for AWS's base image."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.engine.connect import connect
from lamina.index import from_environment
from lamina.prove.runtime_standin import standin
from lamina.store import Store
from lamina.target import target_for

pytestmark = pytest.mark.usefixtures("index")

TARGET = "cp311-manylinux2014_x86_64"
INVOKE = "http://127.0.0.1:{}/2015-03-31/functions/function/invocations"
#: As the recipe has them: MODEL_BUCKET and MODEL_KEY.
MODEL = "models/credit/model.pkl"


def test_lock_build_prove_image_push_pull_run_and_invoke_on_the_stand_in(
    lamina: Callable[..., subprocess.CompletedProcess[str]],
    project: Path,
    base_image: str,
    registry: str,
    bucket: Callable[[str, Path], str],
    shared_store: Path,
) -> None:
    env = {"LAMINA_BASE_IMAGE": base_image}
    chosen = ("sklearn", "--target", TARGET)

    lock = project / "recipes" / "locks" / f"sklearn-{TARGET}.txt"
    pins = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    done = lamina("lock", *chosen, "--builder", "docker", env=env)
    assert done.returncode == 0, done.stderr
    assert [line for line in lock.read_text().splitlines() if not line.startswith("#")] == pins

    done = lamina("build", *chosen, env=env)
    assert done.returncode == 0, done.stderr
    done = lamina("prove", *chosen, "--in", "container", "--json", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    [proven] = json.loads(done.stdout)
    assert proven["passed"]
    assert all("container lamina-standin" in proof["where"] for proof in proven["proofs"])

    name = f"{registry}/whole-way/sklearn:1"
    done = lamina("image", *chosen, "--push", name, "--json", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = json.loads(done.stdout)
    digest = made["manifest"]["image"]["digest"]

    model, events = bucket(MODEL, project / "layers/sklearn/events/model.pkl"), project / "layers/sklearn/events"
    # AWS's own client stands in every base image of AWS's, and the stand-in has none.
    runtime = standin(
        target_for("cp311", architecture="x86_64"), store=Store(shared_store), indexes=from_environment(os.environ)
    )
    with running(name, digest, {"AWS_ENDPOINT_URL": model}, runtime) as port:
        predicted = invoke(port, (events / "predict.json").read_bytes())
        refused = invoke(port, (events / "missing.json").read_bytes())
    assert predicted["statusCode"] == 200
    assert 0.2121 < json.loads(predicted["body"])["probability"] < 0.2122
    assert (refused["statusCode"], json.loads(refused["body"])) == (400, {"error": "missing: debt_ratio"})


def test_locked_and_proven_on_podman_in_the_stand_in(
    lamina: Callable[..., subprocess.CompletedProcess[str]], project: Path, base_image: str, podman: str
) -> None:
    env = {"LAMINA_BASE_IMAGE": base_image, "DOCKER_HOST": podman}
    chosen = ("sklearn", "--target", TARGET)
    lock = project / "recipes" / "locks" / f"sklearn-{TARGET}.txt"
    pins = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    for command in (
        ("lock", *chosen, "--builder", "docker"),
        ("build", *chosen),
        ("prove", *chosen, "--in", "container"),
    ):
        done = lamina(*command, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in lock.read_text().splitlines() if not line.startswith("#")] == pins
    assert "5 proofs passed" in done.stdout  # imports, two events, and those once more through the emulator


@pytest.fixture
def bucket() -> Iterator[Callable[[str, Path], str]]:
    """Put an object into an S3 of this test; its endpoint."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()

    def put(place: str, content: Path) -> str:
        host, port = server.get_host_and_port()
        endpoint, (name, _, key) = f"http://{host}:{port}", place.partition("/")
        s3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",  # noqa: S106
        )
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key=key, Body=content.read_bytes())
        s3.close()
        return endpoint

    try:
        yield put
    finally:
        server.stop()


@contextlib.contextmanager
def running(name: str, digest: str, environment: dict[str, str], runtime: Path) -> Iterator[int]:
    """Pull the image as anybody would, run its entry point on the machine's network; the port that it listens on."""
    import docker

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    engine = connect(os.environ)
    engine.close()
    client = docker.DockerClient(base_url=engine.host)
    try:
        repository, _, tag = name.rpartition(":")
        image = client.images.pull(repository, tag=tag)
        assert f"{repository}@{digest}" in image.attrs["RepoDigests"]
        credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        container = client.containers.run(
            image.id,
            detach=True,
            network_mode="host",
            volumes={str(runtime): {"bind": "/var/runtime", "mode": "ro"}},
            environment={**environment, **credentials, "STANDIN_PORT": str(port)},
        )
        try:
            yield port
        finally:
            container.remove(force=True)
            client.images.remove(image.id, force=True)
    finally:
        client.close()


def invoke(port: int, event: bytes) -> dict[str, Any]:
    """Post an event to the container, as soon as it listens."""
    until = time.monotonic() + 30
    while True:
        with contextlib.suppress(ConnectionError, OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        assert time.monotonic() < until, "nothing listens"
        time.sleep(0.1)
    request = urllib.request.Request(INVOKE.format(port), data=event, method="POST")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        told: dict[str, Any] = json.loads(answer.read())
        return told
