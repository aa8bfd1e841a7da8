"""The outcome of an image build as text: the archive, its layers, what was found, and how to deploy it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import msgspec

from lamina.audit.owners import by_folder
from lamina.emit.manifest import Manifest
from lamina.recipe import Function
from lamina.recipe.sizes import MIB
from lamina.report.findings import Paint, table, unpainted
from lamina.report.text import variables


def image_lines(
    manifest: Manifest, artefact: str | None, *, warm: bool, notes: Sequence[str], paint: Paint = unpainted
) -> Iterator[str]:
    """The summary of one image; sizes are bytes. ``artefact`` is the archive's path, ``None`` where there is none."""
    title = f"{manifest.name}: the image for {manifest.target} ({manifest.runtime}, {manifest.architecture})"
    if artefact is None:
        yield f"{title}: no artefact; what was found stands below"
    else:
        yield f"{title}: {artefact}{' (warm: dependencies from the store)' if warm else ''}"
        yield f"  {manifest.zipped_bytes:,} bytes, {manifest.unzipped_bytes:,} uncompressed"
    if artefact is not None and not isinstance(manifest.image, msgspec.UnsetType):
        yield f"  image {manifest.image.digest}"
        yield f"  base  {manifest.image.base_digest} {manifest.image.base}".rstrip()
        for layer in manifest.image.layers:
            if layer.what != "base":
                yield f"  layer {layer.digest} {layer.size:,} bytes: {layer.what}"
    yield from table(manifest.findings, lambda path: by_folder(path.removeprefix("var/task/")), paint=paint)
    for note in notes:
        yield f"  note: {note}"


def image_publish_lines(manifest: Manifest, artefact: str, function: Function | None) -> Iterator[str]:
    """The commands that push the image to a registry, and create and update its function with the AWS CLI.

    Shell variables are what only the account knows: the repository and the role.
    """
    if isinstance(manifest.image, msgspec.UnsetType) or manifest.image.format != "oci":
        return
    yield "To push it, by lamina or by another tool:"
    yield f'  lamina image {manifest.name} --target {manifest.target} --push "$REPOSITORY:{manifest.target}"'
    yield f'  skopeo copy oci-archive:{shlex.quote(artefact)} "docker://$REPOSITORY:{manifest.target}"'
    if function is None:
        return
    uri = f'"$REPOSITORY@{manifest.image.digest}"'
    name = ["--function-name", manifest.name]
    create = [
        "aws", "lambda", "create-function", *name,
        "--package-type", "Image",
        "--architectures", manifest.architecture,
        "--memory-size", str(function.memory // MIB),
        "--timeout", str(function.timeout),
    ]  # fmt: skip
    yield "To create its function, and to update its code:"
    stated = f" --environment {variables(function)}" if function.environment else ""
    yield f'  {shlex.join(create)} --role "$ROLE_ARN"{stated} --code ImageUri={uri}'
    yield f"  {shlex.join(['aws', 'lambda', 'update-function-code', *name])} --image-uri {uri}"
