"""Whether readers ask about other things than before.

The words of two samples of questions are compared by the Jensen-Shannon divergence (Lin 1991, "Divergence measures
based on the Shannon entropy"), and a permutation test says whether two samples of the same questions would differ as
much. The same permutations say which words are asked more than chance would have it, for all words together (Westfall
and Young 1993, "Resampling-based multiple testing"). Words need no model, so the report and the API say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.text.words import STOP_WORDS, WORD, stem

MOST = 400
"""Questions of a sample."""
ENOUGH = 20
"""Questions of each sample from which on they are compared."""
_PERMUTATIONS = 199
_LEVEL = 0.01
"""How often chance alone may call a span another; reports look every hour."""
_WORDS = 6


@dataclass(frozen=True)
class Drift:
    """How far questions are from those before.

    Attributes:
        divergence: in bits, from 0 (the same words) to 1 (none in common).
        chance: share of random divisions of the same questions that differ as much, in (0, 1].
        words: what is asked more now than chance would have it, the most telling first.
        questions, before: how many there were to compare.
    """

    divergence: float
    chance: float
    words: Sequence[str]
    questions: int
    before: int

    @property
    def drifted(self) -> bool:
        """Whether it is more than chance."""
        return self.chance <= _LEVEL


def drift(before: Sequence[str], now: Sequence[str]) -> Drift | None:
    """Compare questions with those before; None where either are fewer than :data:`ENOUGH`."""
    if min(len(before), len(now)) < ENOUGH:
        return None
    spelt: dict[str, Counter[str]] = {}
    asked = [_stems(each, spelt) for each in (*before, *now)]
    place = {word: index for index, word in enumerate(sorted(spelt))}
    held = np.zeros((len(asked), max(1, len(place))), np.float32)
    for row, words in enumerate(asked):
        held[row, [place[word] for word in words]] = 1.0
    is_now = np.arange(len(asked)) >= len(before)
    random = np.random.default_rng(0)
    divisions = np.stack([is_now, *(random.permutation(is_now) for _ in range(_PERMUTATIONS))])
    newer = divisions.astype(np.float32) @ held
    parts = _parts(held.sum(axis=0) - newer, newer)
    found = parts.sum(axis=1)
    grown = (_shares(newer[:1]) > _shares(held.sum(axis=0) - newer[:1]))[0]
    grown &= parts[0] > np.quantile(parts[1:].max(axis=1), 1 - _LEVEL)
    order = np.argsort(-np.where(grown, parts[0], -1.0), kind="stable")[: min(_WORDS, int(grown.sum()))]
    names = sorted(spelt)
    return Drift(
        divergence=round(float(found[0]), 4),
        chance=float(np.mean(found >= found[0] - 1e-9)),
        words=[spelt[names[index]].most_common(1)[0][0] for index in order],
        questions=len(now),
        before=len(before),
    )


def _stems(question: str, spelt: dict[str, Counter[str]]) -> set[str]:
    """The content words of a question in a common form; how they are spelt is counted beside."""
    found = set()
    for word in WORD.findall(question.replace("’", "'")):
        plain = word.casefold()
        if plain in STOP_WORDS or (len(plain) < 3 and not plain.isdigit()):
            continue
        found.add(form := stem(plain))
        spelt.setdefault(form, Counter())[word if word.isupper() else plain] += 1
    return found


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)


def _parts(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """What each word adds to the divergence of two counts, by division, shape ``(divisions, words)``."""
    first, second = _shares(one), _shares(two)
    middle = np.maximum((first + second) / 2, 1e-12)

    def against(share: np.ndarray) -> np.ndarray:
        return share * np.log2(np.maximum(share, 1e-12) / middle)

    return (against(first) + against(second)) / 2
