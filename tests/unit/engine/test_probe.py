"""What a place says of itself, read with distrust."""

from __future__ import annotations

import json

import pytest

from lamina.engine.base import about
from lamina.engine.model import Outcome
from lamina.engine.probe import About, read, version
from lamina.errors import UsageError
from lamina.target import target_for

TOLD = {
    "system": "X",
    "python": "3.11.7",
    "machine": "x86_64",
    "glibc": "2.36",
    "sqlite": "",
    "openssl": "3.0.15",
    "manager": "dnf",
}
ABOUT = About("X", "3.11.7", "x86_64", (2, 36), (), (3, 0, 15), "dnf")
TARGET = target_for("cp311", architecture="x86_64")
NEEDS = "base:1: cp311-manylinux_2_26_x86_64 needs an image with CPython 3.11 as /var/lang/bin/python3.11"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2.36", (2, 36)), ("3.40.1", (3, 40, 1)), ("2.36-9+deb12", (2,)), ("", ()), ("x.1", ()), ("2.²", (2,))],
)
def test_versions_are_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert version(text) == numbers


def test_what_the_probe_prints_is_read() -> None:
    assert read(json.dumps(TOLD).encode()) == ABOUT


@pytest.mark.parametrize("output", [b"", b"{", b"[]", b"{}", b"null", b"\xff", b'{"glibc": 1}', b"[" * 100_000])
def test_anything_else_is_not(output: bytes) -> None:
    assert read(output) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"python": "3.12.1"}, f"{NEEDS}; it has CPython 3.12.1"),
        ({"python": "three"}, f"{NEEDS}; it has CPython three"),
        ({"machine": "aarch64"}, f"{NEEDS}, for x86_64; it is for aarch64"),
        ({"glibc": 2}, f"{NEEDS}: the last line"),
    ],
)
def test_an_image_of_another_kind_is_refused(changed: dict[str, object], message: str) -> None:
    outcome = Outcome("exited", 0, json.dumps({**TOLD, **changed}).encode(), b"first\nthe last line\n", 0.1, 0)
    with pytest.raises(UsageError) as caught:
        about("base:1", TARGET, outcome)
    assert caught.value.message == message
    assert caught.value.hint == (
        "Name an image in AWS's layout, as public.ecr.aws/lambda/python:3.11 is, or leave the name out."
    )
