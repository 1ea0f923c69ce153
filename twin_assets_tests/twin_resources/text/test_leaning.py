"""Which sentences a reader cannot follow without the one before."""

from __future__ import annotations

import pytest

from twin_resources.text.leaning import leans, points


@pytest.mark.parametrize(
    "sentence",
    [
        "This is why I stopped.",
        "He never came back.",
        "But the gauge was wrong.",
        "…but the gauge was wrong.",
        "“It does all of that at night.”",
        "*They* are old.",
        "The second one is worth most.",
        "The third needs a pencil.",
        "Another reason is speed.",
        "Of those, 69 stood in the training half.",
        "Same thing in other words: a pencil.",
        "I once offered her a rubber.",
        "Once he found a whale.",
        "For example, a link breaks.",
        "In this case nothing happens.",
        "With these, you can start.",
        "When it fails, the run stops.",
        "However, I like it.",
        "There are three:",
        "Who changed it?",
        "have shown that herons are patient.",
        "For\nthis reason, boats are small.",
        "𝘍𝘰𝘳 𝘦𝘹𝘢𝘮𝘱𝘭𝘦, a link breaks.",
        "Das ist gut.",
        "Three things do:",
        "The tide does not.",
        "Most boats can.",
        "My sister never did.",
        "It said eleven centimetres.",
        "It takes four seconds.",
    ],
)
def test_a_sentence_that_rests_on_one_before(sentence: str) -> None:
    assert leans(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "It is hard to know.",
        "It turns out that herons are patient.",
        "It takes a year to build one.",
        "It rained all day.",
        "This article is about herons.",
        "In this tutorial, we build a gauge.",
        "There is a table for what was forgotten.",
        "The first time I sailed, it rained.",
        "Ragna gave him a berth.",
        "Nils said he was deaf.",
        "The harbourmaster kept her log for years.",
        "On the far side of the pier stands a gauge.",
        "When I was young, I fished.",
        "`gauge` is a command.",
        "One of my rules is to keep it small.",
        "In my opinion, tides are slow.",
        "I know what herons are.",
        "A harbour is what boats have.",
        "Three things matter:",
        "Herons wait for the fish because they can.",
    ],
)
def test_a_sentence_that_stands_alone(sentence: str) -> None:
    assert not leans(sentence)


def test_a_sentence_that_points_within_its_paragraph() -> None:
    assert points("I left them out at first.")
    assert points("The graph leans on all of this.")
    assert not points("I wrote this article on a boat.")
