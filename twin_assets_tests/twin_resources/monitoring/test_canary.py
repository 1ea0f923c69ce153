"""Whether readers certainly fare worse on a canary."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from twin_resources.monitoring.canary import FIGURES, LEVEL, Standing
from twin_resources.storage.calls.arms import Arm, Arms
from twin_resources.storage.releases import Canary
from twin_resources.style.blind.sequence import log_e_value

CANARY = Canary("ada-2", 0.1, datetime(2026, 11, 21, tzinfo=UTC))
OTHERS = Arm(conversations=900, calls=1500, failed=9, silent=90, unsupported=200, down=18)


def standing(**wrong: int) -> Standing:
    """With a hundred conversations on canary, of which so many went wrong; the others as the champion's."""
    usual = Arm(conversations=100, calls=160, failed=1, silent=10, unsupported=22, down=2)
    return Standing.of(CANARY, Arms(replace(usual, **wrong), OTHERS))


def test_a_canary_like_the_champion_is_no_worse() -> None:
    found = standing()
    assert (found.counts, found.worse, found.told()) == (True, [], "")
    assert [each.name for each in found.figures] == list(FIGURES)
    assert standing(failed=0, silent=0, unsupported=0, down=0).worse == []


@pytest.mark.parametrize(("name", "many", "few"), [("failed", 12, 4), ("silent", 40, 18), ("unsupported", 70, 34)])
def test_a_canary_that_is_certainly_worse_is_told_with_its_figures(name: str, many: int, few: int) -> None:
    (worse,) = standing(**{name: many}).worse
    assert (worse.name, worse.canary) == (name, many)
    assert worse.p_value <= 0.0125
    told = standing(**{name: many}).told()
    assert f"{FIGURES[name]} in {many} of 100 conversations, on the champion in {getattr(OTHERS, name)} of 900" in told
    assert standing(**{name: few}).worse == [], "a little more is chance"


def test_before_there_are_enough_on_both_sides_nothing_is_decided() -> None:
    for mine, theirs in ((9, 900), (100, 9)):
        arms = Arms(Arm(conversations=mine, failed=9), Arm(conversations=theirs))
        assert Standing.of(CANARY, arms).worse == []
    assert Standing.of(CANARY, Arms(Arm(conversations=10, failed=9), Arm(conversations=10))).worse


def test_a_canary_that_is_no_worse_is_hardly_ever_withdrawn_however_often_one_looks() -> None:
    """Each of 2,000 canaries is looked at after every conversation that went wrong, up to 300 of them."""
    allowed = -np.log((1 - LEVEL) / len(FIGURES))
    for share in (0.05, 0.1, 0.5):
        on_canary = np.random.default_rng(7).random((2_000, 300)) < share
        mine, wrong = on_canary.cumsum(axis=1), np.arange(1, 301)
        against = np.where(mine / wrong > share, log_e_value(mine, np.broadcast_to(wrong, mine.shape), share), 0.0)
        ever = (against >= allowed).any(axis=1).mean()
        assert ever <= (1 - LEVEL) / len(FIGURES)


def test_a_canary_on_which_every_call_fails_is_withdrawn_within_a_few_conversations() -> None:
    """Beside a champion on which nothing fails, after the fewest that count."""
    found = Standing.of(CANARY, Arms(Arm(conversations=10, calls=10, failed=10), Arm(conversations=90, calls=120)))
    assert "a call failed in 10 of 10 conversations, on the champion in 0 of 90" in found.told()
