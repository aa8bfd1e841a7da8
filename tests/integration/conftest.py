"""What integration tests need: the command line as users run it, a shared store, and the index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that the tests run in."""
    return ROOT


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the session: each wheel is fetched once. ``LAMINA_TEST_CACHE`` keeps it for the next."""
    kept = os.environ.get("LAMINA_TEST_CACHE")
    return Path(kept) if kept else tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def index() -> None:
    """Skip, by name, what needs the package index where it does not answer."""
    from lamina.errors import LaminaError
    from lamina.index import IndexClient, from_environment

    try:
        with IndexClient(from_environment(os.environ)) as client:
            client.files("six")
    except LaminaError as error:
        pytest.skip(f"the package index does not answer: {error}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a build reads of this repository: recipes with their locks, and layers."""
    folder = tmp_path / "project"
    for name in ("recipes", "layers"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
    return folder


Lamina = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def lamina(project: Path, shared_store: Path) -> Iterator[Lamina]:
    """Run ``lamina`` in the project with the shared store; returns the finished process."""

    def run(
        *arguments: str, cwd: Path = project, env: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LAMINA_CACHE": str(shared_store), **(env or {})}
        command = [python, "-m", "lamina", *arguments]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False
        )

    return run
