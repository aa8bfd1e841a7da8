"""Rows of ``tests/integration/test_breakages.py`` for more than 150 MB of wheels; ``nox -s tests_heavy`` runs them.

torch for CPUs alone is not on every index, and its wheels want glibc 2.28, which python3.11 on Lambda does not have. So
its rows take the wheel from the folder that ``LAMINA_TEST_WHEELS`` names, under a tag that a target accepts: pruning is
what is tested here, not the tag. Where there is no such wheel they are skipped, and the summary says so.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Layers = Any  # the workshop of tests/conftest.py; test files import nothing from each other


class Row(NamedTuple):
    """One package: the layer it is in, and what is run."""

    package: str
    layer: str
    statement: str


LAYERS = {
    "tensorflow": ("tensorflow-cpu",),
    "xgboost": ("xgboost",),
    "librosa": ("librosa", "soundfile==0.12.1"),  # the last that brings libsndfile for glibc 2.26
}
ROWS = (
    Row("tensorflow", "tensorflow", "import tensorflow as tf; assert tf.reduce_sum(tf.ones(3)).numpy() == 3"),
    Row(
        "keras",
        "tensorflow",
        "from tensorflow import keras; keras.Sequential([keras.layers.Dense(1)])(__import__('numpy').ones((1, 2)))",
    ),
    Row("librosa", "librosa", "import librosa, numpy; assert librosa.feature.mfcc(y=numpy.ones(4096), sr=8000).any()"),
    Row(
        "xgboost",
        "xgboost",
        "import xgboost, numpy; xgboost.train({}, xgboost.DMatrix(numpy.ones((4, 1)), label=[0, 1, 0, 1]), 1)",
    ),
)
TORCH = ("torch", "torchmetrics", "lightning", "accelerate", "peft", "sentence-transformers")
TORCH_ROWS = (
    Row(
        "torch",
        "torch",
        "import torch, torch.testing; torch.testing.assert_close(torch.ones(2) + 1, torch.full((2,), 2.0))",
    ),
    Row("accelerate", "torch", "import accelerate; accelerate.Accelerator(cpu=True)"),
    Row("peft", "torch", "import peft; peft.LoraConfig()"),
    Row(
        "sentence-transformers",
        "torch",
        "import sentence_transformers, pathlib\n"
        "[found] = pathlib.Path(sentence_transformers.__file__).parent.glob('base/model_card_template.md')\n"
        "assert found.read_text()",
    ),
    Row(
        "RequirementCache",
        "torch",
        "from lightning_utilities.core.imports import RequirementCache; assert RequirementCache('torch>=2.0')",
    ),
)
STRIPPED = (
    Row("torch", "strip-torch", "import torch; torch.ones(2).sum()"),
    Row("torchmetrics", "strip-torch", "import torch, torchmetrics; torchmetrics.MeanMetric()(torch.ones(2))"),
    Row("lightning", "strip-torch", "import lightning; lightning.Trainer"),
    Row("shap", "strip-shap", "import shap, numpy; shap.maskers.Independent(numpy.ones((2, 2)))"),
)


@pytest.fixture(scope="session")
def torch_links(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A line of TOML: the folder with torch's wheel under a tag of python3.11's glibc."""
    given = os.environ.get("LAMINA_TEST_WHEELS")
    found = sorted(Path(given).glob("torch-*cp311-cp311-*x86_64.whl")) if given else []
    if not found:
        pytest.skip("left out: LAMINA_TEST_WHEELS names no folder with a cp311 wheel of torch for CPUs")
    folder = tmp_path_factory.mktemp("links")
    name, version = found[-1].name.split("-")[:2]
    shutil.copyfile(found[-1], folder / f"{name}-{version}-cp311-cp311-manylinux_2_17_x86_64.whl")
    return f'find-links = ["{folder.as_posix()}"]\n'


def _named(rows: tuple[Row, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.package) for row in rows])


@_named(ROWS)
def test_default_rules(row: Row, layers: Layers, python311: str) -> None:
    layers.use(layers.open(row.layer, LAYERS[row.layer]), row.statement, interpreter=python311)


@_named(TORCH_ROWS)
def test_torch_and_its_company(row: Row, layers: Layers, python311: str, torch_links: str) -> None:
    layers.use(layers.open(row.layer, TORCH, head=torch_links), row.statement, interpreter=python311)


@_named(STRIPPED)
def test_fine_without_metadata(row: Row, layers: Layers, python311: str, request: pytest.FixtureRequest) -> None:
    strip = '[prune]\nmetadata = "strip"\n'
    if row.layer == "strip-torch":
        head = request.getfixturevalue("torch_links")
        layer = layers.open(row.layer, ("torch", "torchmetrics", "lightning"), head=head, extra=strip)
    else:
        layer = layers.open(row.layer, ("shap",), extra=strip)
    assert not [*layer.glob("*.dist-info/METADATA")]
    layers.use(layer, row.statement, interpreter=python311)
