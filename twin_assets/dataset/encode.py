"""Samples as a model sees them, the same for training and for evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from twin_assets.dataset.instruct import InstructSample
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt


@dataclass
class EncodedSplit:
    """A dataset split in tokens; ``passages_left_out`` counts passages that did not fit with the prompt's head and
    half of the room for the answer, ``dropped`` samples that did not fit without any."""

    rows: list[Encoded] = field(default_factory=list)
    passages_left_out: int = 0
    dropped: int = 0


def encode_split(tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int) -> EncodedSplit:
    """Samples of a dataset split as the model will see them, through the prompt that serves.

    A sample that is too long loses its passages one by one, the one that its answer comes from last; never the head of
    its prompt.
    """
    split = EncodedSplit()
    for sample in samples:
        kept = list(sample.passages)
        while True:
            passages = [prompt.Passage(marker, each.title, each.text) for marker, each in enumerate(kept, 1)]
            turns = prompt.messages(sample.instruction, passages, author=author)
            encoded = causal.encode(tokenizer, prompt.render(tokenizer, turns), sample.answer, max_tokens)
            if encoded is not None or not kept:
                break
            others = [each for each in kept if each.chunk_id != sample.chunk_ids[0]]
            kept.remove((others or kept)[-1])
        split.passages_left_out += len(sample.passages) - len(kept)
        if encoded is None:
            split.dropped += 1
        else:
            split.rows.append(encoded)
    return split


def encode_rows(tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int) -> list[Encoded]:
    """The rows of :func:`encode_split`."""
    return encode_split(tokenizer, samples, author, max_tokens).rows
