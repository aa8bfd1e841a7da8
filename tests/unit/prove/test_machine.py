"""What a place is, and how a proof speaks of it."""

from __future__ import annotations

import json

import pytest

from lamina.prove import machine
from lamina.prove.model import Where
from lamina.runtimes import Runtime, runtimes

DEBIAN = Where("Debian GNU/Linux 12", "3.11.7", (2, 36), (3, 40, 1), (3, 0, 15), isolated=True, how="namespaces")


def _runtime(name: str) -> Runtime:
    return next(runtime for runtime in runtimes() if runtime.name == name)


def test_what_is_newer_than_the_runtime_is_named() -> None:
    assert machine.place(DEBIAN, _runtime("python3.11")) == (
        "Debian GNU/Linux 12, glibc 2.36, SQLite 3.40.1, OpenSSL 3.0.15, CPython 3.11.7, namespaces: not Lambda; "
        "newer than the runtime's: glibc 2.36 (Lambda: 2.26), SQLite 3.40.1 (Lambda: 3.7.17), "
        "OpenSSL 3.0.15 (Lambda: 1.1.1)"
    )


def test_only_as_many_numbers_count_as_the_facts_have() -> None:
    assert machine.newer(DEBIAN, _runtime("python3.12")) == ("glibc 2.36 (Lambda: 2.34)",)


def test_what_the_interpreter_lacks_is_left_out() -> None:
    where = DEBIAN._replace(glibc=(2, 26), sqlite=(), openssl=(1, 0), isolated=False, how="plain process")
    assert machine.place(where, _runtime("python3.11")) == (
        "Debian GNU/Linux 12, glibc 2.26, OpenSSL 1.0, CPython 3.11.7, plain process: not Lambda"
    )


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2.36", (2, 36)), ("3.40.1", (3, 40, 1)), ("2.36-9+deb12", (2,)), ("", ()), ("x.1", ()), ("2.²", (2,))],
)
def test_versions_are_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert machine.version(text) == numbers


def test_what_the_probe_prints_is_read() -> None:
    told = {"python": "3.11.7", "system": "X", "glibc": "2.36", "sqlite": "", "openssl": "3.0.15"}
    where = machine.read(json.dumps(told).encode(), isolated=True, how="namespaces")
    assert where == Where("X", "3.11.7", (2, 36), (), (3, 0, 15), isolated=True, how="namespaces")


@pytest.mark.parametrize("output", [b"", b"{", b"[]", b"{}", b"null", b"\xff", b'{"glibc": 1}'])
def test_anything_else_is_not(output: bytes) -> None:
    assert machine.read(output, isolated=True, how="namespaces") is None
