"""Questions with the passages that answer them and passages that only look as if they did, to train a re-ranker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twin_assets.dataset.generators.retrieval import Query

NEGATIVES = 7
FEWEST_QUESTIONS = 40
"""With fewer questions than this, nothing can be learned that a held-out test would see."""


@dataclass(frozen=True)
class Group:
    """One question: ``passages`` are texts, of which the first answers it and the others do not."""

    question: str
    passages: tuple[str, ...]


def groups(
    questions: Sequence[Query],
    mined: Mapping[str, Sequence[str]],
    texts: Mapping[str, str],
    siblings: Mapping[str, frozenset[str]],
) -> list[Group]:
    """One group for every question and passage that answers it.

    Hard negatives are what the search itself ranks high (Xiong et al. 2021, "Approximate Nearest Neighbor Negative
    Contrastive Learning"), without passages of the same section, which may well answer the question, too.

    Args:
        mined: question id to the chunk ids that search found, best first.
        texts: chunk id to text.
        siblings: chunk id to the ids of the passages in its section, itself included.
    """
    found = []
    for question in questions:
        relevant = [key for key in question.relevant if key in texts]
        near = frozenset().union(*(siblings.get(key, frozenset((key,))) for key in relevant))
        wrong = [key for key in mined[question.id] if key not in near and key in texts][:NEGATIVES]
        if wrong:
            for key in relevant[:2]:
                found.append(Group(question.text, (texts[key], *(texts[other] for other in wrong))))
    return sorted(found, key=lambda group: hashlib.sha256(repr(group).encode()).digest())
