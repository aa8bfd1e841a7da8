"""layoutlm's function with torch and transformers on this machine: models that fit, and models that do not.

What the container has is proven in ``tests/integration/test_image_recipes.py``; here are the cases beside that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Told = Any  # JSON, by case
ROOT = Path(__file__).resolve().parents[2]

#: Each case is a folder of a run; what the handler answers or raises is printed, by the case's name.
SCRIPT = """
import json, os, shutil, sys
from pathlib import Path
root, work = Path(sys.argv[1]), Path(sys.argv[2])
sys.path[:0] = [str(root / "layers/layoutlm/function"), str(root / "scripts")]
import handler, make_layoutlm_model, torch
from transformers import LayoutLMForTokenClassification

def run(case):
    place = work / case / "runs" / "one" / "best"
    shutil.copytree(root / "layers/layoutlm/events/model", place)
    return place

def ask(case, words=("Invoice", "total")):
    os.environ["MODEL_DIR"] = case and str(work / case)
    handler._loaded = None
    try:
        return handler.lambda_handler({"words": list(words), "boxes": [[1, 1, 9, 9]] * len(words)}, None)
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace(str(work), "WORK")

told = {}
run("pages")
told["pages"] = ask("pages")
told["long"] = ask("pages", ["Dear", "meetings"] * 100)
place = run("words")
config = make_layoutlm_model.make_config(make_layoutlm_model.make_tokenizer())
torch.manual_seed(1)
LayoutLMForTokenClassification(config).save_pretrained(place)
told["words"] = ask("words", ("Invoice", "items", "unknown"))
place = run("architecture")
config = json.loads((place / "config.json").read_text())
(place / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))
told["architecture"] = ask("architecture")
place = run("layers")
(place / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
told["layers"] = ask("layers")
place = run("tokenizer")
tokenizer = json.loads((place / "tokenizer.json").read_text())
tokenizer["model"]["vocab"]["more"] = len(tokenizer["model"]["vocab"])
(place / "tokenizer.json").write_text(json.dumps(tokenizer))
told["tokenizer"] = ask("tokenizer")
place = run("cut")
content = (place / "model.safetensors").read_bytes()
(place / "model.safetensors").write_bytes(content[:-100])
told["cut"] = ask("cut")
place = run("pickle")
(place / "model.safetensors").rename(place / "pytorch_model.bin")
told["pickle"] = ask("pickle")
make_layoutlm_model.main(work / "made" / "runs" / "one" / "best")
told["made"] = ask("made")
told["nowhere"] = ask("")
(work / "told.json").write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(python311: str, index: None, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401, ARG001 - JSON; skips
    """What the handler says in each case."""
    folders = [os.environ.get("LAMINA_TEST_WHEELS"), *os.environ.get("PIP_FIND_LINKS", "").split()]
    links = next((one for one in folders if one and [*Path(one).glob("torch-*cp311-cp311-*x86_64.whl")]), None)
    if links is None:
        pytest.skip("left out: layoutlm: neither LAMINA_TEST_WHEELS nor PIP_FIND_LINKS has torch for cp311 on CPUs")
    [wheel] = [path.name for path in sorted(Path(links).glob("torch-*cp311-cp311-*x86_64.whl"))][-1:]
    work = tmp_path_factory.mktemp("layoutlm")
    packages = [f"torch=={wheel.split('-')[1]}", "transformers>=5.23,<6", "boto3"]
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python311]
    command += ["--target", str(work / "packages"), "--find-links", links, *packages]
    subprocess.run(command, check=True, timeout=600)
    env = {**os.environ, "PYTHONPATH": str(work / "packages"), "HF_HUB_OFFLINE": "1"}
    for name in ("MODEL_BUCKET", "CACHE_BUCKET"):
        env.pop(name, None)
    done = subprocess.run(
        [python311, "-B", "-c", SCRIPT, str(ROOT), str(work)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((work / "told.json").read_text())


def test_a_page_is_classified_by_a_model_in_a_folder(told: Told) -> None:
    body = told["pages"]["body"]
    assert (body["label"], body["words"], body["read"], body["run"]) == ("invoice", 2, 2, "one")
    assert 0.9 < body["score"] <= 1


def test_of_a_long_page_the_beginning_is_read_and_the_answer_says_how_much(told: Told) -> None:
    body = told["long"]["body"]
    # 62 tokens between the marks at the ends; "meetings" has two, so the last word that counts is one with its first.
    assert (body["words"], body["read"]) == (200, 42)  # the tiny model was taught short pages: its label says nothing


def test_a_model_of_words_labels_each_word_once(told: Told) -> None:
    body = told["words"]["body"]
    assert len(body["labels"]) == body["read"] == 3
    assert {one["label"] for one in body["labels"]} <= {"invoice", "letter"}


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "architecture",
            (
                "ModelError: config.json: architectures is ['BertModel']; "
                "expected one of LayoutLMForSequenceClassification, LayoutLMForTokenClassification"
            ),
        ),
        ("tokenizer", "ModelError: tokenizer.json does not belong to the model: it has 24 words, the model has 23"),
        (
            "pickle",
            "RunError: WORK/pickle: there is no runs/*/best/model.safetensors; upload a run, or name another place",
        ),
        (
            "nowhere",
            "RunError: neither MODEL_BUCKET nor MODEL_DIR is set: there is nowhere to look for a model",
        ),
    ],
)
def test_what_does_not_fit_is_told(told: Told, case: str, message: str) -> None:
    assert told[case] == message


def test_a_model_of_fewer_layers_than_its_config_is_not_filled_up_with_chance(told: Told) -> None:
    assert told["layers"].startswith("ModelError: model.safetensors lacks 16 tensors of config.json's model: ")


def test_a_damaged_model_is_an_error(told: Told) -> None:
    assert told["cut"].startswith("SafetensorError: ")


def test_the_script_makes_a_model_that_answers_like_the_committed_one(told: Told) -> None:
    assert told["made"]["body"]["label"] == told["pages"]["body"]["label"]
