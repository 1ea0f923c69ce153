"""Figures worked out by hand."""

from __future__ import annotations

import random

import pytest

from twin_assets.evaluate import metrics


def test_loss_is_a_mean_over_tokens_and_a_clear_gain_has_a_clear_interval() -> None:
    assert metrics.mean_loss([(10.0, 5), (2.0, 1)]) == 2.0
    before = [(3.0 * n, n) for n in range(5, 25)]
    after = [(2.7 * n, n) for n in range(5, 25)]
    each = [f"d{number}" for number in range(20)]
    assert metrics.gain_interval(before, after, each) == pytest.approx((0.1, 0.1))
    noisy = [(3.0 * n + (40 if n % 2 else -40), n) for n in range(5, 25)]
    low, high = metrics.gain_interval(before, noisy, each)
    assert low < 0 < high


def test_answers_of_few_documents_make_nothing_certain() -> None:
    before = [(30.0, 10)] * 40
    after = [(25.0, 10)] * 30 + [(31.0, 10)] * 10
    low, _ = metrics.gain_interval(before, after, [f"d{number}" for number in range(40)])
    assert low > 0, "forty documents"
    low, _ = metrics.gain_interval(before, after, [f"d{number // 10}" for number in range(40)])
    assert low < 0, "four, of which one gained nothing"
    assert metrics.gain_interval(before, after, ["one"] * 20 + ["two"] * 20) == (-1.0, 1.0)
    assert metrics.gain_interval([], [], []) == (-1.0, 1.0)


@pytest.mark.parametrize("documents", [3, 5, 8])
def test_the_interval_holds_the_true_gain_as_often_as_it_says(documents: int) -> None:
    """Documents gain 10% give or take, their answers differ little; an interval over answers would hold it half the
    time."""
    dice = random.Random(documents)
    held = 0
    for _ in range(400):
        before, after, keys = [], [], []
        for number in range(documents):
            mine = dice.gauss(0.1, 0.05)
            for _ in range(dice.randint(4, 12)):
                tokens = dice.randint(50, 150)
                before.append((3.0 * tokens, tokens))
                after.append((3.0 * tokens * (1 - mine - dice.gauss(0, 0.01)), tokens))
                keys.append(f"d{number}")
        low, high = metrics.gain_interval(before, after, keys)
        held += low <= 0.1 <= high
    assert held / 400 > 0.9


def test_the_best_of_the_other_adapters_is_the_one_to_beat() -> None:
    documents = [f"d{number}" for number in range(6)]
    mine = [(20.0, 10)] * 6
    stranger, neighbour = [(40.0, 10)] * 6, [(22.0, 10)] * 6
    led = metrics.best_rival(mine, [stranger, neighbour], documents)
    assert led == {"rivals": 2, "loss": 2.2, "lead": 0.0909, "lead_interval": [0.0909, 0.0909]}
    assert metrics.best_rival(neighbour, [mine], documents)["lead"] == -0.1  # pyright: ignore[reportOptionalSubscript]
    assert metrics.best_rival(mine, [], documents) is None


def test_shares_of_the_same_things_asked_twice_are_compared_pair_by_pair() -> None:
    base = [True] * 9 + [False] * 15
    same, lost = metrics.paired_shares(base, base), metrics.paired_shares(base, [False] * 8 + base[8:])
    assert same[0] == 0
    assert same[1] < 0 < same[2], "24 of them never show that nothing differs"
    assert lost == (pytest.approx(-8 / 24, abs=1e-4), -0.5147, -0.1007)
    assert metrics.paired_shares([False] * 4, [True] * 4)[2] <= 1


def test_the_mean_of_paired_differences_has_students_interval() -> None:
    mean, low, high = metrics.mean_interval([1.0, 2.0, 3.0, 4.0])
    assert (mean, low, high) == pytest.approx((2.5, 0.4457, 4.5543), abs=1e-4)
