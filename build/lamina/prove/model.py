"""What proofs are made of, as values: what is run, within which limits, where, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from lamina.engine.model import Ended, Outcome, Running

__all__ = ["Ended", "Job", "Outcome", "Running", "Sandbox", "Stage", "Where"]


class Stage(NamedTuple):
    """The unpacked artefacts, and all that a sandbox needs to run them.

    ``opt`` is the layers merged (``None`` without one), ``task`` the function, ``runtime`` the stand-in for what the
    runtime itself has: boto3, awslambdaric. ``interpreter`` is a CPython of the target's minor version.
    """

    interpreter: Path
    runtime: Path
    opt: Path | None = None
    task: Path | None = None


class Where(NamedTuple):
    """Where a proof ran: what the runtime's facts are held against. Versions are tuples of numbers.

    ``isolated`` tells that layer and function stood at ``/opt`` and ``/var/task`` and the network was off; ``how``
    names the means (``namespaces``, ``plain process``, ``container public.ecr.aws/lambda/python:3.11``).
    """

    system: str
    python: str
    glibc: tuple[int, ...]
    sqlite: tuple[int, ...]
    openssl: tuple[int, ...]
    isolated: bool
    how: str


class Job(NamedTuple):
    """One run of the target's interpreter.

    ``arguments`` follow the interpreter (``("-c", "import x")``). ``environment`` is added to that of the runtime.
    ``reach`` are TCP ports of this machine's loopback that the job may connect to, at the same number; nothing else of
    the network is there. ``memory`` is in bytes of resident memory, ``seconds`` of wall time; ``None`` is no limit.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str] = {}
    stdin: bytes = b""
    reach: Sequence[int] = ()
    memory: int | None = None
    seconds: float | None = None


class Sandbox(Protocol):
    """Where jobs run."""

    @property
    def where(self) -> Where:
        """What this place is."""

    def start(self, job: Job) -> Running:
        """Start a job; its working folder is the function's, ``/tmp`` is its own, and layer and function read-only."""

    def close(self) -> None:
        """End what still runs and remove what was made."""
