"""Encoded samples come out of their file as they went in, and hardly any memory is taken."""

from __future__ import annotations

import tracemalloc

import pytest

from twin_resources.models.causal import Encoded
from twin_resources.models.token_file import TokenFile

SAMPLES = [Encoded(tuple(range(first, first + 5 + first % 3)), first % 4) for first in range(250_000, 250_040)]


def test_samples_come_out_as_they_went_in_also_when_more_are_added() -> None:
    rows = TokenFile()
    assert not rows
    for number, sample in enumerate(SAMPLES, 1):
        rows.add(sample)
        assert len(rows) == number
        assert rows[-1] == sample
    assert list(rows) == SAMPLES
    assert rows[3:30:4] == SAMPLES[3:30:4]
    assert rows.tokens == sum(len(sample.ids) for sample in SAMPLES)
    with pytest.raises(IndexError):
        rows[len(SAMPLES)]


def test_a_million_tokens_are_not_held_in_memory() -> None:
    tracemalloc.start()
    rows = TokenFile()
    for first in range(5_000):
        rows.add(Encoded(tuple(range(first, first + 200)), 100))
    assert sum(len(sample.ids) for sample in rows) == rows.tokens == 1_000_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000, "less than a byte a token"
