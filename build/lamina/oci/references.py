"""How images are named: references as Docker reads them, and the places that skopeo knows.

Source: the grammar of https://github.com/distribution/reference, and containers-transports(5).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

from lamina.errors import UsageError
from lamina.oci.model import DIGEST

_HUB = "docker.io"
_DOMAIN = re.compile(
    r"(?:(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*"
    r"|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
#: The name without tag and digest: https://github.com/distribution/reference, NameTotalLengthMax.
_MOST_NAME = 255
_MOST_PORT = 65535
_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]|::1")
_FORM = "An image is named [REGISTRY/]NAME[:TAG][@sha256:DIGEST], as public.ecr.aws/lambda/python:3.11 is."

Kind = Literal["registry", "oci", "oci-archive", "docker-archive", "docker-daemon"]


class Reference(NamedTuple):
    """An image of a registry. ``tag`` and ``digest`` may be empty; where both are, the tag is ``latest``."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def version(self) -> str:
        """What names the manifest in the registry's API: the digest where there is one, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def url(self) -> str:
        """Where the API of the repository begins; loopback registries speak http, as Docker has it."""
        host = "registry-1.docker.io" if self.registry == _HUB else self.registry
        scheme = "http" if is_loopback(re.sub(r":[0-9]+$", "", host)) else "https"
        return f"{scheme}://{host}/v2/{self.repository}"


class Place(NamedTuple):
    """Where an image lies: a registry or an engine, which know it by ``name``, or a file or folder of that name."""

    kind: Kind
    name: str

    @property
    def path(self) -> Path:
        """The file or folder of a layout or archive."""
        return Path(self.name)


def is_loopback(host: str) -> bool:
    """Whether a name or address without a port means this machine."""
    return _LOOPBACK.fullmatch(host) is not None


def parse(text: str) -> Reference:
    """Read a reference; ``python`` is ``docker.io/library/python``.

    Raises:
        UsageError: it is none, with the part that is wrong.
    """
    rest, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise _wrong(text, f"{digest!r} is no digest, which is sha256: and 64 of 0-9 and a-f")
    domain, _, path = rest.partition("/")
    if not names_registry(rest):
        domain, path = _HUB, rest
    elif not _DOMAIN.fullmatch(domain) or int((re.search(r":([0-9]+)$", domain) or ["", "1"])[1]) > _MOST_PORT:
        raise _wrong(text, f"{domain!r} is no host name with or without a port")
    name, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong(text, f"{tag!r} is no tag, which is up to 128 letters, digits, '_', '.' and '-'")
    if domain == "index.docker.io":
        domain = _HUB
    if domain == _HUB and name and "/" not in name:
        name = f"library/{name}"
    for part in name.split("/"):
        if not _COMPONENT.fullmatch(part):
            what = "the name has an empty part" if not part else f"{part!r} is no part of a name: lower-case letters, "
            raise _wrong(text, what + ("digits and single '.', '_', '-' between them" if part else ""))
    if len(domain) + 1 + len(name) > _MOST_NAME:
        raise _wrong(text, f"the name has more than {_MOST_NAME} characters")
    return Reference(domain, name, tag, digest)


def names_registry(text: str) -> bool:
    """Whether a reference begins with the host of a registry; one that does not is Docker Hub's.

    Source: https://github.com/distribution/reference, ``ParseNormalizedNamed``.
    """
    domain, slash, _ = text.partition("/")
    return bool(slash) and (not set(".:").isdisjoint(domain) or domain == "localhost" or domain.lower() != domain)


def place(text: str) -> Place:
    """Read where a base image lies, as skopeo names it; what has no such prefix is a registry's.

    Raises:
        UsageError: it names nothing, or a reference is none.
    """
    stated = text.strip()
    if stated.startswith("docker://"):
        return Place("registry", str(parse(stated.removeprefix("docker://"))))
    kinds: tuple[Kind, ...] = ("oci", "oci-archive", "docker-archive", "docker-daemon")
    for kind in kinds:
        if stated.startswith(f"{kind}:"):
            name = stated.removeprefix(f"{kind}:")
            if not name:
                what = "image of the engine" if kind == "docker-daemon" else "folder" if kind == "oci" else "file"
                raise UsageError(f"{text!r}: names no {what}", hint=f"Write it as {kind}:{what.upper().split()[0]}.")
            return Place(kind, name)
    scheme, colon, _ = stated.partition("://")
    if colon:
        hint = "Registries are named without a scheme: REGISTRY/NAME:TAG; other places by oci:, oci-archive:, "
        raise UsageError(
            f"{text!r}: images are not named by {scheme}://", hint=hint + "docker-archive:, docker-daemon:."
        )
    parse(stated)
    return Place("registry", stated)


def _wrong(text: str, what: str) -> UsageError:
    return UsageError(f"{text[:300]!r} names no image: {what[:400]}", hint=_FORM)
