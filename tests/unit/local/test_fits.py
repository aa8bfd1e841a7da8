"""The name of a wheel out of a container, against what was asked for."""

from __future__ import annotations

import pytest

from lamina.errors import LaminaError, ResolutionError, UnsafeWheelError
from lamina.local.fits import check_fits
from lamina.local.native import Sources
from lamina.target import target_for

TARGET = target_for("cp311", platform="manylinux2014_x86_64")
ANY = Sources("./app", "00", "project", dict)
STATED = ANY._replace(where="a_b-1.0.tar.gz", name="a-b", version="1.0")


@pytest.mark.parametrize(
    ("filename", "sources"),
    [
        ("a_b-1.0-cp311-cp311-manylinux_2_5_x86_64.manylinux1_x86_64.whl", STATED),
        ("A.B-1-cp39-abi3-manylinux_2_17_x86_64.whl", STATED),
        ("a_b-1.0-py3-none-any.whl", STATED),
        ("whatever-7-py2.py3-none-any.whl", ANY),
    ],
)
def test_what_fits(filename: str, sources: Sources) -> None:
    check_fits(filename, sources, TARGET)


def failure(filename: str, sources: Sources, kind: type[LaminaError]) -> str:
    with pytest.raises(kind) as caught:
        check_fits(filename, sources, TARGET)
    assert caught.value.hint
    return caught.value.message


def test_another_project_or_version() -> None:
    other = "c-1.0-py3-none-any.whl"
    assert failure(other, STATED, UnsafeWheelError) == f"a_b-1.0.tar.gz: builds to {other}, which is not a-b 1.0"
    later = "a_b-1.1-py3-none-any.whl"
    assert failure(later, STATED, UnsafeWheelError) == f"a_b-1.0.tar.gz: builds to {later}, which is not a-b 1.0"
    assert failure("a_b-1.0-oops.whl", STATED, UnsafeWheelError).startswith("a_b-1.0.tar.gz: Invalid wheel filename")


def test_what_the_target_does_not_load() -> None:
    new = "a-1-cp311-cp311-manylinux_2_36_x86_64.whl"
    assert failure(new, ANY, ResolutionError) == (
        f"./app: builds to {new}, which needs glibc 2.36; cp311-manylinux2014_x86_64 has 2.17"
    )
    for wrong in ("a-1-cp311-cp311-linux_x86_64.whl", "a-1-cp312-cp312-manylinux_2_17_x86_64.whl"):
        message = f"./app: builds to {wrong}, which cp311-manylinux2014_x86_64 does not accept"
        assert failure(wrong, ANY, ResolutionError) == message
