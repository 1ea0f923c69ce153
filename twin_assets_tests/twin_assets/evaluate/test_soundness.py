"""When a report says too little to be believed."""

from __future__ import annotations

from twin_assets.evaluate.soundness import infinite, unsound_answers, worse_than_lexical


def test_vectors_that_do_harm_are_said() -> None:
    ways = {"hybrid": {"recall@10": 0.7}, "lexical": {"recall@10": 0.8}}
    assert worse_than_lexical(ways) == "recall@10 is 0.700 with hybrid search and 0.800 with lexical search alone"
    assert worse_than_lexical({**ways, "hybrid": {"recall@10": 0.8}}) is None
    assert worse_than_lexical({"hybrid": {}, "lexical": {}}) is None, "no questions, so nothing to say"


def test_a_training_that_diverged_is_named() -> None:
    assert infinite({"base": 2.5, "me-1": float("nan"), "me-0": float("inf"), "me-2": None}) == ["me-0", "me-1", "me-2"]
    assert infinite({"base": 2.5}) == []


def share(value: float, low: float, high: float) -> dict[str, float]:
    return {"share": value, "low": low, "high": high}


def test_answers_that_do_not_hold_are_said() -> None:
    good = {
        "heading": {"silent": share(0.05, 0.01, 0.14), "support": share(1.0, 0.98, 1.0)},
        "elsewhere": {"silent": share(0.9, 0.8, 0.96), "support": None},
    }
    assert unsound_answers(good, 0.05) == []
    silent = {"heading": {"silent": share(0.3, 0.19, 0.43), "support": None}}
    assert unsound_answers(silent, 0.05) == ["30% of the heading questions are refused; 5% may be"]
    loud = {"elsewhere": {"silent": share(0.2, 0.1, 0.32), "support": share(0.5, 0.4, 0.6)}}
    assert unsound_answers(loud, 0.05) == [
        "only 20% of the questions about something else are refused",
        "50% of the sentences in answers to elsewhere questions have support",
    ]
