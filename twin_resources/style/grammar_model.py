"""A language model of grammar tokens: interpolated Kneser-Ney (Kneser and Ney 1995), all windows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin_resources.style.masking import TOKENS
from twin_resources.style.traits import ORDER

_BITS = 9
_DISCOUNT = 0.75
"""As in Nini et al. 2024."""


@dataclass(frozen=True)
class _Order:
    """n-grams of one length with their counts, and what is known of each context; both sorted by key."""

    grams: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    kinds: np.ndarray


class GrammarModel:
    """The probability of a token after those before it, learned from ``windows``, shape ``(windows, ORDER)``."""

    def __init__(self, windows: np.ndarray) -> None:
        keys, counts = np.unique(pack(windows), return_counts=True)
        self._orders: list[_Order] = []
        for length in range(ORDER, 0, -1):
            contexts, first = np.unique(keys >> _BITS, return_index=True)
            totals = np.add.reduceat(counts, first)
            kinds = np.diff(np.append(first, len(keys)))
            self._orders.append(_Order(keys, counts, contexts, totals, kinds))
            if length > 1:  # a shorter n-gram counts as often as different tokens stand before it
                keys, counts = np.unique(keys & ((1 << (_BITS * (length - 1))) - 1), return_counts=True)

    def log_probabilities(self, windows: np.ndarray) -> np.ndarray:
        """The natural logarithm of the probability of the last token of each window."""
        packed = pack(windows)
        found = np.full(len(packed), 1.0 / len(TOKENS))
        for length, order in zip(range(1, ORDER + 1), reversed(self._orders), strict=True):
            keys = packed & ((1 << (_BITS * length)) - 1)
            count = _look_up(order.grams, order.counts, keys)
            total = _look_up(order.contexts, order.totals, keys >> _BITS)
            kinds = _look_up(order.contexts, order.kinds, keys >> _BITS)
            known = np.maximum(total, 1)
            mixed = (np.maximum(count - _DISCOUNT, 0.0) + _DISCOUNT * kinds * found) / known
            found = np.where(total > 0, mixed, found)
        return np.log(found)


def pack(windows: np.ndarray) -> np.ndarray:
    """Each window as one number, the last token lowest."""
    keys = np.zeros(len(windows), np.int64)
    for column in range(windows.shape[1]):
        keys = (keys << _BITS) | windows[:, column].astype(np.int64)
    return keys


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
