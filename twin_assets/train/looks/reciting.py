"""Whether a model goes on word for word when it is given the beginning of a text (Carlini et al. 2023, "Quantifying
memorization across neural language models"): asked while it is trained, and of the adapter that came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from twin_assets.dataset.encode import encode_samples
from twin_assets.dataset.samples import QUESTION, WHOLE, InstructSample
from twin_resources.models import causal
from twin_resources.text.identity import content_id
from twin_resources.text.words import gram_sequence, grams, longest_run, plain_words

TEXTS = 8
"""Of each side, trained on and held out, at most: one of a document."""
BEGINNING = 24
"""Tokens of an answer that a model is given, after the question."""
TOKENS = 24
"""That it writes then, at most, always by taking the likeliest."""
LEAST_WORDS = 50
"""Of an answer: enough for its beginning and for what can be recited of it."""
SIDE_BY_SIDE = 8
"""Texts that are gone on with side by side."""


@dataclass(frozen=True)
class Beginning:
    """The ``ids`` of a question and of the first tokens of its answer, and the ``rest`` of that, which no model is
    shown. ``trained`` tells whether the adapter was trained on it; ``follows`` is as much of the rest as a model
    writes."""

    ids: tuple[int, ...]
    rest: str
    trained: bool
    follows: str = ""


def chosen(
    samples: Iterable[InstructSample], limit: int = TEXTS, *, least_words: int | None = None
) -> list[InstructSample]:
    """Samples to begin, one of each of ``limit`` documents: those with the lowest hashes, so of a split always the
    same, whatever order it lies in. No more than that of them is in memory.

    A sample that shows passages, earlier turns or the text itself would be recited from what it shows.

    Args:
        least_words: of an answer; :data:`LEAST_WORDS` without it.
    """
    least = LEAST_WORDS if least_words is None else least_words
    found: dict[str, tuple[str, InstructSample]] = {}
    for sample in samples:
        shown = sample.passages or sample.history or sample.kind in (QUESTION, *WHOLE)
        if shown or len(plain_words(sample.answer)) < least:
            continue
        document = content_id("begun", sample.document_id)
        if document in found and found[document][1].id <= sample.id:
            continue
        found[document] = (document, sample)
        if len(found) > limit:
            del found[max(found)]
    return [sample for _, (_, sample) in sorted(found.items())]


def beginnings(
    tokenizer: Any,
    samples: Iterable[InstructSample],
    author: str,
    max_tokens: int,
    *,
    trained: bool,
    limit: int = TEXTS,
) -> list[Beginning]:
    """What :func:`chosen` takes of some samples, as a training shows it, up to :data:`BEGINNING` tokens of the answers;
    those of which too little is left to be recited are left out.

    Args:
        max_tokens: of a sample in training, which cuts what is longer.
    """
    found = []
    for _, encoded in encode_samples(tokenizer, chosen(samples, limit), author, max_tokens, max_tokens):
        if encoded is None or encoded.answer_length < BEGINNING + TOKENS:
            continue
        cut = encoded.prompt_length + BEGINNING
        rest, follows = (
            tokenizer.decode(encoded.ids[cut:end], skip_special_tokens=True) for end in (None, cut + TOKENS)
        )
        found.append(Beginning(encoded.ids[:cut], rest, trained, follows))
    return found


def gone_on(model: Any, tokenizer: Any, begun: Sequence[Beginning]) -> list[str]:
    """What a model writes after each beginning."""
    texts = []
    for first in range(0, len(begun), SIDE_BY_SIDE):
        turn = [each.ids for each in begun[first : first + SIDE_BY_SIDE]]
        written = causal.continued(model, turn, TOKENS, tokenizer.pad_token_id, tokenizer.eos_token_id)
        texts += [tokenizer.decode(ids, skip_special_tokens=True) for ids in written]
    return texts


def recited(begun: Iterable[Beginning], written: Iterable[str]) -> list[int]:
    """The words of the longest run in each text that stand, as they are, in the rest of the author's; runs of fewer
    than five words, which anybody's texts share, are none."""
    found = []
    for each, text in zip(begun, written, strict=True):
        known = grams(each.rest)
        found.append(longest_run([run in known for run in gram_sequence(text)]))
    return found


def recall(begun: Iterable[Beginning], written: Iterable[str]) -> list[float]:
    """The share of the author's next runs of five words that stand in each text, in [0, 1]."""
    found = []
    for each, text in zip(begun, written, strict=True):
        wanted, said = grams(each.follows), grams(text)
        found.append(len(wanted & said) / len(wanted) if wanted else 0.0)
    return found
