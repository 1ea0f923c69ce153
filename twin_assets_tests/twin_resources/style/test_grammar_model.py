"""The language model of grammar."""

from __future__ import annotations

import numpy as np
import pytest

from twin_resources.style.grammar_model import GrammarModel
from twin_resources.style.masking import TOKENS
from twin_resources.style.traits import Counting, Vocabulary

COUNT = Counting(Vocabulary(("a",), ("a",)))


def windows(text: str) -> np.ndarray:
    return COUNT([text]).windows


def test_probabilities_of_every_token_after_a_context_sum_to_one() -> None:
    model = GrammarModel(windows("It was on the pier. It was not on the boat. I had it with me."))
    for context in (windows("It was on")[3, :3], np.array([500, 500, 500])):
        every = np.array([[*context, token] for token in range(len(TOKENS))])
        assert np.exp(model.log_probabilities(every)).sum() == pytest.approx(1.0)


def test_what_was_seen_is_likelier_than_what_was_not_and_order_matters() -> None:
    model = GrammarModel(windows("It was on the pier. " * 20))
    seen, strange = windows("It was on the pier."), windows("Pier the on was it.")
    assert model.log_probabilities(seen).mean() > model.log_probabilities(strange).mean() + 1
