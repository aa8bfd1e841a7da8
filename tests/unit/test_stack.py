"""What shares the function: other recipes, plain numbers, zips, and the function's own files."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from lamina.audit.budget import Share
from lamina.emit.manifest import Manifest, render
from lamina.errors import UsageError
from lamina.recipe import Budget, Function, Recipe, Source, TargetSpec
from lamina.stack import measure
from lamina.target import target_for

if TYPE_CHECKING:
    from pathlib import Path

    from lamina.target import Target

TARGET = target_for("cp311", platform="manylinux2014_x86_64")
SPEC = TargetSpec("cp311", "manylinux2014_x86_64")


def shares(root: Path, stack: tuple[str | int, ...] = (), *sources: Source) -> list[Share]:
    function = Function("handler.f", sources) if sources else None
    recipe = Recipe("mine", ("pandas",), (SPEC,), budget=Budget(stack=stack), function=function)
    return measure(recipe, TARGET, root=root, output=root / "dist")


def refusal(root: Path, stack: tuple[str | int, ...] = (), *sources: Source) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        shares(root, stack, *sources)
    return caught.value.message, caught.value.hint


def test_numbers(tmp_path: Path) -> None:
    assert shares(tmp_path, (5, 7)) == [Share("stack", 5), Share("stack", 7)]


def built(root: Path, target: Target, unzipped: int, *, name: str = "other", sha256: str | None = "ab" * 32) -> Path:
    manifest = Manifest(
        name=name, target=target.name, runtime="python3.11", architecture="x86_64", sha256=sha256, code_sha256=None,
        zipped_bytes=1, unzipped_bytes=unzipped, entries=1, packages=(), findings=(), recipe_sha256="", lock_sha256="",
        lamina_version="1",
    )  # fmt: skip
    (root / "dist").mkdir(exist_ok=True)
    path = root / "dist" / f"{name}-{target.name}.json"
    path.write_bytes(render(manifest))
    return path


NOT_BUILT = (
    "budget.stack: there is no layer other for cp311 on x86_64 in dist/, so its size is unknown",
    "Build it first: lamina build other",
)


def test_other_recipes_are_as_large_as_their_last_build(tmp_path: Path) -> None:
    assert refusal(tmp_path, ("other",)) == NOT_BUILT
    path = built(tmp_path, TARGET, 12_345)
    assert shares(tmp_path, ("other",)) == [Share("other", 12_345)]
    for content in (b"", b"{}", b"\xff"):
        path.write_bytes(content)
        assert refusal(tmp_path, ("other",)) == NOT_BUILT


def test_a_build_of_another_platform_will_do_but_not_of_another_function(tmp_path: Path) -> None:
    for other in (
        target_for("cp312", platform="manylinux2014_x86_64"),
        target_for("cp311", platform="manylinux2014_aarch64"),
    ):
        built(tmp_path, other, 99)
    built(tmp_path, TARGET, 99, name="other-one")
    assert refusal(tmp_path, ("other",)) == NOT_BUILT
    built(tmp_path, TARGET, 99, sha256=None)  # the report of a build that failed
    assert refusal(tmp_path, ("other",)) == NOT_BUILT
    for platform, unzipped in (("manylinux2010_x86_64", 7), ("manylinux_2_26_x86_64", 9), ("manylinux2014_x86_64", 8)):
        built(tmp_path, target_for("cp311", platform=platform), unzipped)
    assert shares(tmp_path, ("other",)) == [Share("other", 9)]


def test_zips(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", "x" * 1000)
        archive.writestr("b/c", "y" * 500)
    (tmp_path / "base.zip").write_bytes(content.getvalue())
    assert shares(tmp_path, ("base.zip", 1)) == [Share("base.zip", 1500), Share("stack", 1)]
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    assert refusal(tmp_path, ("bad.zip",)) == (
        "budget.stack: bad.zip: cannot be read: File is not a zip file",
        "Build or fetch it first.",
    )
    message, _ = refusal(tmp_path, ("nothing.zip",))
    assert message.startswith("budget.stack: nothing.zip: cannot be read: [Errno 2] No such file or directory")


def test_the_functions_files(tmp_path: Path) -> None:
    folder = tmp_path / "function"
    (folder / "sub").mkdir(parents=True)
    (folder / "handler.py").write_bytes(b"x" * 10)
    (folder / "sub" / "data.csv").write_bytes(b"x" * 20)
    (folder / "sub" / "notes.md").write_bytes(b"x" * 40)
    (tmp_path / "one.json").write_bytes(b"x" * 3)
    sources = (Source("function", exclude=("*.md",)), Source("one.json"))
    assert shares(tmp_path, (), *sources) == [Share("the function", 33)]
    assert refusal(tmp_path, (), Source("nothing")) == (
        "function.source: nothing: no such file or folder",
        "Correct the path in the recipe.",
    )
