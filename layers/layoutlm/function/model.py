"""A folder with a model of LayoutLM → labels for a page.

Only ``model.safetensors`` is loaded, which holds numbers and nothing that runs; the code is that of transformers
itself, by the architecture that ``config.json`` names, and a tokenizer is read as ``tokenizer.json`` alone.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from page import SCALE, Box, Page
from tokenizers import Tokenizer
from transformers import LayoutLMForSequenceClassification, LayoutLMForTokenClassification
from transformers.utils.logging import disable_progress_bar

ARCHITECTURES = {kind.__name__: kind for kind in (LayoutLMForSequenceClassification, LayoutLMForTokenClassification)}
MIB_PER_CPU = 1769  # of a function's memory; source: AWS Lambda developer guide, page configuration-memory

# What stands at the ends of a page; source: the documentation of LayoutLM in transformers.
_START: Box = (0, 0, 0, 0)
_END: Box = (SCALE, SCALE, SCALE, SCALE)


class ModelError(Exception):
    """A model that this function cannot run."""


class Label(NamedTuple):
    """What the model says, and how sure it is, from 0 to 1."""

    label: str
    score: float


class Reading(NamedTuple):
    """Labels of a page: one for the whole, or one for each word; of ``words`` words, those that the model can hold."""

    labels: list[Label]
    words: int


class Classifier(NamedTuple):
    """A model with its tokenizer; ``whole`` where it labels pages, not words."""

    model: Any
    tokenizer: Tokenizer
    whole: bool


def use_threads() -> None:
    """As many threads as Lambda gives processors to a function of this memory; elsewhere torch decides."""
    memory = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    if memory.isdigit():
        share = math.ceil(int(memory) / MIB_PER_CPU)
        torch.set_num_threads(max(1, min(share, os.cpu_count() or 1)))


def load(folder: Path) -> Classifier:
    """The model in a folder.

    Raises:
        ModelError: config.json names no architecture that is known here, or the files do not belong together.
    """
    use_threads()
    disable_progress_bar()  # a bar in a log is noise
    stated = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures")
    kind = ARCHITECTURES.get(stated[0]) if isinstance(stated, list) and len(stated) == 1 else None
    if kind is None:
        raise ModelError(f"config.json: architectures is {stated}; expected one of {', '.join(ARCHITECTURES)}")
    model, told = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
    if told["missing_keys"] or told["mismatched_keys"]:
        lacking = sorted(map(str, (*told["missing_keys"], *told["mismatched_keys"])))
        raise ModelError(f"model.safetensors lacks {len(lacking)} tensors of config.json's model: {lacking[0]} ...")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        known = f"{tokenizer.get_vocab_size()} words, the model has {model.config.vocab_size}"
        raise ModelError(f"tokenizer.json does not belong to the model: it has {known}")
    tokenizer.no_padding()
    tokenizer.enable_truncation(model.config.max_position_embeddings)
    return Classifier(model.eval(), tokenizer, kind is LayoutLMForSequenceClassification)


def classify(classifier: Classifier, page: Page) -> Reading:
    """What the model says of a page, or of each of its words by the word's first token."""
    encoded = classifier.tokenizer.encode(page.words, is_pretokenized=True)
    boxes = [_START if number is None else page.boxes[number] for number in encoded.word_ids]
    if encoded.word_ids[-1] is None and len(boxes) > 1:
        boxes[-1] = _END
    with torch.inference_mode():
        answer = classifier.model(input_ids=torch.tensor([encoded.ids]), bbox=torch.tensor([boxes]))
    shares = answer.logits[0].softmax(-1)
    read = {number: place for place, number in reversed([*enumerate(encoded.word_ids)]) if number is not None}
    rows = [shares] if classifier.whole else [shares[place] for _, place in sorted(read.items())]
    return Reading([_label(classifier, row) for row in rows], len(read))


def _label(classifier: Classifier, shares: torch.Tensor) -> Label:
    best = int(shares.argmax())
    return Label(str(classifier.model.config.id2label[best]), float(shares[best]))
