"""What shares the function with a layer, in bytes: other layers of the stack, and the function's own files."""

from __future__ import annotations

import fnmatch
import os
import zipfile
from pathlib import Path

from lamina.audit.budget import Share
from lamina.emit import manifest as manifests
from lamina.errors import UsageError
from lamina.recipe import Recipe, Source
from lamina.target import Target


def measure(recipe: Recipe, target: Target, *, root: Path, output: Path) -> list[Share]:
    """One share for each entry of ``budget.stack``, and one for the function where the recipe has one.

    A recipe's size is that of its last build in ``output`` for the same Python and architecture, the largest where it
    has several.

    Raises:
        UsageError: a recipe of the stack was not built yet, a zip cannot be read, a source of the function is not
        there.
    """
    shares = [_share(entry, target, root, output) for entry in recipe.budget.stack]
    if recipe.function is not None:
        shares.append(Share("the function", sum(_size(root, source) for source in recipe.function.source)))
    return shares


def _share(entry: str | int, target: Target, root: Path, output: Path) -> Share:
    if isinstance(entry, int):
        return Share("stack", entry)
    if entry.endswith(".zip"):
        try:
            with zipfile.ZipFile(root / entry) as archive:
                return Share(entry, sum(info.file_size for info in archive.infolist()))
        except (OSError, zipfile.BadZipFile) as error:
            raise UsageError(
                f"budget.stack: {entry}: cannot be read: {error}", hint="Build or fetch it first."
            ) from error
    fits = [
        built
        for path in sorted(output.glob(f"{entry}-{target.python}-*_{target.architecture}.json"))
        if (built := manifests.read(path)) is not None and built.name == entry and built.sha256
    ]
    if not fits:
        raise UsageError(
            f"budget.stack: there is no layer {entry} for {target.python} on {target.architecture} in "
            f"{output.name}/, so its size is unknown",
            hint=f"Build it first: lamina build {entry}",
        )
    return Share(entry, max(built.unzipped_bytes for built in fits))


def _size(root: Path, source: Source) -> int:
    """Bytes of one tree of the function's sources, less what its globs leave out."""
    start = root / source.from_
    if start.is_file():
        return start.stat().st_size
    if not start.is_dir():
        raise UsageError(
            f"function.source: {source.from_}: no such file or folder", hint="Correct the path in the recipe."
        )
    total = 0
    for parent, _, names in os.walk(start):
        for name in names:
            path = Path(parent, name)
            inside = path.relative_to(start).as_posix()
            if not any(fnmatch.fnmatchcase(inside, glob) for glob in source.exclude):
                total += path.stat().st_size
    return total
