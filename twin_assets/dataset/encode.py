"""Samples as a model sees them, the same for training and for evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twin_assets.dataset.instruct import InstructSample
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt


def encode_rows(tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int) -> list[Encoded]:
    """Samples of a dataset split as the model will see them, through the prompt that serves."""
    encoded = []
    for sample in samples:
        passages = [
            prompt.Passage(marker, passage.title, passage.text) for marker, passage in enumerate(sample.passages, 1)
        ]
        turns = prompt.messages(sample.instruction, passages, author=author)
        encoded.append(causal.encode(tokenizer, prompt.render(tokenizer, turns), sample.answer, max_tokens))
    return encoded
