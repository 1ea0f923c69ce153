"""Samples as a model sees them, the same for training and for evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin_assets.dataset.samples import WHOLE, InstructSample, Turn
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt


@dataclass
class EncodedSplit:
    """A dataset split in tokens: ``rows`` and the document of each; ``dropped`` counts samples that did not fit."""

    rows: list[Encoded] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    dropped: int = 0


def encode_samples(
    tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int, max_answering_tokens: int
) -> Iterator[tuple[InstructSample, Encoded | None]]:
    """Each sample as the model will see it, through the prompt that serves; None for one that does not fit.

    A sample that is too long without passages loses the end of its answer, see :func:`causal.encode`. One with
    passages is kept whole or not at all: it would teach to answer from what is not there, or not to cite it; so are
    summaries and code. One that goes on from earlier turns loses the first of them, and in the end all, until it fits.

    Args:
        max_answering_tokens: the limit of samples with passages, earlier turns, a text to sum up, or code, which are
            longer.
    """
    for sample in samples:
        passages = [prompt.Passage(marker, each.title, each.text) for marker, each in enumerate(sample.passages, 1)]
        encoded = None
        for first in range(len(sample.history) + 1):
            history = _history(sample.history[first:])
            turns = prompt.messages(sample.instruction, passages, author=author, history=history)
            longer = bool(passages or history) or sample.kind in WHOLE
            limit = max_answering_tokens if longer else max_tokens
            text = prompt.render(tokenizer, turns)
            encoded = causal.encode(tokenizer, text, sample.answer, limit, whole=longer)
            if encoded is not None:
                break
        yield sample, encoded


def encode_split(
    tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int, max_answering_tokens: int
) -> EncodedSplit:
    """What :func:`encode_samples` finds, in memory."""
    split = EncodedSplit()
    for sample, encoded in encode_samples(tokenizer, samples, author, max_tokens, max_answering_tokens):
        if encoded is None:
            split.dropped += 1
        else:
            split.rows.append(encoded)
            split.documents.append(sample.document_id)
    return split


def _history(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return prompt.history((turn.instruction, turn.answer) for turn in turns)


def encode_rows(
    tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int, max_answering_tokens: int
) -> list[Encoded]:
    """The rows of :func:`encode_split`."""
    return encode_split(tokenizer, samples, author, max_tokens, max_answering_tokens).rows
