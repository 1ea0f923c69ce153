"""The general set against forgetting."""

from __future__ import annotations

from twin_assets_tests.support.prose import documents, mira_texts
from twin_resources.suite.general import general_set, is_held_by


def test_it_has_questions_with_plain_answers_and_ordinary_texts_and_nothing_twice() -> None:
    asked = [each for each in general_set() if each.question]
    texts = [each for each in general_set() if not each.question]
    assert len(asked) >= 20
    assert len(texts) >= 12
    assert all(1 < len(each.text.split()) < 20 for each in asked)
    assert all(20 < len(each.text.split()) < 60 for each in texts)
    assert len({each.question for each in asked}) == len(asked)
    assert len({each.text for each in general_set()}) == len(general_set())


def test_what_holds_an_item_is_known_and_what_merely_speaks_of_it_is_not() -> None:
    text = next(each.text for each in general_set() if not each.question)
    assert is_held_by("what is nine times seven", "63")
    assert is_held_by("Go on.", f"And so: {text}")
    assert is_held_by(f"Sum up: {text}", "A kettle, and a knock.")
    assert not is_held_by("What is nine times eight?", "Seventy-two.")
    assert not is_held_by("Write.", text[: len(text) // 3])
    assert not any(is_held_by("Write.", each.text) for each in documents(mira_texts()))
