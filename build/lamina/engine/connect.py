"""Where engines are: what the environment names, the current Docker context, the usual sockets of Docker and Podman."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamina.engine.attached import told
from lamina.engine.engine import ELSEWHERE, Engine
from lamina.errors import MissingToolError
from lamina.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina.engine.images import Image
    from lamina.progress import Progress
    from lamina.target import Target

#: Seconds for the first answer of an engine, which does nothing for it, and for every later one.
_FIRST_ANSWER = 15
_TIMEOUT = 120
_FORBIDDEN = os.strerror(errno.EACCES)


def connect(environment: Mapping[str, str]) -> Engine:
    """The first engine that answers: the environment's, the current Docker context's, those at their usual sockets.

    DOCKER_HOST, CONTAINER_HOST (Podman's name for the same) and DOCKER_CONTEXT, in this order, name the only one that
    is tried.

    Raises:
        MissingToolError: the SDK is not installed, or no engine answers; the message tells what was tried.
    """
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as error:
        raise MissingToolError(
            "to work with containers lamina needs the docker SDK, which is not installed",
            hint=f"Install it: pip install docker. {ELSEWHERE}",
        ) from error
    tried = []
    for host, tls in _hosts(environment):
        client = None
        if not _there(host):  # the SDK says so in other words, and leaves a socket open
            tried.append(f"\n  {host}: there is no such socket")
            continue
        try:
            client = docker.DockerClient(base_url=host, tls=tls, timeout=_FIRST_ANSWER)
            client.ping()
        except (DockerException, OSError, ValueError) as error:
            tried.append(f"\n  {host}: {told(error)}")
            if client is not None:
                client.close()
        else:
            client.api.timeout = _TIMEOUT
            return Engine(client, host)
    start = "Start Docker or Podman (podman system service), or name its socket in DOCKER_HOST."
    if any(one.endswith(_FORBIDDEN) for one in tried):
        start = "Let this user speak to the engine (its group is docker), or start one of the user's own (rootless)."
    raise MissingToolError(
        f"no container engine answers; tried:{''.join(tried) or ' nothing, as no socket of one is there'}",
        hint=f"{start} {ELSEWHERE}",
    )


def connect_with(
    image: str,
    target: Target,
    environment: Mapping[str, str],
    *,
    offline: bool = False,
    progress: Progress = SILENT,
) -> tuple[Engine, Image]:
    """The engine that :func:`connect` finds, and the image of that name in it, for the target; pulled where it must be.

    Raises:
        MissingToolError: there is no engine, or it has no such image and cannot pull it.
        UsageError: the image is for another architecture.
    """
    engine = connect(environment)
    try:
        return engine, engine.image(image, target, offline=offline, progress=progress)
    except BaseException:
        engine.close()
        raise


def _hosts(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Where engines can be, and the certificates for them.

    Sources: https://docs.docker.com/engine/reference/commandline/context_use/ (what comes before what), podman(1) on
    CONTAINER_HOST.
    """
    stated = environment.get("DOCKER_HOST") or environment.get("CONTAINER_HOST")
    if stated:
        yield stated, _certificates(environment)
        return
    named = environment.get("DOCKER_CONTEXT")
    if named:
        found = [*_context(named)]
        if not found:
            raise MissingToolError(
                f"DOCKER_CONTEXT names the Docker context {named!r}, and there is none of that name",
                hint="Take one of those that docker context ls lists, or unset DOCKER_CONTEXT.",
            )
        yield from found
        return
    seen = set()
    for host, tls in (*_context(None), *((host, False) for host in _usual(environment))):
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


def _context(name: str | None) -> Iterator[tuple[str, Any]]:
    """The engine of a Docker context; without a name, of the current one, which ``docker context use`` sets.

    That of the default context is among the usual ones, and told of only where it is named.
    """
    from docker.context import ContextAPI

    found = None
    with contextlib.suppress(Exception):  # whatever stands in the user's files
        found = ContextAPI.get_context(name)
    if found is not None and found.Host and (name or found.Name != "default" or _there(found.Host)):
        yield found.Host.removeprefix("http+"), found.TLSConfig or False


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
        f"{home}/.docker/desktop/docker.sock",
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        "/run/podman/podman.sock",
    ):
        if _there(f"unix://{path}"):
            yield f"unix://{path}"


def _there(host: str) -> bool:
    scheme, _, path = host.partition("://")
    return scheme not in {"unix", "http+unix"} or Path("/", path).exists()
