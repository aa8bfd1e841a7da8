"""The outcome of a build as text: the artefact, what was found, what was left out, and how to publish it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from lamina.audit.owners import by_folder
from lamina.emit.manifest import Manifest, Package
from lamina.prune.model import Saving
from lamina.recipe import Function
from lamina.recipe.sizes import MIB
from lamina.report.findings import Paint, table, unpainted
from lamina.runtimes import Quotas


def plural(count: int, noun: str) -> str:
    """``1 wheel``, ``11 wheels``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def build_lines(
    manifest: Manifest, artefact: str | None, *, warm: bool, notes: Sequence[str], paint: Paint = unpainted
) -> Iterator[str]:
    """The summary of one build; sizes are bytes. ``artefact`` is the zip's path, or ``None`` where there is none."""
    shipped = sum(package.shipped_bytes for package in manifest.packages)
    pruned = sum(package.pruned_bytes for package in manifest.packages)
    title = f"{manifest.name} for {manifest.target} ({manifest.runtime}, {manifest.architecture})"
    if artefact is None:
        yield f"{title}: no artefact; what was found stands below"
    else:
        sizes = f"{manifest.zipped_bytes:,} bytes zipped, {manifest.unzipped_bytes:,} unzipped"
        yield f"{title}: {artefact}{' (warm: composed from the store)' if warm else ''}"
        yield f"  {sizes}, {plural(manifest.entries, 'file')}"
        yield f"  sha256 {manifest.sha256}"
    trimmed = sum(package.trimmed_bytes for package in manifest.packages)
    linked = sum(package.linked_bytes for package in manifest.packages)
    ships = f"{shipped:,} bytes ship, {pruned:,} do not" + (f", {trimmed:,} are trimmed" if trimmed else "")
    ships += f", {linked:,} are links" if linked else ""
    yield f"  {plural(len(manifest.packages), 'package')}: {ships} (lamina explain {manifest.name})"
    yield from table(manifest.findings, by_folder, paint=paint)
    for note in notes:
        yield f"  note: {note}"


def function_lines(
    manifest: Manifest, artefact: str | None, *, withheld: bool, paint: Paint = unpainted
) -> Iterator[str]:
    """The summary of the function beside a layer, as :func:`build_lines` for the layer."""
    title = f"{manifest.name}: the function for {manifest.target}"
    if artefact is None:
        why = "the error is the layer's" if withheld else "what was found stands below"
        yield f"{title}: no artefact; {why}"
    else:
        sizes = f"{manifest.zipped_bytes:,} bytes zipped, {manifest.unzipped_bytes:,} unzipped"
        yield f"{title}: {artefact}"
        yield f"  {sizes}, {plural(manifest.entries, 'file')}"
        yield f"  sha256 {manifest.sha256}"
    yield from table(manifest.findings, by_folder, paint=paint)


def package_table(packages: Sequence[Package]) -> Iterator[str]:
    """Packages by what ships of them, in bytes, the largest first."""
    width = max((len(package.name) for package in packages), default=0)
    trims = any(package.trimmed_bytes for package in packages)
    yield f"  {'package':<{width}}  {'ships':>13}  {'pruned':>13}" + (f"  {'trimmed':>13}" if trims else "")
    for package in sorted(packages, key=lambda package: (-package.shipped_bytes, package.name)):
        trimmed = f"  {package.trimmed_bytes:>13,}" if trims else ""
        yield f"  {package.name:<{width}}  {package.shipped_bytes:>13,}  {package.pruned_bytes:>13,}{trimmed}"


def saving_lines(savings: Sequence[Saving]) -> Iterator[str]:
    """What could go, the largest first, and how to say so."""
    yield "  What could go, in bytes:"
    for saving in savings:
        yield f"  {saving.bytes:>13,}  {saving.what}"
        yield f"                 {saving.how}"


def image_offer(manifest: Manifest, quotas: Quotas) -> Iterator[str]:
    """The command for what takes more than a layer: the same dependencies and function as an image."""
    yield f"Or ship it as an image, of which Lambda takes {quotas.image:,} bytes:"
    yield f"  lamina image {manifest.name} --target {manifest.target}"


def publish_lines(manifest: Manifest, artefact: str, description: str, quotas: Quotas) -> Iterator[str]:
    """The commands that publish the layer with the AWS CLI, filled in but for the bucket, which is a shell variable."""
    name = f"{manifest.name}-{manifest.target}.zip"
    common = [
        "aws", "lambda", "publish-layer-version",
        "--layer-name", manifest.name,
        *(["--description", description] if description else []),
        "--compatible-runtimes", manifest.runtime,
        "--compatible-architectures", manifest.architecture,
    ]  # fmt: skip
    yield "To publish it:"
    if manifest.zipped_bytes > quotas.direct_upload:
        yield f'  aws s3 cp {shlex.quote(artefact)} "s3://$BUCKET/{name}"'
        yield f'  {shlex.join(common)} --content "S3Bucket=$BUCKET,S3Key={name}"'
    else:
        yield f"  {shlex.join([*common, '--zip-file', f'fileb://{artefact}'])}"


def function_publish_lines(manifest: Manifest, artefact: str, function: Function, quotas: Quotas) -> Iterator[str]:
    """The commands that create the function with the AWS CLI, and that update its code.

    Shell variables are what only the account knows: bucket, role, the layer's version as publishing it printed, and
    those of the function's own variables whose values the recipe leaves to whoever deploys.
    """
    name = ["--function-name", manifest.name]
    create = [
        "aws", "lambda", "create-function", *name,
        "--runtime", manifest.runtime,
        "--architectures", manifest.architecture,
        "--handler", function.handler,
        "--memory-size", str(function.memory // MIB),
        "--timeout", str(function.timeout),
    ]  # fmt: skip
    update = ["aws", "lambda", "update-function-code", *name, "--architectures", manifest.architecture]
    code = again = f"--zip-file {shlex.quote(f'fileb://{artefact}')}"
    yield "To create the function, and to update its code:"
    if manifest.zipped_bytes > quotas.direct_upload:
        key = f"{manifest.name}-{manifest.target}-function.zip"
        yield f'  aws s3 cp {shlex.quote(artefact)} "s3://$BUCKET/{key}"'
        code, again = f'--code "S3Bucket=$BUCKET,S3Key={key}"', f'--s3-bucket "$BUCKET" --s3-key {key}'
    stated = f" --environment {variables(function)}" if function.environment else ""
    yield f'  {shlex.join(create)} --role "$ROLE_ARN" --layers "$LAYER_VERSION_ARN"{stated} {code}'
    yield f"  {shlex.join(update)} {again}"


def variables(function: Function) -> str:
    """The environment as JSON for a shell, ``'{"Variables": {"KEY": "value", "BUCKET": "'"$BUCKET"'"}}'``."""
    stated = []
    for name, variable in function.environment.items():
        value = f'"\'"${name}"\'"'
        if variable.value is not None:
            value = json.dumps(variable.value).replace("'", "'\\''")
        stated.append(f'"{name}": {value}')
    return f"""'{{"Variables": {{{", ".join(stated)}}}}}'"""
