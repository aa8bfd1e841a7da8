"""What a place is, and how a proof speaks of it."""

from __future__ import annotations

from lamina.engine.probe import About
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


def test_where_a_proof_ran_is_what_the_place_said_of_itself() -> None:
    about = About("Debian GNU/Linux 12", "3.11.7", "x86_64", (2, 36), (3, 40, 1), (3, 0, 15), "apt-get")
    assert machine.where_of(about, isolated=True, how="namespaces") == DEBIAN
