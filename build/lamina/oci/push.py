"""An image into a registry: what it does not have yet, and then the manifest that makes an image of it.

Source: OCI distribution-spec 1.1, "Push": a blob is asked for first, mounted from another repository of the registry
where one has it, else sent whole; the manifest comes last, so that no tag ever names what is not there.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from lamina.errors import IndexAccessError, IntegrityError, UsageError
from lamina.index.answers import NotThereError, RefusedError, UnansweredError
from lamina.index.transport import TRIES, delay
from lamina.oci.client import Client
from lamina.oci.references import Reference, parse
from lamina.oci.store import digest_of
from lamina.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lamina.oci.model import Descriptor
    from lamina.oci.parts import Blob
    from lamina.progress import Progress, Task

_CREATED, _ACCEPTED = 201, 202
_CHUNK = 1024 * 1024


class PushResult(NamedTuple):
    """The digest of the manifest, and of the blobs which were sent, mounted from another repository, or there."""

    digest: str
    sent: tuple[Descriptor, ...]
    mounted: tuple[Descriptor, ...]
    there: tuple[Descriptor, ...]


def push(
    reference: Reference | str,
    manifest: bytes,
    media_type: str,
    blobs: Sequence[Blob],
    environment: Mapping[str, str],
    *,
    progress: Progress = SILENT,
) -> PushResult:
    """Bring an image into a registry under a name. ``blobs`` are its configuration and layers.

    Raises:
        UsageError: the name is none, or states another digest.
        IndexAccessError: the registry refuses or fails; or the image that a blob is from does not give it.
        IntegrityError: a blob is not what its descriptor says; the registry, which checks them too, keeps none such.
    """
    target = parse(reference) if isinstance(reference, str) else reference
    digest = digest_of(manifest)
    if target.digest not in {"", digest}:
        hint = f"Push it by a tag: {target.registry}/{target.repository}:TAG"
        raise UsageError(f"{target}: the image has the digest {digest}", hint=hint)
    near = {name for blob in blobs if (name := _near(blob, target))}
    scopes = [f"repository:{target.repository}:pull,push", *(f"repository:{name}:pull" for name in sorted(near))]
    sent: list[Descriptor] = []
    mounted: list[Descriptor] = []
    there: list[Descriptor] = []
    unique = {blob.descriptor.digest: blob for blob in blobs}.values()
    with Client(target, scopes, environment) as client:
        for blob in unique:
            if _has(client, f"{target.url}/blobs/{blob.descriptor.digest}"):
                there.append(blob.descriptor)
            elif _send(client, target, blob, progress):
                sent.append(blob.descriptor)
            else:
                mounted.append(blob.descriptor)
        _tag(client, target, manifest, media_type, digest)
    return PushResult(digest, tuple(sent), tuple(mounted), tuple(there))


def _has(client: Client, url: str) -> bool:
    try:
        client.send("HEAD", url, stream=True).close()
    except NotThereError:
        return False
    return True


def _send(client: Client, target: Reference, blob: Blob, progress: Progress) -> bool:
    """Mount a blob or send it; whether it was sent. An upload that broke off begins again, at a place of its own."""
    descriptor = blob.descriptor
    with progress.task(f"pushing {descriptor.digest[7:19]}", descriptor.size) as task:
        body = _Body(blob, task)
        for attempt in range(1, TRIES + 1):
            place = _begin(client, target, descriptor, _near(blob, target))
            if place is None:
                task.advance(descriptor.size)
                return False
            url = f"{place}{'&' if urlsplit(place).query else '?'}{urlencode({'digest': descriptor.digest})}"
            headers = {"Content-Type": "application/octet-stream"}
            try:
                client.send("PUT", url, headers=headers, stream=True, body=body, tries=1).close()
            except UnansweredError:
                if attempt == TRIES:
                    raise
                client.pause(delay(attempt))
            else:
                return True
    raise AssertionError("unreachable")


def _begin(client: Client, target: Reference, descriptor: Descriptor, near: str) -> str | None:
    """Where a blob is to be put; ``None`` where the registry took it from ``near``, a repository that has it."""
    url = f"{target.url}/blobs/uploads/"
    answer = None
    if near:
        with contextlib.suppress(RefusedError, NotThereError):  # no right to read there: it can still be sent
            wanted = urlencode({"mount": descriptor.digest, "from": near})
            answer = client.send("POST", f"{url}?{wanted}", stream=True)
    with answer or client.send("POST", url, stream=True) as begun:
        if begun.status_code == _CREATED and near:
            return None
        place = _absolute(begun.url, begun.headers.get("Location", ""))
        if begun.status_code != _ACCEPTED or not place:
            hint = f"Check that {target.registry} is a registry, and that nothing stands between."
            raise IndexAccessError(f"{target}: the registry begins no upload ({begun.status_code})", hint=hint)
        return place


def _absolute(url: str, location: str) -> str:
    """Where a header leads to; empty where that is nothing to send a blob to."""
    try:
        place = urljoin(url, location)
        return place if location and urlsplit(place).scheme in {"http", "https"} else ""
    except ValueError:
        return ""


def _tag(client: Client, target: Reference, manifest: bytes, media_type: str, digest: str) -> None:
    """Put the manifest under its name, unless it is there."""
    url = f"{target.url}/manifests/{target.version}"
    try:
        with client.send("HEAD", url, headers={"Accept": media_type}, stream=True) as answer:
            if answer.headers.get("Docker-Content-Digest") == digest:
                return
    except NotThereError:
        pass
    client.send("PUT", url, headers={"Content-Type": media_type}, stream=True, body=lambda: manifest).close()


def _near(blob: Blob, target: Reference) -> str:
    """The other repository of the same registry that a blob is from, if it is from such a one."""
    origin = blob.origin
    if origin is None or origin.registry != target.registry or origin.repository == target.repository:
        return ""
    return origin.repository


class _Body:
    """The bytes of a blob as a request's body: of known length, never whole in memory, counted as they go."""

    def __init__(self, blob: Blob, task: Task) -> None:
        self._blob = blob
        self._task = task
        self._done = 0

    def __call__(self) -> _Body:
        self._task.advance(-self._done)
        self._done = 0
        return self

    def __len__(self) -> int:
        return self._blob.descriptor.size

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._blob.pieces():
            self._done += len(piece)
            if self._done > len(self):
                break
            self._task.advance(len(piece))
            yield piece
        if self._done != len(self):
            descriptor = self._blob.descriptor
            message = f"the blob {descriptor.digest} has not the {descriptor.size:,} bytes that its manifest states"
            raise IntegrityError(message, hint="Build the image again.")
