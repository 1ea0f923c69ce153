"""Texts without their topic."""

from __future__ import annotations

from twin_resources.style.masking import TOKENS, distort, grammar


def test_two_topics_in_one_construction_are_the_same() -> None:
    one, two = "The tide was 12 feet high, but I didn't mind.", "The band was 30 bars late, but I didn't care."
    assert distort(one) == "the **** was ## **** ****, but i didn't ****."
    assert distort(one) == distort(two)


def test_content_words_become_classes_and_function_words_stay() -> None:
    [first, second] = grammar("Walking home, NASA's 3 boats were slowly painted. Why not?")
    names = [TOKENS[token] for token in first]
    assert names == ["name", "short word", ",", "mixed", "number", "s", "were", "ly", "ed", "."]
    assert [TOKENS[token] for token in second] == ["why", "not", "?"]


def test_a_token_fits_its_place_in_a_packed_window() -> None:
    assert len(TOKENS) < 512
    assert len(set(TOKENS)) == len(TOKENS)
