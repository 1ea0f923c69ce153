"""The measures of authorship verification."""

from __future__ import annotations

import numpy as np
import pytest

from twin_resources.style.metrics import auc, c_at_1, f_05_u


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    assert auc(np.array([0.9, 0.4]), np.array([0.5, 0.1])) == 0.75
    assert auc(np.array([0.5]), np.array([0.5])) == 0.5
    with pytest.raises(ValueError, match="needed"):
        auc(np.array([]), np.array([0.5]))


def test_no_answer_earns_the_accuracy_of_the_others() -> None:
    own, others = np.array([0.9, 0.9, 0.5, 0.5]), np.array([0.1, 0.1, 0.1, 0.9])
    assert c_at_1(own, others) == pytest.approx((5 + 2 * 5 / 8) / 8)
    assert c_at_1(np.array([0.5]), np.array([0.5])) == 0.0


def test_each_kind_weighs_the_same() -> None:
    assert c_at_1(np.array([0.9]), np.full(1000, 0.9)) == pytest.approx(0.5)
    assert f_05_u(np.array([0.9]), np.full(1000, 0.1)) == pytest.approx(1.0)


def test_f_05_u_counts_no_answer_as_missed_and_prefers_precision() -> None:
    own = np.array([0.9, 0.9, 0.9, 0.5])
    assert f_05_u(own, np.full(4, 0.1)) == pytest.approx(1.25 * 3 / (1.25 * 3 + 0.25 * 1))
    assert f_05_u(np.full(4, 0.9), np.array([0.9, 0.1, 0.1, 0.1])) < f_05_u(own, np.full(4, 0.1))
    assert f_05_u(np.full(4, 0.1), np.full(4, 0.1)) == 0.0
