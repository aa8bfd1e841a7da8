"""Every recipe of the repository: its locks fit, it builds for all its targets, and what it is for works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("index")

RECIPES = ("chroma", "docworker", "sklearn", "sklearn-latest")

#: Recipes for images alone, see test_image_recipes.py; their locks need what not every machine reaches.
IMAGES = ("docworker-image", "layoutlm")

#: What each layer is used for, by recipe and target; run with the layer alone on the path.
USES = {
    ("docworker", "cp311-manylinux2014_x86_64"): """
import anthropic, fitz, io, pydantic, pytesseract
from PIL import Image
from cryptography.fernet import Fernet
client = anthropic.Anthropic(api_key="not-a-key")
assert client.messages is not None
document = fitz.open()
document.new_page().insert_text((72, 72), "an invoice")
assert "an invoice" in fitz.open("pdf", document.tobytes())[0].get_text()
picture = io.BytesIO()
Image.new("RGB", (8, 8), "red").save(picture, "PNG")
assert Image.open(picture).getpixel((0, 0)) == (255, 0, 0)
class Verdict(pydantic.BaseModel):
    kind: str
    sure: float = pydantic.Field(ge=0, le=1)
assert Verdict.model_validate_json('{"kind": "invoice", "sure": 0.9}').kind == "invoice"
key = Fernet.generate_key()
assert Fernet(key).decrypt(Fernet(key).encrypt(b"secret")) == b"secret"
assert pytesseract.__version__ == "0.3.10"
""",
    ("chroma", "cp312-manylinux_2_34_x86_64"): """
import chromadb, tempfile
with tempfile.TemporaryDirectory() as folder:
    client = chromadb.PersistentClient(path=folder)
    made = client.create_collection("docs")
    made.add(ids=["a", "b"], embeddings=[[1.0, 0.0], [0.0, 1.0]], documents=["first", "second"],
             metadatas=[{"n": 1}, {"n": 2}])
    again = chromadb.PersistentClient(path=folder).get_collection("docs")
    assert again.query(query_embeddings=[[0.9, 0.1]], n_results=1)["ids"] == [["a"]]
    assert again.get(where={"n": 2})["documents"] == ["second"]
""",
    ("sklearn-latest", "cp311-manylinux_2_26_x86_64"): """
import numpy, pandas, scipy.stats
from sklearn.linear_model import LinearRegression
frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
assert numpy.allclose(LinearRegression().fit(frame[["x"]], frame["y"]).predict(frame[["x"]]), frame["y"])
""",
}


def interpreter(version: str) -> str | None:
    """A CPython of this minor version on this machine."""
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")]
    installed = [str(path) for root in roots if root.is_dir() for path in sorted(root.glob(f"{version}.*/bin/python"))]
    for candidate in (sys.executable, shutil.which(f"python{version}"), *installed):
        if candidate:
            asked = [candidate, "-I", "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
            if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == version:
                return candidate
    return None


def test_all_recipes_are_tested(repository: Path) -> None:
    assert sorted(path.stem for path in (repository / "recipes").glob("*.toml")) == sorted((*RECIPES, *IMAGES))


def test_locks_fit(lamina: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = lamina("lock", "--all", "--check")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"{name}: left out, as it is an image without a lock; make one: lamina lock {name}" for name in IMAGES
    ]


def test_an_image_without_a_lock_is_missed_where_it_is_named(
    lamina: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = lamina("lock", "layoutlm", "--check")
    assert done.returncode == 2
    assert "recipes/locks/layoutlm-cp312-manylinux_2_34_x86_64.txt" in done.stderr
    assert "lamina lock layoutlm" in done.stderr


@pytest.mark.parametrize("recipe", RECIPES)
def test_builds_for_all_targets_and_is_used(
    lamina: Callable[..., subprocess.CompletedProcess[str]], project: Path, tmp_path: Path, recipe: str
) -> None:
    done = lamina("build", recipe, "--json", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = json.loads(done.stdout)
    for outcome in outcomes:
        assert not [found for found in outcome["manifest"]["findings"] if found["severity"] == "error"]
    again = json.loads(lamina("build", recipe, "--json", "--quiet", "--offline").stdout)
    assert [outcome["manifest"] for outcome in again] == [outcome["manifest"] for outcome in outcomes]
    assert all(outcome["warm"] for outcome in again)
    skipped = []
    for (name, target), use in USES.items():
        if name == recipe:
            python = interpreter(f"{target[2]}.{target[3:].partition('-')[0]}")
            if python is None:
                skipped.append(f"{target}: no such interpreter on this machine")
                continue
            _use(python, project / "dist" / f"{name}-{target}.zip", tmp_path / target, use)
    if skipped:
        pytest.skip(f"built, but not used: {'; '.join(skipped)}")


def _use(python: str, artefact: Path, folder: Path, use: str) -> None:
    shutil.unpack_archive(artefact, folder)
    script = f"import sys; sys.path.insert(0, {str(folder / 'python')!r})\n{use}\nprint('used')"
    command = [python, "-I", "-S", "-B", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout, done.returncode) == ("used\n", 0), done.stderr
