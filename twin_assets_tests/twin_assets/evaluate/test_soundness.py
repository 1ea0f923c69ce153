"""When a report says too little to be believed."""

from __future__ import annotations

from twin_assets.evaluate.soundness import infinite, worse_than_lexical


def test_vectors_that_do_harm_are_said() -> None:
    ways = {"hybrid": {"recall@10": 0.7}, "lexical": {"recall@10": 0.8}}
    assert worse_than_lexical(ways) == "recall@10 is 0.700 with hybrid search and 0.800 with lexical search alone"
    assert worse_than_lexical({**ways, "hybrid": {"recall@10": 0.8}}) is None
    assert worse_than_lexical({"hybrid": {}, "lexical": {}}) is None, "no questions, so nothing to say"


def test_a_training_that_diverged_is_named() -> None:
    assert infinite({"base": 2.5, "me-1": float("nan"), "me-0": float("inf"), "me-2": None}) == ["me-0", "me-1", "me-2"]
    assert infinite({"base": 2.5}) == []
