"""Findings on an image, and which of them a recipe accepts."""

from __future__ import annotations

import pytest

from lamina.findings import make
from lamina.image.base import public_name
from lamina.image.judge import accepted
from lamina.image.layers import expression
from lamina.part.model import Facts
from lamina.recipe.model import Accept


@pytest.mark.parametrize(
    ("found", "stated", "expected"),
    [
        ("opt/python/a/x.so", "python/a/x.so", True),
        ("opt/python/a/x.so", "opt/python/a/*", True),
        ("opt/python/a/x.so", "python/b/*", False),
        ("var/task/app.py", "app.py", True),
        ("usr/lib/app.py", "app.py", False),
    ],
)
def test_what_is_accepted_in_the_layer_is_accepted_in_the_image(found: str, stated: str, expected: bool) -> None:  # noqa: FBT001
    [finding] = accepted([make("damaged-file", found, "is torn")], [Accept("damaged-file", stated, "known")])
    assert finding.accepted is expected
    assert finding.path == found


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["MIT", "BSD-3-Clause", "MIT"], "BSD-3-Clause AND MIT"),
        (["Apache-2.0 OR MIT", "MIT"], "(Apache-2.0 OR MIT) AND MIT"),
        (["Apache-2.0 OR MIT"], "Apache-2.0 OR MIT"),
        (["MIT", ""], ""),
        ([], ""),
    ],
)
def test_licences_are_one_expression_where_every_package_states_one(stated: list[str], expected: str) -> None:
    packages = [
        Facts((("License-Expression", one),) if one else (("License", "MIT"),), (), (), (), (), {}, 0) for one in stated
    ]
    assert expression(packages) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("public.ecr.aws/lambda/python:3.11", "public.ecr.aws/lambda/python:3.11"),
        ("docker://registry.example/base:1", "registry.example/base:1"),
        ("docker-daemon:standin:3.11", "standin:3.11"),
        ("oci:/home/me/base", ""),
        ("oci-archive:base.tar", ""),
        ("docker-archive:base.tar", ""),
    ],
)
def test_no_path_of_this_machine_is_told(reference: str, expected: str) -> None:
    assert public_name(reference) == expected
