"""Whether readers ask about other things than before."""

from __future__ import annotations

import random

from twin_resources.monitoring.drift import ENOUGH, drift

THINGS = ("gauge", "ferry", "pier", "log", "tide", "harbour", "engine", "buoy", "winter", "crew")


def questions(count: int, seed: int, *more: str) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(["What about the", *rng.sample(THINGS, 3), *more, "?"]) for _ in range(count)]


def test_too_few_questions_say_nothing() -> None:
    assert drift(questions(ENOUGH, 1), questions(ENOUGH - 1, 2)) is None
    assert drift([], questions(ENOUGH, 2)) is None


def test_the_same_things_are_hardly_ever_called_drift() -> None:
    found = [drift(questions(60, seed), questions(40, seed + 100)) for seed in range(50)]
    assert sum(each is not None and each.drifted for each in found) <= 2
    assert sum(each is not None and each.words != [] for each in found) <= 2


def test_new_things_are_drift_and_are_named_as_readers_spell_them() -> None:
    now = questions(25, 1) + questions(25, 2, "Kubernetes", "costs")
    found = drift(questions(60, 3), now)
    assert found is not None
    assert found.drifted
    assert found.chance <= 0.01
    assert sorted(found.words) == ["costs", "kubernetes"]


def test_what_has_no_words_is_compared_too() -> None:
    found = drift(["?!"] * ENOUGH, ["who is it"] * ENOUGH)
    assert found is not None
    assert (found.divergence, found.drifted) == (0.0, False)
