"""How far a model goes on word for word when it is given the beginning of a text that it was trained on.

What a text like it says by chance, and what the base knew before, is known from held-out texts and from the base: the
excess over both was memorised (Carlini et al. 2023, "Quantifying memorization across neural language models").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin_assets.dataset.encode import encode_samples
from twin_assets.dataset.samples import QUESTION, WHOLE, InstructSample
from twin_assets.evaluate.metrics import FEWEST_DOCUMENTS, welch_interval
from twin_assets.evaluate.style import words_in_a_row
from twin_resources.models import causal
from twin_resources.text.identity import content_id
from twin_resources.text.words import gram_sequence, grams, plain_words

TEXTS = 8
"""Of each side, trained on and held out, at most: one of a document."""
BEGINNING = 24
"""Tokens of an answer that a model is given, after the question."""
TOKENS = 24
"""That it writes then, at most, always by taking the likeliest."""
LEAST_WORDS = 50
"""Of an answer: enough for its beginning and for what can be recited of it."""
_TURN = 8
"""Texts that are gone on with side by side."""


@dataclass(frozen=True)
class Beginning:
    """The ``ids`` of a question and of the first tokens of its answer, and the ``rest`` of that, which no model is
    shown. ``trained`` tells whether the candidate was trained on it."""

    ids: tuple[int, ...]
    rest: str
    trained: bool


def chosen(samples: Iterable[InstructSample], limit: int = TEXTS) -> list[InstructSample]:
    """Samples to begin, one of each of ``limit`` documents: those with the lowest hashes, so of a split always the
    same, whatever order it lies in. No more than that of them is in memory.

    A sample that shows passages, earlier turns or the text itself would be recited from what it shows.
    """
    found: dict[str, tuple[str, InstructSample]] = {}
    for sample in samples:
        shown = sample.passages or sample.history or sample.kind in (QUESTION, *WHOLE)
        if shown or len(plain_words(sample.answer)) < LEAST_WORDS:
            continue
        document = content_id("begun", sample.document_id)
        if document in found and found[document][1].id <= sample.id:
            continue
        found[document] = (document, sample)
        if len(found) > limit:
            del found[max(found)]
    return [sample for _, (_, sample) in sorted(found.items())]


def beginnings(
    tokenizer: Any, samples: Iterable[InstructSample], author: str, max_tokens: int, *, trained: bool
) -> list[Beginning]:
    """What :func:`chosen` takes of some samples, as a training shows it, up to :data:`BEGINNING` tokens of the answers;
    those of which too little is left to be recited are left out.

    Args:
        max_tokens: of a sample in training, which cuts what is longer.
    """
    found = []
    for _, encoded in encode_samples(tokenizer, chosen(samples), author, max_tokens, max_tokens):
        if encoded is None or encoded.answer_length < BEGINNING + TOKENS:
            continue
        cut = encoded.prompt_length + BEGINNING
        rest = tokenizer.decode(encoded.ids[cut:], skip_special_tokens=True)
        found.append(Beginning(encoded.ids[:cut], rest, trained))
    return found


def gone_on(model: Any, tokenizer: Any, begun: Sequence[Beginning]) -> list[str]:
    """What a model writes after each beginning."""
    texts = []
    for first in range(0, len(begun), _TURN):
        turn = [each.ids for each in begun[first : first + _TURN]]
        written = causal.continued(model, turn, TOKENS, tokenizer.pad_token_id, tokenizer.eos_token_id)
        texts += [tokenizer.decode(ids, skip_special_tokens=True) for ids in written]
    return texts


def recited(begun: Iterable[Beginning], written: Iterable[str]) -> list[int]:
    """The words of the longest run in each text that stand, as they are, in the rest of the author's; runs of fewer
    than five words, which anybody's texts share, are none."""
    found = []
    for each, text in zip(begun, written, strict=True):
        known = grams(each.rest)
        found.append(words_in_a_row([run in known for run in gram_sequence(text)]))
    return found


def figures(begun: Sequence[Beginning], written: Mapping[str, Sequence[str]], candidate: str) -> dict[str, Any] | None:
    """What was memorised; None where fewer than :data:`~.metrics.FEWEST_DOCUMENTS` texts were begun on a side.

    Args:
        written: what each model went on with; ``base`` and ``candidate`` among them.

    Returns:
        the ``candidate``; how many texts were begun (``trained``, ``held_out``); of each of ``models`` the mean words
        recited of either and the ``longest`` run of trained texts; and the ``excess`` in words of ``candidate`` on
        trained texts, over the base and over held-out ones, with its 95% ``interval``.
    """
    sides: dict[str, list[int]] = {"trained": [], "held_out": []}
    for place, each in enumerate(begun):
        sides["trained" if each.trained else "held_out"].append(place)
    if min(map(len, sides.values())) < FEWEST_DOCUMENTS:
        return None
    runs = {model: recited(begun, texts) for model, texts in written.items()}
    models = {}
    for model, mine in runs.items():
        means = {side: round(sum(mine[place] for place in places) / len(places), 2) for side, places in sides.items()}
        models[model] = {**means, "longest": max(mine[place] for place in sides["trained"])}
    over_base = [mine - base for mine, base in zip(runs[candidate], runs["base"], strict=True)]
    held_out, trained = ([over_base[place] for place in sides[side]] for side in ("held_out", "trained"))
    excess, low, high = welch_interval(held_out, trained)
    counts = {side: len(places) for side, places in sides.items()}
    return {"candidate": candidate, **counts, "models": models, "excess": excess, "interval": [low, high]}
