"""Which wheel of several, and what those need that do not fit."""

from __future__ import annotations

import pytest
from packaging.version import Version

from lamina.index.model import IndexFile, Project
from lamina.resolve.fit import Fit, final, glibc_of, releases
from lamina.target import target_for

FIT = Fit(target_for("cp311", architecture="x86_64"))


def file(tags: str, version: str = "1.0", **more: object) -> IndexFile:
    name = f"foo-{version}-{tags}.whl"
    return IndexFile(name, version, f"https://a.invalid/{name}", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("py3-none-any", "cp311-cp311-manylinux_2_17_x86_64"),
        ("cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_26_x86_64"),
        ("cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux1_x86_64"),
        ("cp311-cp311-manylinux_2_28_x86_64", "py3-none-any"),
        ("cp38-abi3-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_17_x86_64"),
        ("cp38-abi3-manylinux_2_17_x86_64", "cp39-abi3-manylinux_2_17_x86_64"),
        ("cp312-abi3-manylinux_2_17_x86_64", "cp32-abi3-manylinux_2_17_x86_64"),
        ("cp311-cp311-linux_x86_64", "py3-none-any"),
        ("cp311-cp311-musllinux_1_2_x86_64", "py3-none-any"),
        ("cp311-cp311t-manylinux_2_17_x86_64", "py3-none-any"),
        ("cp311-cp311-manylinux_2_17_aarch64", "py3-none-any"),
        ("cp311-cp311-manylinux2014_x86_64", "1-cp311-cp311-manylinux2014_x86_64"),
        ("9-cp311-cp311-manylinux2014_x86_64", "10-cp311-cp311-manylinux2014_x86_64"),
        ("10-cp311-cp311-manylinux2014_x86_64", "cp311-cp311-manylinux_2_26_x86_64.manylinux_2_28_x86_64"),
    ],
)
def test_the_better_of_two(worse: str, better: str) -> None:
    assert FIT.best([file(worse), file(better)]) == file(better)
    assert FIT.best([file(better), file(worse)]) == file(better)


def test_yanked_wheels_only_if_nothing_else_is_left() -> None:
    yanked, kept = file("cp311-cp311-manylinux2014_x86_64", yanked=True), file("py3-none-any")
    assert FIT.best([yanked, kept]) == kept
    assert FIT.best([yanked]) == yanked


@pytest.mark.parametrize(
    ("requires_python", "accepted"),
    [(">=3.9", True), (">=3.12", False), (">=3.11.99", False), ("nonsense", True), (None, True)],
)
def test_requires_python(requires_python: str | None, accepted: bool) -> None:  # noqa: FBT001
    assert FIT.accepts(file("py3-none-any", requires_python=requires_python)) is accepted


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("py3-none-any", (2, 0)),
        ("cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64", (2, 27)),
        ("cp311-cp311-manylinux2010_x86_64", (2, 12)),
        ("cp311-cp311-manylinux_2_17_aarch64", None),
        ("cp312-cp312-manylinux_2_17_x86_64", None),
        ("cp311-cp311-musllinux_1_2_x86_64", None),
        ("cp311-cp311-win_amd64", None),
    ],
)
def test_the_glibc_that_a_wheel_needs(tags: str, expected: tuple[int, int] | None) -> None:
    assert FIT.glibc(file(tags)) == expected


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("manylinux1_x86_64", (2, 5)),
        ("manylinux_2_100_x86_64", (2, 100)),
        ("manylinux_2_17_i686", None),
        ("manylinux2015_x86_64", None),
        ("linux_x86_64", None),
    ],
)
def test_platform_tags(platform: str, expected: tuple[int, int] | None) -> None:
    assert glibc_of(platform, "x86_64") == expected


def test_releases_are_ordered_and_final_ones_known() -> None:
    files = (
        file("py3-none-any", "10.0"),
        file("py3-none-any", "9.0", yanked=True),
        file("py3-none-any", "2.0rc1"),
        file("py3-none-any", "1.0.0"),
        file("cp311-cp311-win_amd64", "1.0"),
    )
    table = releases(Project("foo", found=True, wheels=files, sources=frozenset({"3.0", "1.0"})))
    assert [str(version) for version in table] == ["1.0", "2.0rc1", "3.0", "9.0", "10.0"]
    assert len(table[Version("1.0")]) == 2
    assert [str(version) for version in final(table)] == ["1.0", "3.0", "10.0"]
