"""Probabilities from scores: logistic regressions of one voice or several, learned on texts the verifiers never saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_STRENGTH = 1.0
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Logistic:
    """``probability = 1 / (1 + exp(-(bias + weights · (scores - mean) / spread)))``."""

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    bias: float

    @classmethod
    def fit(cls, own: np.ndarray, others: np.ndarray, strength: float = _STRENGTH) -> Logistic:
        """Fit to scores of shape ``(texts, voices)``; both kinds weigh the same, and no weight may be negative, as
        every voice is higher where a text is more like the author's."""
        from scipy.optimize import minimize

        every = np.concatenate((own, others)).astype(np.float64)
        mean, spread = every.mean(axis=0), every.std(axis=0) + _SMALLEST
        rows = (every - mean) / spread
        truth = np.concatenate((np.ones(len(own)), -np.ones(len(others))))
        weight = np.concatenate((np.full(len(own), 0.5 / len(own)), np.full(len(others), 0.5 / len(others))))
        weight *= min(len(own), len(others)) * 2

        def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
            margin = truth * (rows @ values[1:] + values[0])
            slope = -weight * truth / (1.0 + np.exp(np.clip(margin, -50, 50)))
            gradient = np.concatenate(([slope.sum()], rows.T @ slope + strength * values[1:]))
            total = weight @ np.logaddexp(0.0, -margin) + 0.5 * strength * values[1:] @ values[1:]
            return float(total), gradient

        bounds = [(None, None), *[(0.0, None)] * rows.shape[1]]
        found = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(mean, spread, found[1:], float(found[0]))

    def logits(self, scores: np.ndarray) -> np.ndarray:
        """The logarithm of the odds, shape ``(texts,)``."""
        return (scores - self.mean) / self.spread @ self.weights + self.bias

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """The probabilities, shape ``(texts,)``."""
        return 1.0 / (1.0 + np.exp(-np.clip(self.logits(scores), -50, 50)))
