"""Make layers/layoutlm/events/model/, the tiny model that the layoutlm function is proven with.

It has LayoutLM's architecture with a vocabulary of a few words and eight numbers where real ones have 768; it is taught
to tell invoices from letters on pages that are made up. Run it with the versions that the recipe's image has:

    uv run --no-project --python 3.11 --with torch==2.13.0 --with transformers==5.23.0 --with tokenizers \
        python scripts/make_layoutlm_model.py [FOLDER]

The same run gives the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import LayoutLMConfig, LayoutLMForSequenceClassification

TARGET = Path(__file__).parents[1] / "layers" / "layoutlm" / "events" / "model"
LABELS = ["invoice", "letter"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
# Words of the two kinds, and words of both; ##s is a piece that ends other words.
INVOICE = ["invoice", "total", "amount", "due", "tax", "item"]
LETTER = ["dear", "sincerely", "regards", "thank", "you", "meeting"]
BOTH = ["the", "of", "and", "date", "for", "##s", "##al"]
STEPS = 120


def main(folder: Path) -> None:
    """Teach the model and write the three files of a run."""
    torch.manual_seed(1)
    torch.use_deterministic_algorithms(mode=True)
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    model = LayoutLMForSequenceClassification(make_config(tokenizer))
    ids, boxes, labels = make_pages(tokenizer)
    teacher = torch.optim.AdamW(model.parameters(), lr=0.02)
    model.train()
    for _ in range(STEPS):
        teacher.zero_grad()
        model(input_ids=ids, bbox=boxes, labels=labels).loss.backward()
        teacher.step()
    model.eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    for path in sorted(folder.iterdir()):
        print(f"{path}: {path.stat().st_size} bytes")


def make_tokenizer() -> Tokenizer:
    """WordPiece over the few words, with the marks of BERT at a page's ends."""
    words = [*SPECIAL, *INVOICE, *LETTER, *BOTH]
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))  # noqa: S106 - no secret
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    ends = [(word, words.index(word)) for word in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def make_config(tokenizer: Tokenizer) -> LayoutLMConfig:
    """LayoutLM's configuration with everything small; no dropout, so that each step is the same each time."""
    return LayoutLMConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        max_2d_position_embeddings=1001,  # places run from 0 to 1000
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )


def make_pages(tokenizer: Tokenizer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pages of eight words each, their words in rows of two: token ids, boxes, labels."""
    ids, boxes, labels = [], [], []
    for number in range(48):
        label = number % 2
        known, common = (INVOICE, LETTER)[label], BOTH[:5]
        words = [(known if place % 2 else common)[(number // 2 + place) % 5] for place in range(8)]
        ids.append(tokenizer.encode(words, is_pretokenized=True).ids)
        rows = [
            [100 + 400 * (place % 2), 90 * (place // 2), 400 + 400 * (place % 2), 90 * (place // 2) + 60]
            for place in range(8)
        ]
        boxes.append([[0, 0, 0, 0], *rows, [1000, 1000, 1000, 1000]])
        labels.append(label)
    return torch.tensor(ids), torch.tensor(boxes), torch.tensor(labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
