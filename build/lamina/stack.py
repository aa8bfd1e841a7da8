"""What shares the function with a layer, in bytes: other layers of the stack, and the function's own files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lamina.audit.budget import Share
from lamina.emit import manifest as manifests
from lamina.errors import UsageError
from lamina.function.pack import pack
from lamina.recipe import Recipe
from lamina.target import Target


def measure(recipe: Recipe, target: Target, *, root: Path, output: Path, function: int | None = None) -> list[Share]:
    """One share for each entry of ``budget.stack``, and one for the function where the recipe has one.

    ``function`` is its size in bytes, where its sources were read already.

    A recipe's size is that of its last build in ``output`` for the same Python and architecture, the largest where it
    has several.

    Raises:
        UsageError: a recipe of the stack was not built yet, a zip cannot be read, a source of the function cannot be
        packed.
    """
    shares = [_share(entry, target, root, output) for entry in recipe.budget.stack]
    if recipe.function is not None:
        size = pack(root, recipe.function.source).unzipped_bytes if function is None else function
        shares.append(Share("the function", size))
    return shares


def _share(entry: str | int, target: Target, root: Path, output: Path) -> Share:
    if isinstance(entry, int):
        return Share("stack", entry)
    if entry.endswith(".zip"):
        import zipfile  # a build without layer zips in its stack pays for none of it

        try:
            with zipfile.ZipFile(root / entry) as archive:
                return Share(entry, sum(info.file_size for info in archive.infolist()))
        except (OSError, zipfile.BadZipFile) as error:
            raise UsageError(
                f"budget.stack: {entry}: cannot be read: {error}", hint="Build or fetch it first."
            ) from error
    fits = [built for _, built in _builds(entry, target, output)]
    if not fits:
        raise UsageError(
            f"budget.stack: there is no layer {entry} for {target.python} on {target.architecture} in "
            f"{output.name}/, so its size is unknown",
            hint=f"Build it first: lamina build {entry}",
        )
    return Share(entry, max(built.unzipped_bytes for built in fits))


def layers_beside(recipe: Recipe, target: Target, *, root: Path, output: Path) -> list[tuple[Path, str]]:
    """The layer zips that ``budget.stack`` names, each with its SHA-256: a function may import what is in them.

    Of a recipe it is the last build, the one that :func:`measure` counts. Byte counts name nothing that can be read.
    """
    found = []
    for entry in recipe.budget.stack:
        if isinstance(entry, int):
            continue
        if entry.endswith(".zip"):
            with (root / entry).open("rb") as file:
                found.append((root / entry, hashlib.file_digest(file, "sha256").hexdigest()))
            continue
        builds = sorted(_builds(entry, target, output), key=lambda build: build[1].unzipped_bytes)
        found += [(path, built.sha256 or "") for path, built in builds[-1:] if path.exists()]
    return found


def _builds(name: str, target: Target, output: Path) -> list[tuple[Path, manifests.Manifest]]:
    """The builds of a recipe for the same Python and architecture, and their zips."""
    return [
        (path.with_suffix(".zip"), built)
        for path in sorted(output.glob(f"{name}-{target.python}-*_{target.architecture}.json"))
        if (built := manifests.read(path)) is not None and built.name == name and built.sha256
    ]
