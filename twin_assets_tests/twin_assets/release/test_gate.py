"""What the gate lets through."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from twin_assets.evaluate.answering import share
from twin_assets.release.gate import decide
from twin_resources import report
from twin_resources.config.release import ReleaseSettings
from twin_resources.storage.calls.blind_tests import Tally
from twin_resources.style.blind.comparison import Comparison


def figures(**changes: Any) -> dict[str, Any]:
    base = {
        "candidate": "me-2",
        "champion": None,
        "loss": {"base": 4.0, "me-2": 3.6},
        "gain": 0.1,
        "gain_interval": [0.08, 0.12],
        "documents": 9,
    }
    return {**base, **changes}


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, []),
        ({"gain": 0.005, "gain_interval": [0.001, 0.01]}, ["better_than_base"]),
        ({"gain": 0.05, "gain_interval": [-0.01, 0.1]}, ["gain_is_certain"]),
        ({"champion": "me-1", "loss": {"base": 4.0, "me-2": 3.6, "me-1": 3.0}}, ["not_worse_than_champion"]),
        ({"champion": "me-1", "loss": {"base": 4.0, "me-2": 3.6, "me-1": 3.58}}, []),
        ({"champion": "me-2"}, []),
        ({"tournament": {"rivals": 2, "loss": 3.7, "lead": 0.03, "lead_interval": [-0.01, 0.07]}}, []),
        (
            {"tournament": {"rivals": 2, "loss": 3.5, "lead": -0.03, "lead_interval": [-0.07, 0.01]}},
            ["predicts_its_author_best"],
        ),
        ({"tournament": None}, []),
    ],
)
def test_verdicts(changes: dict[str, Any], failed: list[str]) -> None:
    verdict = decide(figures(**changes), ReleaseSettings())
    assert verdict["failed"] == failed
    assert verdict["passed"] is (not failed)


def test_what_was_found_says_on_which_side_it_lies() -> None:
    led = {"rivals": 2, "loss": 3.5, "lead": -0.03, "lead_interval": [-0.07, 0.01]}
    worse = {"gain": -0.004, "gain_interval": [-0.02, 0.01], "tournament": led}
    found = {name: rule["found"] for name, rule in decide(figures(**worse), ReleaseSettings())["rules"].items()}
    assert found["better_than_base"] == "0.4% above"
    assert found["gain_is_certain"] == "from 2.0% above to 1.0% below the base, over 9 documents"
    beside = "3.0% above the best of them; on other documents like these, from 7.0% above to 1.0% below"
    assert found["predicts_its_author_best"] == beside
    better = {**led, "rivals": 1, "lead": 0.03, "lead_interval": [0.02, 0.04]}
    rule = decide(figures(tournament=better), ReleaseSettings())["rules"]["predicts_its_author_best"]
    assert rule["asked"] == "lower held-out loss than the adapter of another author"
    assert rule["found"] == "3.0% below it; on other documents like these, from 2.0% to 4.0% below"
    alone = decide(figures(), ReleaseSettings())["rules"]["predicts_its_author_best"]
    assert (alone["passed"], alone["counted"]) == (True, False)
    assert alone["found"].startswith("not counted: no other author has one over this base yet")
    few = decide(figures(documents=2, gain_interval=[-1.0, 1.0]), ReleaseSettings())["rules"]
    assert few["gain_is_certain"]["found"] == "not known: there are 2 documents"


@pytest.mark.parametrize(
    ("excess", "interval", "longest", "failed"),
    [
        (18.0, [12.0, 24.0], (0, 15), ["does_not_memorise"]),  # all of them by heart
        (9.0, [1.0, 17.0], (0, 15), ["does_not_memorise"]),  # half of them
        (9.0, [-1.0, 19.0], (0, 15), []),  # nothing is certain
        (7.5, [-0.02, 15.0], (0, 22), ["does_not_memorise"]),  # of one text it is
        (7.5, [-0.02, 15.0], (22, 22), []),  # which the base knew before
        (3.5, [1.0, 6.0], (0, 15), []),  # so much is allowed
        (-2.0, [-4.0, 0.0], (0, 15), []),
    ],
)
def test_an_adapter_that_knows_its_training_by_heart_does_not_pass(
    excess: float, interval: list[float], longest: tuple[int, int], failed: list[str]
) -> None:
    models = {"base": {"trained": 0.0, "held_out": 0.0, "longest": longest[0]}}
    models["me-2"] = {"trained": excess, "held_out": 0.0, "longest": longest[1]}
    found = {"candidate": "me-2", "trained": 8, "held_out": 5, "models": models, "excess": excess, "interval": interval}
    verdict = decide(figures(memorisation=found), ReleaseSettings())
    assert verdict["failed"] == failed
    low, high = interval
    told = verdict["rules"]["does_not_memorise"]["found"]
    assert told.startswith(f"{excess:+.1f} words, from {low:+.1f} to {high:+.1f} over 8 texts and 5 held-out ones")
    assert told.endswith(f"; at most {longest[1]} words in a row")
    rule = decide(figures(memorisation=None), ReleaseSettings())["rules"]["does_not_memorise"]
    assert (rule["passed"], rule["counted"]) == (True, False)


def forgot(rise: float, interval: tuple[float, float]) -> dict[str, Any]:
    return {"rise": rise, "interval": list(interval), "items": 40}


@pytest.mark.parametrize(
    ("rise", "interval", "failed"),
    [
        (0.284, (0.176, 0.392), ["does_not_forget"]),
        (0.2, (0.08, 0.32), []),  # nothing is certain
        (0.06, (0.034, 0.086), []),  # so much is allowed
        (-0.02, (-0.04, 0.0), []),
    ],
)
def test_an_adapter_that_certainly_forgot_more_than_is_allowed_does_not_pass(
    rise: float, interval: tuple[float, float], failed: list[str]
) -> None:
    verdict = decide(figures(forgetting=forgot(rise, interval)), ReleaseSettings())
    assert verdict["failed"] == failed
    found = verdict["rules"]["does_not_forget"]["found"]
    assert found.startswith(f"{rise:+.1%}, from {interval[0]:+.1%} to {interval[1]:+.1%} over 40 of them")
    assert ("training.general" in found) is bool(failed), "it says what helps"
    assert "does_not_forget" not in decide(figures(), ReleaseSettings())["rules"], (
        "it was measured before there was one"
    )


def followed(mine: int, difference: float, interval: tuple[float, float]) -> dict[str, Any]:
    models = {"base": 9, "me-2": mine}
    return {
        "candidate": "me-2", "instructions": 24, "models": models, "difference": difference, "interval": list(interval),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mine", "difference", "interval", "failed"),
    [
        (1, -0.333, (-0.515, -0.101), ["follows_instructions"]),
        (2, -0.292, (-0.47, -0.068), []),  # so much is allowed
        (1, -0.333, (-0.6, 0.02), []),  # nothing is certain
        (12, 0.125, (-0.02, 0.28), []),
    ],
)
def test_an_adapter_that_certainly_follows_fewer_instructions_does_not_pass(
    mine: int, difference: float, interval: tuple[float, float], failed: list[str]
) -> None:
    verdict = decide(figures(following=followed(mine, difference, interval)), ReleaseSettings())
    assert verdict["failed"] == failed
    found = verdict["rules"]["follows_instructions"]["found"]
    assert found.startswith(f"it followed {mine} of 24, the base 9")
    assert ("training.general" in found) is bool(failed), "it says what helps"
    assert "follows_instructions" not in decide(figures(following=None), ReleaseSettings())["rules"], "none was put"


def judged(wins: int, losses: int, *, agreed: int = 28, votes: int = 30, answered: bool = True) -> dict[str, Any]:
    pairs = {"pairs": wins + losses + 2, "wins": wins, "losses": losses, "ties": 2, "nonsense": 0}
    pairs |= share([True] * wins + [False] * losses)
    people = {"votes": votes, "agreed": agreed, **share([True] * agreed + [False] * (votes - agreed))}
    return {"answered": answered, "because": "it is away", "against": {"champion": pairs}, "people": people}


@pytest.mark.parametrize(
    ("verdicts", "failed", "counted"),
    [
        (judged(0, 8), ["judge_prefers_no_other"], True),
        (judged(3, 5), [], True),  # nothing is certain
        (judged(8, 0), [], True),
        (judged(0, 8, agreed=16), [], False),  # readers agree no more than a coin would
        (judged(0, 8, agreed=10, votes=10), [], False),  # too few
        (judged(0, 8, answered=False), [], False),
    ],
)
def test_a_judge_counts_once_readers_agree_with_it(verdicts: dict[str, Any], failed: list[str], counted: bool) -> None:
    verdict = decide(figures(), ReleaseSettings(), judge=verdicts)
    assert verdict["failed"] == failed
    assert verdict["rules"]["judge_prefers_no_other"]["counted"] is counted
    assert "judge_prefers_no_other" not in decide(figures(), ReleaseSettings())["rules"]


def exposed(rank: int, p: float) -> dict[str, Any]:
    return {"among": 64, "canaries": [{"text": "The bell bears 123456.", "rank": rank, "exposure": 0.0}], "p": p}


def test_an_adapter_that_keeps_canaries_does_not_pass_and_they_are_named() -> None:
    verdict = decide(figures(canaries=exposed(1, 0.002)), ReleaseSettings())
    assert verdict["failed"] == ["keeps_no_canaries"]
    found = verdict["rules"]["keeps_no_canaries"]["found"]
    assert found.startswith("“The bell bears 123456.” is number 1 of 64; as low as that by chance")
    assert decide(figures(canaries=exposed(30, 0.4)), ReleaseSettings())["failed"] == []
    assert "keeps_no_canaries" not in decide(figures(canaries=None), ReleaseSettings())["rules"], (
        "none was learned from"
    )


def written(by_document: list[float | None], copied: float = 0.02) -> dict[str, Any]:
    return {"by_document": by_document, "copied": copied, "longest_copied": 31}


def test_an_adapter_that_recites_does_not_pass() -> None:
    style = {"measured": True, "arms": {"adapter": written([1.0] * 4, 0.6)}}
    verdict = decide(figures(), ReleaseSettings(), style)
    assert verdict["failed"] == ["does_not_recite"]
    assert verdict["rules"]["does_not_recite"]["found"] == "60%, at most 31 words in a row"


@pytest.mark.parametrize(
    ("adapter", "champion", "failed"),
    [
        ([0.5, 0.4, 0.6, 0.5], [0.4, 0.5, 0.5, 0.4], []),
        ([0.0, 0.1, 0.0, 0.1], [0.5, 0.6, 0.5, 0.6], ["sounds_no_less_than_champion"]),
        ([0.0, 1.0, 0.2, 0.4], [0.5, 0.6, 0.5, 0.6], []),  # nothing is certain
        ([0.5, None, 0.6, 0.5], [0.9, 0.9, 0.9, 0.9], []),  # three documents say nothing
    ],
)
def test_an_adapter_that_certainly_sounds_less_like_the_author_does_not_pass(
    adapter: list[float | None], champion: list[float | None], failed: list[str]
) -> None:
    arms = {"adapter": written(adapter), "base": {"by_document": [0.1] * 4}}
    style = {"measured": True, "arms": {**arms, "champion": {"by_document": champion}}}
    verdict = decide(figures(), ReleaseSettings(), style)
    assert verdict["failed"] == failed
    assert decide(figures(), ReleaseSettings(), {"measured": False})["failed"] == []
    if None in adapter:
        rule = verdict["rules"]["sounds_no_less_than_champion"]
        assert not rule["counted"]
        assert rule["found"] == "not counted: on 3 documents both wrote enough to be heard, and 4 are needed"


def compared(mine: tuple[int, int] | None, theirs: tuple[int, int] | None, champion: str = "me-1") -> Comparison:
    """Answers on the candidate me-2 and on a champion: how many are right, of how many."""
    answers = {"me-2": mine, champion: theirs}
    return Comparison.of({name: Tally(*each) for name, each in answers.items() if each}, "me-2", champion)


@pytest.mark.parametrize(
    ("mine", "theirs", "margin", "failed"),
    [
        ((58, 60), (31, 60), 0.0, ["blind_test"]),
        ((31, 60), (58, 60), 0.0, []),  # they tell the champion, and the candidate is the better one
        ((40, 60), (31, 60), 0.0, []),  # nothing is certain
        ((58, 60), (31, 60), 0.3, []),  # so much is allowed
        ((7, 7), (0, 200), 0.0, []),  # too few on one of them
        ((8, 8), (0, 200), 0.0, ["blind_test"]),
    ],
)
def test_an_adapter_that_readers_certainly_tell_more_readily_does_not_pass(
    mine: tuple[int, int], theirs: tuple[int, int], margin: float, failed: list[str]
) -> None:
    verdict = decide(figures(), ReleaseSettings(max_blind_lead=margin), blind=compared(mine, theirs))
    assert verdict["failed"] == failed
    assert verdict["rules"]["blind_test"]["counted"] == (mine[1] >= 8)


def test_what_readers_were_not_asked_enough_about_is_said_and_does_not_count() -> None:
    def found(blind: Comparison) -> str:
        rule = decide(figures(), ReleaseSettings(), blind=blind)["rules"]["blind_test"]
        assert (rule["passed"], rule["counted"]) == (True, False)
        return rule["found"]

    few = "not counted: 3 answers beside it and 0 beside me-1, and 8 beside each are needed"
    assert found(compared((3, 3), None)) == few
    assert found(compared((60, 60), (2, 4))).startswith("not counted: 60 answers beside it and 4 beside me-1")
    assert found(compared((60, 60), None, champion="me-2")) == "not counted: no other version speaks"
    rule = decide(figures(), ReleaseSettings(), blind=compared((58, 60), (31, 60)))["rules"]["blind_test"]
    assert rule["found"].startswith("beside it in 97% of 60 answers (from ")
    assert "beside me-1 in 52% of 60 answers" in rule["found"]


def test_the_page_says_each_rule_in_plain_words() -> None:
    tournament = {"rivals": 1, "loss": 3.7, "lead": 0.03, "lead_interval": [0.0, 0.1]}
    measured = figures(champion="me-1", loss={"base": 4.0, "me-2": 3.6, "me-1": 3.5}, tournament=tournament)
    measured |= {
        "memorisation": None,
        "forgetting": forgot(0.0, (-0.01, 0.01)),
        "following": followed(7, -0.1, (-0.3, 0.1)),
    }
    arms = {name: written([0.5] * 4) for name in ("adapter", "base", "champion")}
    measured["canaries"] = exposed(40, 0.7)
    blind = compared((9, 10), (5, 10))
    judge = judged(0, 6)
    rules = decide(measured, ReleaseSettings(), {"measured": True, "arms": arms}, blind, judge=judge)["rules"]
    assert len(rules) == 13
    page = Path(report.__file__).parents[1] / "twin_serving" / "api" / "page" / "releases" / "report.js"
    said = re.findall(r"^  (\w+): \"", page.read_text("utf-8"), re.MULTILINE)
    assert set(rules) <= set(said)


def asked(conversations: int = 20, **intervals: tuple[float, float]) -> dict[str, Any]:
    """Figures of readers' questions, with the interval of each measure's difference."""
    measures = {
        name: {"difference": (low + high) / 2, "low": low, "high": high, "questions": 30,
               "conversations": conversations}
        for name, (low, high) in intervals.items()
    }  # fmt: skip
    return {"champion": "me-1", "measures": measures}


@pytest.mark.parametrize(
    ("intervals", "failed"),
    [
        ({"support": (-0.3, -0.11)}, ["shadow_support"]),
        ({"support": (-0.3, -0.09)}, []),
        ({"silence": (0.11, 0.3)}, ["shadow_silence"]),
        ({"silence": (-0.3, -0.11)}, []),
        ({"style": (-0.5, -0.2), "silence": (0.05, 0.4)}, ["shadow_style"]),
        ({}, []),
    ],
)
def test_who_answers_readers_questions_certainly_worse_does_not_pass(
    intervals: dict[str, tuple[float, float]], failed: list[str]
) -> None:
    verdict = decide(figures(), ReleaseSettings(), shadow=asked(**intervals))
    assert verdict["failed"] == failed
    few = decide(figures(), ReleaseSettings(), shadow=asked(7, **intervals))
    assert few["passed"]
    assert {rule["counted"] for name, rule in few["rules"].items() if name.startswith("shadow")} <= {False}
