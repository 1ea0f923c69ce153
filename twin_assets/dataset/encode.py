"""Samples as a model sees them, the same for training and for evaluation."""

from __future__ import annotations

from typing import Any

from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt


def encode_rows(tokenizer: Any, rows: list[dict[str, Any]], author: str, max_tokens: int) -> list[Encoded]:
    """Samples of a dataset split as the model will see them, through the prompt that serves."""
    encoded = []
    for row in rows:
        passages = [
            prompt.Passage(marker, passage["title"], passage["text"])
            for marker, passage in enumerate(row["passages"], start=1)
        ]
        turns = prompt.messages(row["instruction"], passages, author=author)
        encoded.append(causal.encode(tokenizer, prompt.render(tokenizer, turns), row["answer"], max_tokens))
    return encoded
