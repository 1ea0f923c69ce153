"""What is counted of texts: character n-grams as written and with the topic masked, function words, and windows of
grammar. Every trait is a figure; no text can be read from them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.style.masking import FUNCTION_WORDS, PLACES, START, distort, grammar, words_of

ORDER = 4
"""Tokens of a window of grammar: one and those before it."""
GRAMS = (2, 3, 4)


@dataclass(frozen=True)
class Vocabulary:
    """The character n-grams that are counted, the most frequent ones of the reference."""

    plain: tuple[str, ...]
    masked: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], size: int) -> Vocabulary:
        """The n-grams that stand in most of ``texts``, ``size`` of each kind."""
        plain, masked = Counter[str](), Counter[str]()
        for text in texts:
            plain.update(set(_grams(text.lower())))
            masked.update(set(_grams(distort(text))))
        return cls(_first(plain, size), _first(masked, size))


@dataclass(frozen=True)
class Traits:
    """Counts of texts, one row a text.

    ``plain``, ``masked``: character n-grams of the vocabulary, shape ``(texts, n-grams)``; ``function``: function
    words, shape ``(texts, words)``; ``windows``: :data:`ORDER` tokens each, shape ``(windows, ORDER)``, sorted within
    a text; ``ends``: where the windows of each text end.
    """

    plain: np.ndarray
    masked: np.ndarray
    function: np.ndarray
    windows: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def take(self, rows: np.ndarray | Sequence[int]) -> Traits:
        """Some of the texts."""
        rows = np.asarray(rows, np.int64)
        starts = np.concatenate(([0], self.ends[:-1]))
        pieces = [self.windows[starts[row] : self.ends[row]] for row in rows]
        windows = np.concatenate(pieces) if pieces else self.windows[:0]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        return Traits(self.plain[rows], self.masked[rows], self.function[rows], windows, ends)

    def joined(self, other: Traits) -> Traits:
        """Each text followed by the text of the same row of ``other``."""
        starts, others = (np.concatenate(([0], each.ends[:-1])) for each in (self, other))
        pieces = [
            np.concatenate((self.windows[a:b], other.windows[c:d]))
            for a, b, c, d in zip(starts, self.ends, others, other.ends, strict=True)
        ]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        plain, masked = (
            np.add(a, b, dtype=np.uint16) for a, b in ((self.plain, other.plain), (self.masked, other.masked))
        )
        function = np.add(self.function, other.function, dtype=np.uint16)
        return Traits(plain, masked, function, np.concatenate(pieces) if pieces else self.windows[:0], ends)

    def text_of_window(self) -> np.ndarray:
        """The row of the text that each window belongs to."""
        return np.repeat(np.arange(len(self.ends)), np.diff(self.ends, prepend=0))


class Counting:
    """Counts the traits of texts."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._plain = {gram: place for place, gram in enumerate(vocabulary.plain)}
        self._masked = {gram: place for place, gram in enumerate(vocabulary.masked)}
        self._function = {word: place for place, word in enumerate(FUNCTION_WORDS)}

    def __call__(self, texts: Sequence[str]) -> Traits:
        """The traits of plain texts, one row each."""
        windows = [_windows(text) for text in texts]
        ends = np.cumsum([len(each) for each in windows], dtype=np.int64)
        return Traits(
            _counts((_grams(text.lower()) for text in texts), self._plain, len(texts)),
            _counts((_grams(distort(text)) for text in texts), self._masked, len(texts)),
            _counts(map(words_of, texts), self._function, len(texts)),
            np.concatenate(windows) if windows else np.empty((0, ORDER), np.uint16),
            ends,
        )


def _grams(text: str) -> list[str]:
    padded = f" {text} "
    return [padded[at : at + size] for size in GRAMS for at in range(len(padded) - size + 1)]


def _first(counts: Counter[str], size: int) -> tuple[str, ...]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(gram for gram, _ in ranked[:size])


def _counts(rows: Iterable[Iterable[str]], places: dict[str, int], count: int) -> np.ndarray:
    found = np.zeros((count, len(places)), np.uint16)
    for row, items in enumerate(rows):
        at = [places[item] for item in items if item in places]
        found[row] = np.bincount(at, minlength=len(places)) if at else 0
    return found


def _windows(text: str) -> np.ndarray:
    start, end = PLACES[START], PLACES["end"]
    found: list[tuple[int, ...]] = []
    for tokens in grammar(text):
        padded = [*itertools.repeat(start, ORDER - 1), *tokens, end]
        found += zip(*(padded[offset:] for offset in range(ORDER)), strict=False)
    return np.array(sorted(found), np.uint16).reshape(-1, ORDER)
