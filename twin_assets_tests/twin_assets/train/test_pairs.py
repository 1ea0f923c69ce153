"""What a re-ranker learns from, and when it may serve."""

from __future__ import annotations

from dataclasses import replace

from twin_assets.dataset.generators.retrieval import Query
from twin_assets.train.pairs import NEGATIVES, groups
from twin_resources.retrieval.metrics import confidence_of_gain

QUESTIONS = [Query("q1", "heading", "Why seven coats?", ("a",), "d", "https://ada.example/a")]


def test_negatives_are_what_search_found_and_never_of_the_same_section() -> None:
    texts = {key: f"text of {key}" for key in "abcdefghijklm"}
    mined = {"q1": list("bacdefghijklm")}
    siblings = {"a": frozenset("ab"), "b": frozenset("ab")}
    (group,) = groups(QUESTIONS, mined, texts, siblings)
    assert group.passages[0] == "text of a"
    assert group.passages[1:] == tuple(f"text of {key}" for key in "cdefghi")
    assert len(group.passages) == 1 + NEGATIVES


def test_a_question_without_negatives_or_passages_teaches_nothing() -> None:
    assert groups(QUESTIONS, {"q1": ["a"]}, {"a": "text"}, {}) == []
    assert groups([replace(QUESTIONS[0], relevant=("gone",))], {"q1": ["a"]}, {"a": "text"}, {}) == []


def test_confidence_is_high_only_for_a_gain_that_most_documents_share() -> None:
    before = [0.2, 0.4, 0.6, 0.3, 0.5, 0.7, 0.1, 0.8] * 5
    each = [f"d{number}" for number in range(40)]
    assert confidence_of_gain(before, [value + 0.1 for value in before], each) == 1
    assert confidence_of_gain(before, before, each) == 0
    assert confidence_of_gain(before, [value - 0.1 for value in before], each) == 0
    mixed = [value + (0.1 if number % 2 else -0.1) for number, value in enumerate(before)]
    assert 0.2 < confidence_of_gain(before, mixed, each) < 0.8
    assert confidence_of_gain([], [], []) == 0


def test_many_questions_of_few_documents_do_not_make_a_gain_certain() -> None:
    before = [0.5] * 40
    after = [0.7] * 25 + [0.45] * 15
    assert confidence_of_gain(before, after, [f"d{number}" for number in range(40)]) > 0.99
    assert confidence_of_gain(before, after, ["long"] * 25 + [f"d{number % 4}" for number in range(15)]) < 0.95
    assert confidence_of_gain(before, [0.7] * 40, ["one"] * 20 + ["two"] * 20) == 0
