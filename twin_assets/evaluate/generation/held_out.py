"""Which held-out answers adapters are measured on: of a dataset version always the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from twin_assets.dataset.encode import EncodedSplit
from twin_assets.dataset.samples import InstructSample

DOCUMENTS = 24
"""Documents of which one answer is measured at least: a gain varies from document to document, and its interval is over
them."""


def spread(samples: Iterable[InstructSample], limit: int) -> list[InstructSample]:
    """Up to ``limit`` samples of as many documents as there are: the first of each, then the second, by their ids."""
    turns: Counter[str] = Counter()
    numbered = []
    for sample in sorted(samples, key=lambda each: each.id):
        numbered.append((turns[sample.document_id], sample.id, sample))
        turns[sample.document_id] += 1
    return [sample for *_, sample in sorted(numbered, key=lambda each: each[:2])[:limit]]


def within_tokens(split: EncodedSplit, budget: int | None) -> EncodedSplit:
    """The leading answers of a split until the tokens of prompts and answers reach ``budget``; whatever that takes, one
    of each document, up to :data:`DOCUMENTS`.

    Nothing is passed over for being long, else short answers would be measured and long ones claimed.

    Args:
        budget: None for all of the split.
    """
    if budget is None:
        return split
    first: dict[str, int] = {}
    for place, document in enumerate(split.documents):
        first.setdefault(document, place)
    chosen = set(list(first.values())[:DOCUMENTS])
    left = budget - sum(len(split.rows[place].ids) for place in chosen)
    for place in sorted(set(range(len(split.rows))) - chosen):
        left -= len(split.rows[place].ids)
        if left < 0:
            break
        chosen.add(place)
    kept = sorted(chosen)
    return EncodedSplit([split.rows[each] for each in kept], [split.documents[each] for each in kept], split.dropped)
