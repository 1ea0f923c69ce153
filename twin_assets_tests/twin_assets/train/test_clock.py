"""What a person is told of the time that a training still takes, and what it costs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from twin_assets.train.backends.clock import Clock
from twin_resources.config.training import TrainingSettings


def ticking(seconds: Iterator[float]) -> Callable[[], float]:
    """A clock that goes on by these."""
    at = 0.0

    def now() -> float:
        nonlocal at
        at += next(seconds, 0.0)
        return at

    return now


def test_nothing_is_told_before_there_are_two_steps_and_little_is_known_after_them() -> None:
    clock = Clock(TrainingSettings(), ticking(iter([0.0, 60.0, 10.0])))
    clock.stepped()
    assert clock.told(9) == "", "the first one loads and compiles, and tells nothing of the others"
    clock.stepped()
    assert clock.told(9) == ", 2 min left (45 s to 2 min)"


def test_what_is_left_lies_where_it_is_said_to_nineteen_times_in_twenty() -> None:
    inside = 0
    for seed in range(200):
        drawn = random.Random(seed)
        steps = [drawn.gauss(10.0, 2.0) for _ in range(41)]
        clock = Clock(TrainingSettings(), ticking(iter([0.0, *steps[:11]])))
        for _ in range(11):
            clock.stepped()
        left = clock.left(30)
        assert left
        inside += left.low <= sum(steps[11:]) <= left.high
    assert 180 <= inside <= 198


def test_what_it_will_have_cost_in_all_is_told_where_there_is_a_price() -> None:
    settings = TrainingSettings(price_per_hour=36.0, currency="kr")
    clock = Clock(settings, ticking(iter([0.0, 100.0, *[10.0] * 4])))
    for _ in range(5):
        clock.stepped()
    assert clock.told(6) == ", 60 s left, about 2.00 kr in all"
