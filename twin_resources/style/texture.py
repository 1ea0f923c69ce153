"""The texture of a text beside that of its author: what it has too much or too little of, in a writer's words.

Too even is as wrong as too uneven: every trait is held against both ends of the author's own spread over documents.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.style.masking import words_of
from twin_resources.style.prose import sentences_of, word_count
from twin_resources.text.units import units

LEAST_WORDS = 100
"""A shorter document says little of its author's habits."""
_LOW, _HIGH = 5, 95
"""Percentiles of the author's documents between which a draft is like them."""
_WINDOW = 100
_FIRST = frozenset(
    [
        "i",
        "i'm",
        "i've",
        "i'll",
        "i'd",
        "me",
        "my",
        "mine",
        "myself",
        "we",
        "we're",
        "we've",
        "we'll",
        "we'd",
        "us",
        "our",
        "ours",
        "ourselves",
    ]
)
_SECOND = frozenset(["you", "you're", "you've", "you'll", "you'd", "your", "yours", "yourself", "yourselves"])
_CONTRACTION = re.compile(r"\w+'(?:s|t|re|ve|ll|d|m)\b", re.I)


@dataclass(frozen=True)
class Habit:
    """One trait: how it is shown, and what a draft has that has too much or too little of it. ``least`` is the
    difference from which on a writer would notice."""

    name: str
    unit: str
    more: str
    less: str
    least: float
    show: Callable[[float], str] = lambda value: f"{value:.1f}"


@dataclass(frozen=True)
class Remark:
    """What a draft has otherwise than its author: the trait, both figures, and the sentence that says so."""

    habit: str
    draft: float
    usual: float
    low: float
    high: float
    text: str


def _share(value: float) -> str:
    return f"{value:.0%}"


HABITS = (
    Habit("sentence length", "words", "your sentences are longer", "your sentences are shorter", 2.5,
          lambda value: f"{value:.0f}"),
    Habit("sentence variety", "words of spread", "your sentences vary more in length",
          "your sentences are all of much the same length", 2.0),
    Habit("questions", "of the sentences", "you ask more questions", "you ask fewer questions", 0.04, _share),
    Habit("exclamations", "of the sentences", "you exclaim more", "you exclaim less", 0.04, _share),
    Habit("list items", "of the sentences", "more of it is lists", "less of it is lists", 0.12, _share),
    Habit("commas", "in 100 words", "you use more commas", "you use fewer commas", 1.0),
    Habit("dashes", "in 100 words", "you use more dashes", "you use fewer dashes", 0.3),
    Habit("colons and semicolons", "in 100 words", "you use more colons and semicolons",
          "you use fewer colons and semicolons", 0.4),
    Habit("brackets", "in 100 words", "you put more into brackets", "you put less into brackets", 0.4),
    Habit("contractions", "in 100 words", "you contract more words (don't, it's)",
          "you contract fewer words (don't, it's)", 0.5),
    Habit("first person", "in 100 words", "you say I and we more often", "you say I and we less often", 0.8),
    Habit("second person", "in 100 words", "you address the reader more often",
          "you address the reader less often", 0.8),
    Habit("word variety", "different words in 100", "you repeat yourself less", "you repeat yourself more", 3.0),
    Habit("word entropy", "bits in 100 words", "your choice of words is more varied",
          "your choice of words is more even", 0.15, lambda value: f"{value:.2f}"),
    Habit("word length", "letters", "your words are longer", "your words are shorter", 0.25),
)  # fmt: skip


def habits_of(markdown: str) -> np.ndarray | None:
    """The traits of a text in the order of :data:`HABITS`; None where it has fewer than :data:`LEAST_WORDS` words."""
    sentences = sentences_of(markdown)
    text = " ".join(sentences)
    words = words_of(text)
    if len(words) < LEAST_WORDS:
        return None
    lengths = np.array([word_count(each) for each in sentences])
    kinds = Counter(unit.kind for unit in units(markdown) if unit.kind in ("sentence", "item"))
    hundred = 100.0 / len(words)
    variety, entropy = _variety(words)
    ends = [each.rstrip("\"') ")[-1:] for each in sentences]
    return np.array([
        lengths.mean(),
        lengths.std(),
        ends.count("?") / len(ends),
        ends.count("!") / len(ends),
        kinds["item"] / max(1, kinds.total()),
        text.count(",") * hundred,
        text.count("—") * hundred,
        (text.count(":") + text.count(";")) * hundred,
        text.count("(") * hundred,
        len(_CONTRACTION.findall(text)) * hundred,
        sum(word in _FIRST for word in words) * hundred,
        sum(word in _SECOND for word in words) * hundred,
        variety,
        entropy,
        float(np.mean([len(word) for word in words])),
    ])  # fmt: skip


def _variety(words: Sequence[str]) -> tuple[float, float]:
    """Different words, and the entropy of words in bits, in the mean of windows of 100 words (moving-average type-token
    ratio, Covington and McFall 2010), so that long texts compare with short ones."""
    kinds, bits = [], []
    for start in range(0, len(words) - _WINDOW + 1, _WINDOW // 2):
        counts = Counter(words[start : start + _WINDOW]).values()
        kinds.append(len(counts))
        bits.append(-sum(count / _WINDOW * math.log2(count / _WINDOW) for count in counts))
    return float(np.mean(kinds)), float(np.mean(bits))


def remarks(markdown: str, own: np.ndarray) -> list[Remark]:
    """What a text has otherwise than its author's documents, the farthest first.

    Args:
        own: the habits of documents, shape ``(documents, habits)``.
    """
    draft = habits_of(markdown)
    if draft is None or len(own) < 2:
        return []
    low, usual, high = np.percentile(own, (_LOW, 50, _HIGH), axis=0)
    found: list[tuple[float, Remark]] = []
    for habit, value, bottom, middle, top in zip(HABITS, draft, low, usual, high, strict=True):
        beyond = value - top if value > top else bottom - value if value < bottom else 0.0
        if beyond <= 0 or abs(value - middle) < habit.least:
            continue
        said = habit.more if value > middle else habit.less
        text = f"{said}: {habit.show(value)} {habit.unit}, where yours mostly have {habit.show(middle)} "
        text += f"({habit.show(bottom)} to {habit.show(top)})"
        distance = abs(value - middle) / max(habit.least, float(top - bottom) / 2)
        found.append((distance, Remark(habit.name, float(value), float(middle), float(bottom), float(top), text)))
    return [remark for _, remark in sorted(found, key=lambda pair: -pair[0])]
