"""An image of a registry, read as far as it is needed: manifest and configuration at once, layers when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lamina.errors import IndexAccessError, IntegrityError
from lamina.fetch.download import Wanted, download
from lamina.index.answers import redact
from lamina.oci import store as kept
from lamina.oci.client import Client
from lamina.oci.decode import MOST_NESTED, check_architecture, choose, document
from lamina.oci.model import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest
from lamina.oci.references import Reference, parse
from lamina.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lamina.oci.model import Descriptor
    from lamina.progress import Progress
    from lamina.store import Store

_ACCEPT = f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_INDEX}"


class RegistryImage:
    """An image of a registry, for one architecture; blobs come into the store when they are asked for."""

    def __init__(self, reference: Reference, digest: str, manifest: Manifest, source: _Source) -> None:
        self.reference: Final = reference
        #: The reference in full.
        self.name: Final = str(reference)
        self.digest: Final = digest
        #: Held against the digest.
        self.manifest: Final = manifest
        self._source = source

    def path(self, descriptor: Descriptor) -> Path:
        """Where a blob stands in the store, fetched if it does not yet; its size is right, its bytes are not read.

        Raises:
            IndexAccessError: the registry does not give it; or, offline, the store does not have it.
            IntegrityError: it is not what the descriptor says, twice.
        """
        return self._source.blob(descriptor)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob in pieces, held against its digest by the time the last one came.

        Raises:
            IndexAccessError: the registry does not give it; or, offline, the store does not have it.
            IntegrityError: it is not what the descriptor says.
        """
        return kept.pieces(self.path(descriptor), descriptor.digest, f"{self.name}: {descriptor.digest[:19]}")


def open_image(
    reference: Reference | str,
    architecture: str,
    environment: Mapping[str, str],
    store: Store,
    *,
    offline: bool = False,
    progress: Progress = SILENT,
) -> RegistryImage:
    """The image of that name for an architecture, named as wheels do (``x86_64``, ``aarch64``).

    What is named by digest and was read before needs no network; offline, a tag is what it was when last asked for.

    Raises:
        UsageError: the name is none, or the image is not there for the architecture.
        IndexAccessError: the registry refuses, fails, or has no such image; or, offline, it was not read before.
        IntegrityError: the manifest is not what its digest says, or no manifest.
    """
    stated = parse(reference) if isinstance(reference, str) else reference
    source = _Source(stated, environment, store, offline=offline, progress=progress)
    version, kind, entry = stated.digest, "", None
    for _ in range(MOST_NESTED):
        version, content, kind = source.manifest(version, entry)
        try:
            found = document(content, kind)
        except IntegrityError as error:
            raise IntegrityError(f"{stated}: {error.message}", hint=error.hint) from error
        if isinstance(found, Manifest):
            image = RegistryImage(stated, version, found, source)
            check_architecture(image, architecture)
            return image
        entry = choose(found, architecture, str(stated))
        version = entry.digest
    raise IntegrityError(f"{stated}: an index that leads to indexes only", hint="Name one image of it by its digest.")


class _Source:
    """Registry and store together: what one does not have, the other gives."""

    def __init__(
        self, reference: Reference, environment: Mapping[str, str], store: Store, *, offline: bool, progress: Progress
    ) -> None:
        self._reference = reference
        self._store = store
        self._offline = offline
        self._progress = progress
        self._client = Client(reference, [f"repository:{reference.repository}:pull"], environment)

    def manifest(self, digest: str, entry: Descriptor | None) -> tuple[str, bytes, str]:
        """Digest, bytes and stated media type of a manifest or index; without a digest, that of the tag."""
        reference = self._reference
        if not digest and self._offline:
            digest = kept.remembered(self._store, reference) or ""
        content = kept.manifest(self._store, digest) if digest else None
        if content is not None:
            return digest, content, entry.media_type if entry is not None else ""
        if self._offline:
            raise self._absent(str(reference))
        url = f"{reference.url}/manifests/{digest or reference.version}"
        with self._client.send("GET", url, headers={"Accept": _ACCEPT}, stream=True) as answer:
            content = self._client.content(answer)
            kind = answer.headers.get("Content-Type", "")
        found = kept.digest_of(content)
        if found != (digest or found) or (entry is not None and entry.size != len(content)):
            hint = "Something changes it on the way: a proxy, or the registry's disk."
            raise IntegrityError(f"{reference}: the manifest is not {digest}: it has {found}", hint=hint)
        kept.keep(self._store, found, content)
        if not digest:
            kept.remember(self._store, reference, found)
        return found, content, kind

    def blob(self, descriptor: Descriptor) -> Path:
        """A blob in the store."""
        path = kept.blob_path(self._store, descriptor.digest)
        short = descriptor.digest[7:19]
        if self._offline and not (path.exists() and path.stat().st_size == descriptor.size):
            raise self._absent(f"{self._reference}: {descriptor.digest}")
        url = f"{self._reference.url}/blobs/{descriptor.digest}"
        wanted = Wanted(
            f"{self._reference}: blob {short}",
            redact(url),
            descriptor.digest.removeprefix("sha256:"),
            descriptor.size,
            kind="blobs",
            suffix="",
            stated="manifest",
        )
        if path.exists() and path.stat().st_size == descriptor.size:
            self._store.touch([path])
            return path
        with self._progress.task(f"blob {short}", descriptor.size) as task:
            return download(wanted, store=self._store, transport=self._client, task=task)

    def _absent(self, what: str) -> IndexAccessError:
        hint = "Run the command once without --offline, with this store."
        return IndexAccessError(f"{what}: not in the store, and --offline forbids to ask the registry", hint=hint)
