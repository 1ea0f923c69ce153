"""Whoever looks after every answer is wrong no more often than the confidence sequence says."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from scipy.stats import binom

from twin_resources.style.blind.comparison import Comparison
from twin_resources.style.blind.sequence import FEWEST, GUESSING, LEVEL, Standing, log_e_value, path

RUNS, ANSWERS = 4000, 500
ALPHA = 1 - LEVEL
MARGIN = 3 * math.sqrt(ALPHA * LEVEL / RUNS)
"""Three standard errors of a share of 5% over so many runs."""


@functools.cache
def right(share: float, seed: int = 7) -> np.ndarray:
    """How many answers are right after each, a row a run, of readers who find the author with this probability."""
    return np.cumsum(np.random.default_rng(seed).random((RUNS, ANSWERS)) < share, axis=1)


def outside(share: float, seed: int = 7) -> np.ndarray:
    """Whether ``share`` lies outside the confidence sequence after each answer of each run."""
    return log_e_value(right(share, seed), np.arange(1, ANSWERS + 1), share) >= -math.log(ALPHA)


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_looking_after_every_answer_is_wrong_in_one_run_of_twenty_at_most(share: float) -> None:
    wrong = outside(share).any(axis=1).mean()
    assert wrong <= ALPHA + MARGIN
    assert wrong > 0, "it promises no more than it has to"


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_an_interval_for_a_fixed_number_of_answers_is_wrong_far_more_often_where_one_looks_after_each(
    share: float,
) -> None:
    """Clopper and Pearson (1934): outside where a tail has less than 2.5%."""
    found, answers = np.arange(ANSWERS + 1)[:, None], np.arange(1, ANSWERS + 1)
    table = np.minimum(binom.cdf(found, answers, share), binom.sf(found - 1, answers, share))
    tails = table[right(share), answers - 1]
    peeking = (tails < ALPHA / 2).any(axis=1).mean()
    assert (tails[:, -1] < ALPHA / 2).mean() <= ALPHA + MARGIN, "looking once, it keeps its word"
    assert peeking > 0.15
    assert peeking > 3 * outside(share).any(axis=1).mean()


def test_a_reader_who_always_knows_is_found_out_after_eight_answers() -> None:
    lows = [Standing(answers, answers).low for answers in range(FEWEST + 1)]
    assert [low > GUESSING for low in lows] == [False] * FEWEST + [True]
    assert Standing(FEWEST, FEWEST).p_value < ALPHA < Standing(FEWEST - 1, FEWEST - 1).p_value
    assert Standing(0, FEWEST).high < GUESSING, "and so is one who always takes the twin for the author"


@pytest.mark.parametrize(("share", "half"), [(0.7, 50), (0.8, 21), (0.9, 13)])
def test_readers_who_can_tell_are_found_out_soon(share: float, half: int) -> None:
    """``half``: answers within which half of the runs show it."""
    against = log_e_value(right(share), np.arange(1, ANSWERS + 1), GUESSING) >= -math.log(ALPHA)
    assert against.any(axis=1).mean() > 0.99
    assert np.median(against.argmax(axis=1) + 1) <= half


def test_the_ends_are_the_shares_that_the_answers_just_do_not_speak_against() -> None:
    for found, answers in ((1, 1), (3, 4), (15, 30), (29, 30), (700, 1000), (1, 1000)):
        standing = Standing(found, answers)
        assert standing.low < found / answers
        assert math.isclose(float(log_e_value(found, answers, standing.low)), -math.log(ALPHA), rel_tol=1e-3)
        mirrored = Standing(answers - found, answers)
        assert math.isclose(standing.low, 1 - mirrored.high, abs_tol=1e-9)
    assert (Standing(0, 0).low, Standing(0, 0).high, Standing(0, 0).share) == (0.0, 1.0, None)
    assert Standing(0, 12).low == 0.0
    assert Standing(12, 12).high == 1.0


def test_evidence_is_a_number_however_many_answers_there_are() -> None:
    assert Standing(0, 0).e_value == Standing(0, 0).p_value == 1.0
    assert Standing(5, 10).p_value == 1.0
    assert math.isfinite(Standing(10_000, 10_000).e_value)
    assert Standing(8, 8).e_value == pytest.approx(2**8 / 9)


def test_the_path_ends_with_the_last_answer_and_has_no_more_points_than_asked_for() -> None:
    assert path([]) == []
    assert path([True, False]) == [Standing(1, 1), Standing(1, 2)]
    points = path([True] * 150 + [False] * 51, most=20)
    assert (points[0], points[-1]) == (Standing(1, 1), Standing(150, 201))
    assert len(points) == 20
    assert points == sorted(points, key=lambda each: each.answers)


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_two_versions_that_are_told_alike_are_hardly_ever_held_apart(share: float) -> None:
    """At whatever moment one looks; answers on both come by turns."""
    runs = 300
    mine, theirs = right(share)[:runs, :120], right(share, 8)[:runs, :120]
    wrong = 0
    for one, other in zip(mine, theirs, strict=True):
        standings = [
            (Standing(int(a), n), Standing(int(b), n)) for n, (a, b) in enumerate(zip(one, other, strict=True), 1)
        ]
        wrong += any(Comparison("me-2", "me-1", *pair).is_told_more_readily(0) for pair in standings)
    assert wrong / runs <= ALPHA
