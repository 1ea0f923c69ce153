"""When a passage says what a sentence says."""

from __future__ import annotations

import random

import pytest

from benchmarks.support import CHANGES, auroc, cases, reworded
from twin_resources.rag.support import support

PASSAGE = (
    "The backup of the harbour office takes 40 minutes on two cores. It never runs while the ferry is loading. "
    "Torvald checks the log in Skarvik every Monday, and nobody else is allowed to restart the server. "
    "Dense search compares vectors, but lexical search compares words."
)


@pytest.mark.parametrize(
    ("sentence", "supported"),
    [
        ("The backup of the harbour office takes 40 minutes on two cores.", True),
        ("On two cores the backup of the harbour office takes 40 minutes.", True),
        ("The backup of the harbour office takes 4 minutes on two cores.", False),
        ("The backup of the harbour office takes 40 minutes on three cores.", False),
        ("The backup of the harbour office takes 40 hours on two cores.", False),
        ("It runs while the ferry is loading.", False),
        ("It never runs while the ferry is loading.", True),
        ("Torvald checks the log in Oslo every Monday.", False),
        ("Mira checks the log in Skarvik every Monday.", False),
        ("Torvald checks the log in Skarvik every Monday.", True),
        ("Torvald does not check the log in Skarvik every Monday.", False),
        ("The ferry was painted green last summer.", False),
        ("", False),
    ],
)
def test_a_changed_sentence_is_not_supported(sentence: str, supported: bool) -> None:
    assert support(sentence, [PASSAGE]).supported is supported


def test_the_reason_is_said() -> None:
    assert "the number 4 is not there" in support("The backup takes 4 minutes.", [PASSAGE]).because
    assert any("Oslo" in reason for reason in support("Torvald checks the log in Oslo.", [PASSAGE]).because)


def test_changed_sentences_of_a_text_score_below_true_ones() -> None:
    texts = []
    dice = random.Random(3)
    people, places = ("Ada", "Bo", "Torvald", "Ragna"), ("Skarvik", "Bergen", "Molde", "Vardo")
    for number in range(60):
        who, where = dice.choice(people), dice.choice(places)
        texts.append(
            f"In the morning of day {number}, the ferry to {where} was late by {number + 3} minutes, "
            f"and {who} wrote it down. "
            f"The engine is older than the captain, so {who} will change its oil every {number % 7 + 2} weeks. "
            f"Nobody on the quay of {where} has seen the new rope, though it does cost {number + 40} crowns."
        )
    drawn = cases(texts, dice, 100)
    true = [support(reworded(case, dice), [case.passage]).score for case in drawn]
    changed = [
        support(text, [case.passage]).score
        for case in drawn
        for change in CHANGES.values()
        if (text := change(case, dice))
    ]
    assert auroc(true, changed) >= 0.9
