"""The recipes for images, made on a stand-in for AWS's base image and proven in containers of what was emitted.

Each is the committed recipe but for its target and its base: CPython 3.11, with the stand-in's glibc as the ceiling.
layoutlm's proof has two runs in an S3 on loopback: the handler must take the newer one, classify pages of words and
boxes with it, and leave its name in the cache bucket. docworker's reads a scanned page.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("index")

Lamina = Callable[..., "subprocess.CompletedProcess[str]"]

TARGET = "cp311-manylinux_2_36_x86_64"
#: Names of Debian's packages where the recipe has those of Amazon Linux.
DEBIAN = {
    '"tesseract", "tesseract-langpack-eng"]': '"tesseract-ocr"]',
    "/share/tesseract/tessdata": "/share/tesseract-ocr/5/tessdata",
}


@pytest.fixture
def torch_wheels() -> str:
    """The folder with a wheel of torch for cp311 and CPUs alone."""
    for folder in (os.environ.get("LAMINA_TEST_WHEELS"), *os.environ.get("PIP_FIND_LINKS", "").split()):
        if folder and [*Path(folder).glob("torch-*cp311-cp311-*x86_64.whl")]:
            return folder
    pytest.skip("left out: layoutlm: neither LAMINA_TEST_WHEELS nor PIP_FIND_LINKS has torch for cp311 on CPUs")


def stand_in(project: Path, name: str, base: str) -> None:
    """Rewrite a recipe of the project for the stand-in."""
    path = project / "recipes" / f"{name}.toml"
    text = path.read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\[)", text)
    at = next(number for number, block in enumerate(blocks) if block.startswith("[[target]]"))
    blocks = [block for block in blocks if not block.startswith(("[[target]]", "[image]"))]
    blocks[at:at] = [
        f'[[target]]\npython = "cp311"\nplatform = "{TARGET.partition("-")[2]}"\n',
        f'[image]\nbase = "{base}"\n',
    ]
    text = "\n".join(blocks)
    for amazon, debian in DEBIAN.items():
        text = text.replace(amazon, debian)
    path.write_text(re.sub(r"(?m)^artefacts = .*$", 'artefacts = ["image"]', text), encoding="utf-8")


def prove(lamina: Lamina, name: str, base: str, **env: str) -> list[tuple[str, bool, str]]:
    """Lock, make and prove the image; what each proof was of, whether it passed, and what it says."""
    done = lamina("lock", name, env=env)
    assert done.returncode == 0, done.stderr
    done = lamina("image", name, "--base", f"docker-daemon:{base}", "--quiet", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    done = lamina("prove", name, "--json", "--quiet", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    [row] = json.loads(done.stdout)
    return [(proof["kind"], proof["passed"], proof["detail"]) for proof in row["proofs"]]


def manifest(project: Path, name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((project / "dist" / f"{name}-{TARGET}.oci.json").read_text(encoding="utf-8"))


def kinds(proofs: list[tuple[str, bool, str]]) -> list[tuple[str, bool]]:
    return [(kind, passed) for kind, passed, _ in proofs]


def test_layoutlm_on_the_stand_in_classifies_pages_by_the_newest_run_in_s3(
    lamina: Lamina, project: Path, base_image: str, torch_wheels: str
) -> None:
    stand_in(project, "layoutlm", base_image)
    proofs = prove(lamina, "layoutlm", base_image, LAMINA_INDEX_TORCH_CPU=torch_wheels)
    assert kinds(proofs) == [("imports", True), ("script", True), *[("event", True)] * 3, *[("emulator", True)] * 3]
    made = manifest(project, "layoutlm")
    assert not [found for found in made["findings"] if found["severity"] != "note"]
    [torch] = [package for package in made["packages"] if package["name"] == "torch"]
    assert torch["version"].endswith("+cpu")
    # What only a GPU would use, and what only whoever builds torch's extensions would, is not there.
    assert not [package["name"] for package in made["packages"] if package["name"].startswith(("nvidia", "setuptools"))]


def test_docworker_on_the_stand_in_reads_a_scanned_page_with_the_images_tesseract(
    lamina: Lamina, project: Path, base_image: str
) -> None:
    stand_in(project, "docworker-image", base_image)
    proofs = prove(lamina, "docworker-image", base_image)
    assert kinds(proofs) == [("imports", True), ("script", True), ("event", True), ("emulator", True)]
    lock = (project / "recipes" / "locks" / f"docworker-image-{TARGET}.txt").read_text(encoding="utf-8")
    for taken in ("bin/tesseract", "lib/libtesseract.so.5", "share/tesseract-ocr/5/tessdata/eng.traineddata"):
        assert re.search(rf"(?m)^# taken: {re.escape(taken)} [0-9a-f]{{64}} \d+$", lock), taken
    # The proof is one of the page's own words.
    words = project / "layers" / "docworker" / "recorded" / "scan.words.json"
    words.write_text('["Invoice 2024-118", "Southwind"]', encoding="utf-8")
    done = lamina("prove", "docworker-image", "--quiet")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "not read from the document: ['Southwind']" in done.stdout


def test_sklearn_as_an_image_on_the_stand_in(lamina: Lamina, project: Path, base_image: str) -> None:
    stand_in(project, "sklearn", base_image)
    proofs = prove(lamina, "sklearn", base_image)
    assert kinds(proofs) == [("imports", True), *[("event", True)] * 2, *[("emulator", True)] * 2]
