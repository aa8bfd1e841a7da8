"""What an import may load."""

from __future__ import annotations

import pytest

from lamina.part.source import Import, resolve


@pytest.mark.parametrize(
    ("imported", "module", "is_package", "expected"),
    [
        (Import("a.b", 0, (), lazy=False, guarded=False), "x", False, ("a.b",)),
        (Import("a", 0, ("b", "c"), lazy=False, guarded=False), "x", False, ("a", "a.b", "a.c")),
        (Import("a", 0, ("*",), lazy=False, guarded=False), "x", False, ("a",)),
        (Import("", 1, ("b",), lazy=False, guarded=False), "p.q.m", False, ("p.q", "p.q.b")),
        (Import("", 1, ("b",), lazy=False, guarded=False), "p.q", True, ("p.q", "p.q.b")),
        (Import("a", 2, ("b",), lazy=False, guarded=False), "p.q.m", False, ("p.a", "p.a.b")),
        (Import("a", 2, ("b",), lazy=False, guarded=False), "p.q", True, ("p.a", "p.a.b")),
        (Import("a", 3, ("b",), lazy=False, guarded=False), "p.q.m", False, ()),
        (Import("a", 2, ("b",), lazy=False, guarded=False), "p", True, ()),
        (Import("a", 1, ("b",), lazy=False, guarded=False), "m", False, ()),
        (Import("a", 1, ("b",), lazy=False, guarded=False), "", True, ()),
        (Import("", 0, ("b",), lazy=False, guarded=False), "m", False, ()),
    ],
)
def test_resolution(imported: Import, module: str, is_package: bool, expected: tuple[str, ...]) -> None:  # noqa: FBT001
    assert resolve(imported, module, is_package) == expected
