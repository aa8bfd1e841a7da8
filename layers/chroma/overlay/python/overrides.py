"""What chromadb takes from the package ``overrides``, without the checks that it makes.

That package disassembles and compares the signatures of every method that overrides another, each time that a process
makes the classes: of all that importing chromadb takes with bytecode, a quarter. The checks are of use to who writes
chromadb, as ``typing.override`` is (PEP 698), and tell nothing of a release.
"""

from __future__ import annotations

from abc import ABCMeta
from typing import Any, TypeVar

Method = TypeVar("Method")


def override(method: Method | None = None, **_: bool) -> Any:  # noqa: ANN401 - a method, or what decorates one
    """Mark a method as one that overrides another: ``@override``, or ``@override(check_signature=False)``."""
    if method is None:
        return override
    return method


overrides = override


class EnforceOverrides(metaclass=ABCMeta):  # noqa: B024 - as those that inherit from it expect
    """What classes inherit from that would have all their methods checked."""
