"""The recipes here that have a function, built and proven as ``nox -s verify`` does it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("index")

CASES = {
    "sklearn": ("cp311-manylinux2014_x86_64", "python311", ["imports"], 2),
    "docworker": ("cp311-manylinux2014_x86_64", "python311", ["imports", "script"], 1),
    "chroma": ("cp312-manylinux_2_34_x86_64", "python312", ["imports"], 2),
}


@pytest.mark.parametrize("name", CASES)
def test_what_ran_stands_in_the_manifests(
    name: str,
    lamina: Callable[..., subprocess.CompletedProcess[str]],
    project: Path,
    request: pytest.FixtureRequest,
) -> None:
    target, interpreter, kinds, events = CASES[name]
    request.getfixturevalue(interpreter)  # skips where the target's CPython is not there
    done = lamina("build", name, "--target", target, "--prove", "--json", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    [outcome] = json.loads(done.stdout)
    layer, function = (
        json.loads((project / "dist" / f"{name}-{target}{suffix}.json").read_text()) for suffix in ("", "-function")
    )
    assert (outcome["manifest"], outcome["function"]["manifest"]) == (layer, function)
    assert [(proof["kind"], proof["passed"]) for proof in layer["proofs"]] == [(kind, True) for kind in kinds]
    assert [(proof["kind"], proof["passed"]) for proof in function["proofs"]] == [("event", True)] * events
    assert all(": not Lambda" in proof["where"] for proof in (*layer["proofs"], *function["proofs"]))
