"""How well probabilities tell an author's texts from others': the measures of the PAN shared tasks on authorship
verification. Both kinds of texts weigh the same, however many there are of each, as PAN's problems are balanced."""

from __future__ import annotations

import numpy as np

UNSURE = 0.01
"""How near to one half a probability is no answer."""


def auc(own: np.ndarray, others: np.ndarray) -> float:
    """The probability that a text of the author scores above one of another; ties count half (Mann and Whitney 1947).

    Raises:
        ValueError: there are no texts of one kind.
    """
    from scipy.stats import rankdata

    if not len(own) or not len(others):
        raise ValueError("texts of the author and of others are needed")
    ranks = rankdata(np.concatenate((own, others)))[: len(own)]
    return float((ranks.sum() - len(own) * (len(own) + 1) / 2) / (len(own) * len(others)))


def c_at_1(own: np.ndarray, others: np.ndarray) -> float:
    """Accuracy, where no answer earns the accuracy of all others (Peñas and Rodrigo 2011)."""
    right = (float(_yes(own).mean()) + float(_yes(1 - others).mean())) / 2
    unsure = (float(_unsure(own).mean()) + float(_unsure(others).mean())) / 2
    return right + unsure * right


def f_05_u(own: np.ndarray, others: np.ndarray) -> float:
    """F0.5, where no answer counts as a text of the author that was missed (Bevendorff et al. 2019)."""
    right, wrong = float(_yes(own).mean()), float(_yes(others).mean())
    missed = float(_yes(1 - own).mean()) + float(_unsure(own).mean()) + float(_unsure(others).mean())
    return 1.25 * right / (1.25 * right + 0.25 * missed + wrong) if right else 0.0


def _unsure(score: np.ndarray) -> np.ndarray:
    return np.abs(score - 0.5) < UNSURE


def _yes(score: np.ndarray) -> np.ndarray:
    return score >= 0.5 + UNSURE
