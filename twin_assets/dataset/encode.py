"""Samples as a model sees them, the same for training and for evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from twin_assets.dataset.samples import InstructSample
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt


@dataclass
class EncodedSplit:
    """A dataset split in tokens: ``rows`` and the document of each; ``dropped`` counts samples that did not fit."""

    rows: list[Encoded] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    dropped: int = 0


def encode_split(
    tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int, max_answering_tokens: int
) -> EncodedSplit:
    """Samples of a dataset split as the model will see them, through the prompt that serves.

    A sample that is too long without passages loses the end of its answer, see :func:`causal.encode`. One with
    passages is kept whole or not at all: it would teach to answer from what is not there, or not to cite it.

    Args:
        max_answering_tokens: the limit of samples with passages, which are longer.
    """
    split = EncodedSplit()
    for sample in samples:
        passages = [prompt.Passage(marker, each.title, each.text) for marker, each in enumerate(sample.passages, 1)]
        turns = prompt.render(tokenizer, prompt.messages(sample.instruction, passages, author=author))
        limit = max_answering_tokens if passages else max_tokens
        encoded = causal.encode(tokenizer, turns, sample.answer, limit, whole=bool(passages))
        if encoded is None:
            split.dropped += 1
        else:
            split.rows.append(encoded)
            split.documents.append(sample.document_id)
    return split


def encode_rows(
    tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int, max_answering_tokens: int
) -> list[Encoded]:
    """The rows of :func:`encode_split`."""
    return encode_split(tokenizer, samples, author, max_tokens, max_answering_tokens).rows
