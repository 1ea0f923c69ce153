"""Samples as a model sees them, the same for training and for evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twin_assets.dataset.generators.answering import FEWER_WORDS, shorter
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

    A sample that is too long without passages loses the end of its answer, see :func:`causal.encode`. Answers from
    passages are kept whole or not at all, as they would teach to answer from what is not there, or not to cite it; so
    are summaries and code. One that goes on from earlier turns loses the first of them, and in the end all, until it
    fits; then its passages lose sentences that it does not quote, see :func:`~.generators.answering.shorter`.

    Args:
        max_answering_tokens: the limit of samples with passages, earlier turns, a text to sum up, or code, which are
            longer.
    """
    for sample in samples:
        encoded = None
        for shown in _shortened(sample):
            passages = [prompt.Passage(marker, each.title, each.text) for marker, each in enumerate(shown.passages, 1)]
            history = _history(shown.history)
            turns = prompt.messages(sample.instruction, passages, author=author, history=history)
            longer = bool(passages or history) or sample.kind in WHOLE
            limit = max_answering_tokens if longer else max_tokens
            text = prompt.render(tokenizer, turns)
            encoded = causal.encode(tokenizer, text, sample.answer, limit, whole=longer)
            if encoded is not None:
                break
        yield sample, encoded


def _shortened(sample: InstructSample) -> Iterator[InstructSample]:
    """A sample as it is, then with ever less before its question."""
    for first in range(len(sample.history) + 1):
        yield replace(sample, history=sample.history[first:])
    if sample.passages:
        for words in FEWER_WORDS:
            yield shorter(replace(sample, history=()), words)


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
