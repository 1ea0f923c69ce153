"""Figures worked out by hand."""

from __future__ import annotations

import pytest

from twin_assets.evaluate import metrics


def test_loss_is_a_mean_over_tokens_and_a_clear_gain_has_a_clear_interval() -> None:
    assert metrics.mean_loss([(10.0, 5), (2.0, 1)]) == 2.0
    before = [(3.0 * n, n) for n in range(5, 25)]
    after = [(2.7 * n, n) for n in range(5, 25)]
    assert metrics.gain_interval(before, after) == pytest.approx((0.1, 0.1))
    noisy = [(3.0 * n + (40 if n % 2 else -40), n) for n in range(5, 25)]
    low, high = metrics.gain_interval(before, noisy)
    assert low < 0 < high
