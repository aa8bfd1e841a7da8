"""Unit tests touch no network and start no process: both raise here."""

from __future__ import annotations

import io
import socket
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from lamina.part.make import libdeflate, make
from lamina.wheel import open_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lamina.part.model import Facts, Index


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a unit test must not do this: {args} {kwargs}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)


class Made(NamedTuple):
    """A part as the store would hold it."""

    index: Index
    facts: Facts
    data: bytes

    @property
    def pair(self) -> tuple[Index, Facts]:
        """What decisions and layers are made from."""
        return self.index, self.facts


@pytest.fixture(scope="session")
def make_part() -> Callable[[Path], Made]:
    """Make the part of a wheel in memory."""

    def maker(path: Path) -> Made:
        out = io.BytesIO()
        with open_wheel(path, path.name) as wheel:
            index, facts = make(wheel, path.name.encode().hex().ljust(64, "0")[:64], out, libdeflate)
        return Made(index, facts, out.getvalue())

    return maker
