"""Figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from twin_resources.retrieval import metrics


def test_ranking_figures() -> None:
    relevant = frozenset({"a", "b"})
    assert metrics.ndcg(["a", "b", "x"], relevant) == 1.0
    assert metrics.ndcg(["x", "a"], relevant) == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert metrics.recall(["x", "a", "b"], relevant, 2) == 0.5
    assert metrics.reciprocal_rank(["x", "y", "b"], relevant) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(["x"], relevant) == 0.0


def test_summary_is_the_mean_over_questions() -> None:
    found = metrics.summarise([["a"], ["x"]], [frozenset("a"), frozenset("b")])
    assert found["ndcg@10"] == 0.5
    assert found["recall@1"] == 0.5
    assert metrics.summarise([], []) == {}
