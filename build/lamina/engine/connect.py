"""Where engines are: DOCKER_HOST, the current Docker context, the usual sockets of Docker and Podman."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamina.engine.engine import ELSEWHERE, Engine, told
from lamina.errors import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TIMEOUT = 120  # seconds for one answer of the engine


def connect(environment: Mapping[str, str]) -> Engine:
    """The first engine that answers: DOCKER_HOST's, the current Docker context's, those at their usual sockets.

    With DOCKER_HOST no other is tried.

    Raises:
        MissingToolError: the SDK is not installed, or no engine answers; the message tells what was tried.
    """
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as error:
        raise MissingToolError(
            "a proof in a container needs the docker SDK, which is not installed",
            hint=f"Install it: pip install docker. {ELSEWHERE}",
        ) from error
    tried = []
    for host, tls in _hosts(environment):
        client = None
        if not _there(host):  # the SDK says so in other words, and leaves a socket open
            tried.append(f"\n  {host}: there is no such socket")
            continue
        try:
            client = docker.DockerClient(base_url=host, tls=tls, timeout=_TIMEOUT)
            client.ping()
        except (DockerException, OSError, ValueError) as error:
            tried.append(f"\n  {host}: {told(error)}")
            if client is not None:
                client.close()
        else:
            return Engine(client, host)
    raise MissingToolError(
        f"no container engine answers; tried:{''.join(tried) or ' nothing, as no socket of one is there'}",
        hint=f"Start Docker or Podman (podman system service), or name its socket in DOCKER_HOST. {ELSEWHERE}",
    )


def _hosts(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Where engines can be, and the certificates for them."""
    stated = environment.get("DOCKER_HOST")
    if stated:
        yield stated, _certificates(environment)
        return
    seen = set()
    for host, tls in (*_context(), *((host, False) for host in _usual(environment))):
        if host not in seen:
            seen.add(host)
            yield host, tls


def _certificates(environment: Mapping[str, str]) -> Any:  # noqa: ANN401 - the SDK has no types
    folder = environment.get("DOCKER_CERT_PATH")
    if not folder or not environment.get("DOCKER_TLS_VERIFY"):
        return False
    from docker.tls import TLSConfig

    files = [str(Path(folder) / name) for name in ("cert.pem", "key.pem", "ca.pem")]
    return TLSConfig(client_cert=(files[0], files[1]), ca_cert=files[2], verify=True)


def _context() -> Iterator[tuple[str, Any]]:
    """The engine of the current context, which ``docker context use`` sets."""
    from docker.context import ContextAPI

    found = None
    with contextlib.suppress(Exception):  # whatever stands in the user's files
        found = ContextAPI.get_current_context()
    if found is not None and found.Host and _there(found.Host):
        yield found.Host, found.TLSConfig or False


def _usual(environment: Mapping[str, str]) -> Iterator[str]:
    """The sockets that are there.

    Sources: dockerd(8), the manuals of Docker Desktop and of rootless Docker, podman-system-service(1).
    """
    if sys.platform == "win32":
        yield "npipe:////./pipe/docker_engine"
        yield "npipe:////./pipe/podman-machine-default"
        return
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    home = environment.get("HOME", "")
    for path in (
        "/var/run/docker.sock",
        f"{home}/.docker/run/docker.sock",
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        "/run/podman/podman.sock",
    ):
        if _there(f"unix://{path}"):
            yield f"unix://{path}"


def _there(host: str) -> bool:
    scheme, _, path = host.partition("://")
    return scheme not in {"unix", "http+unix"} or Path("/", path).exists()
