from __future__ import annotations

import numpy as np
import pytest

from twin_resources.retrieval import fusion


def test_flat_lexical_scores_weigh_little() -> None:
    standing_out = [9.0] + [1.0] * 30
    flat = [9.0] * 31
    assert fusion.lexical_weight(standing_out) > fusion.lexical_weight(flat) == 0
    assert fusion.lexical_weight([]) == 0
    assert fusion.lexical_weight([0.0]) == 0


def test_fused_scores_follow_both_rankings() -> None:
    dense = np.array([0.9, 0.5, 0.1])
    lexical = np.array([0.0, 8.0, 8.0])
    fused = fusion.fuse(dense, lexical, 0.5)
    assert fused.min() >= 0
    assert fused.max() <= 1
    assert fused[1] > fused[2]
    assert list(np.argsort(-fusion.fuse(dense, lexical, 0.0))) == [0, 1, 2]
    assert list(fusion.fuse(np.ones(2), np.zeros(2), 1.0)) == [0.5, 0.5], "nothing to tell apart"
    word_for_word = np.array([False, False, True])
    assert fusion.fuse(dense, lexical, 0.5, word_for_word)[2] > fusion.fuse(dense, lexical, 0.5)[2]


def test_feedback_moves_the_query_towards_the_best_and_keeps_its_length() -> None:
    query, vectors = np.array([1.0, 0.0, 0.0]), np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    moved = fusion.feedback(query, vectors, np.array([3.0, 1.0]))
    assert np.linalg.norm(moved) == pytest.approx(1)
    assert moved[1] == pytest.approx(3 * moved[2])
    assert moved[0] > moved[1] > 0
    assert list(fusion.feedback(query, vectors, np.zeros(2))) == [1.0, 0.0, 0.0]


def test_a_passage_takes_a_part_of_the_scores_of_those_like_it() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    scores = np.array([1.0, 0.2, 0.3, 0.4])
    lent = fusion.regularize(scores, fusion.neighbours(vectors))
    assert lent[0] == pytest.approx(1.0 - 0.8 * fusion.NEIGHBOURS_WEIGHT)
    assert lent[1] == pytest.approx(0.2 + 0.8 * fusion.NEIGHBOURS_WEIGHT)
    assert list(lent[2:]) == [0.3, 0.4], "nothing is like them"
    assert list(fusion.regularize(scores[:1], fusion.neighbours(vectors[:1]))) == [1.0]


def test_an_unknown_date_counts_as_old() -> None:
    scores = np.array([0.5, 0.5, 0.5])
    ranked = fusion.recency(scores, np.array([0.0, 365.0, np.nan]), 0.5, 365.0)
    assert list(ranked) == [0.75, 0.5, 0.25]


def test_diversity_prefers_what_is_different() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    scores = np.array([1.0, 0.9, 0.2])
    assert fusion.diversify(scores, vectors, 3, 0.0) == [0, 1, 2]
    assert fusion.diversify(scores, vectors, 2, 0.7) == [0, 2]


def test_the_same_words_are_the_same_text() -> None:
    one = fusion.runs_of("The tide turns at six in the morning, every day.")
    assert fusion.same_text(one, fusion.runs_of("THE TIDE turns at six in the morning every day"))
    assert not fusion.same_text(one, fusion.runs_of("The tide turns at noon in the harbour on some days."))


def test_the_opening_of_a_short_document_speaks_for_its_other_passages() -> None:
    scores, openings = np.array([0.50, 0.51, 0.52]), np.array([1.0, 0.0, 1.0])
    introduced = fusion.introduced(scores, openings, np.array([2.0, 2.0, 400.0]))
    assert introduced.argmax() == 0, "of a long document the opening says little"
    assert introduced[2] > introduced[1]
    alone = fusion.introduced(scores, scores, np.ones(3))
    assert list(alone.argsort()) == list(scores.argsort()), "documents of one passage keep their order"
    assert introduced.max() <= 1


def test_openings_are_measured_by_the_range_of_the_candidates() -> None:
    dense, lexical = np.array([0.2, 0.6]), np.array([0.0, 4.0])
    found = fusion.fuse(np.array([0.1, 0.4, 0.9]), np.array([0.0, 2.0, 9.0]), 1.0, among=(dense, lexical))
    assert found == pytest.approx([0.0, 0.5, 1.0])
