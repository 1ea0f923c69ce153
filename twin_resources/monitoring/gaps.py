"""What readers asked that the author has not covered: one gap for the same question in other words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from twin_resources.storage.calls.usage import Unanswered

MOST = 200
"""Questions that are looked at, the newest."""
ALIKE = 0.5
"""Mean cosine from which on two groups are one. Of the pairs of 49 invented questions about 16 things that
the packaged model puts together 86% mean the same, and it finds 81% of those that do; at 0.55 all and 66%."""
_BATCH = 32
_WORDINGS = 4


@dataclass(frozen=True)
class Gap:
    """A question that the author's work does not answer, the newest time that it was asked, and how often.

    ``wordings`` are other ways in which it was asked, ``silent`` how often the twin said nothing; to the rest it gave
    an answer that little supports.
    """

    question: str
    times: int
    silent: int
    last_at: datetime
    trace_id: str
    wordings: Sequence[str]


def gaps(asked: Sequence[Unanswered], embed: Callable[[Sequence[str]], np.ndarray]) -> list[Gap]:
    """Group questions by what they mean, by average linkage: the two groups that are most alike become one, until none
    are alike enough.

    Args:
        asked: the newest first.
        embed: gives vectors of unit length; is given a few at a time, so that readers who ask meanwhile wait little.

    Returns:
        The most frequent first, then the newest.
    """
    texts = list(dict.fromkeys(each.question for each in asked))
    groups = _grouped(texts, embed)
    members: list[list[Unanswered]] = [[] for _ in range(1 + max(groups.values(), default=-1))]
    for each in asked:
        members[groups[each.question]].append(each)
    return sorted(map(_gap, members), key=lambda gap: (-gap.times, -gap.last_at.timestamp()))


def _gap(members: Sequence[Unanswered]) -> Gap:
    newest = members[0]
    wordings = [text for text in dict.fromkeys(each.question for each in members) if text != newest.question]
    return Gap(
        question=newest.question,
        times=len(members),
        silent=sum(bool(each.abstained) for each in members),
        last_at=newest.at,
        trace_id=newest.trace_id,
        wordings=wordings[:_WORDINGS],
    )


def _grouped(texts: Sequence[str], embed: Callable[[Sequence[str]], np.ndarray]) -> dict[str, int]:
    """The number of the group of each text."""
    if not texts:
        return {}
    vectors = np.concatenate([embed(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)])
    sums, sizes = vectors.astype(np.float64), np.ones(len(texts))
    members = [[row] for row in range(len(texts))]
    likeness = sums @ sums.T
    np.fill_diagonal(likeness, -1.0)
    while likeness.max() >= ALIKE:
        kept, gone = sorted(divmod(int(likeness.argmax()), len(texts)))
        members[kept] += members[gone]
        members[gone] = []
        sums[kept] += sums[gone]
        sizes[kept] += sizes[gone]
        likeness[gone, :] = likeness[:, gone] = -1.0
        alive = np.array([bool(each) for each in members])
        alive[kept] = False
        likeness[kept, alive] = likeness[alive, kept] = sums[alive] @ sums[kept] / (sizes[alive] * sizes[kept])
    return {texts[row]: number for number, each in enumerate(filter(None, members)) for row in each}
