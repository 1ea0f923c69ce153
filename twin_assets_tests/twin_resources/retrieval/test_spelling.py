"""Misspelt questions are put right by the author's own words."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_resources.database.schema import chunk
from twin_resources.retrieval.spelling import Spelling
from twin_resources.retrieval.vectors import VectorIndex


def is_word(word: str) -> bool:
    return word == "berry"


@pytest.mark.parametrize(
    ("question", "corrected"),
    [
        ("how much sordough and patiense", "how much sourdough and patience"),
        ("the tabel in the harbuor", "the table in the harbour"),
        ("Sordough stays, as a name may", "Sordough stays, as a name may"),
        ("kubernetes operators", "kubernetes operators"),
        ("a cat", "a cat"),
        ("a berry in the table", "a berry in the table"),
        ("the unharbour and the reharbour", "the unharbour and the reharbour"),
        ("a tabler, tablers and harbouring", "a tabler, tablers and harbouring"),
        ("a tablr", "a table"),
        ("a cable by the floor", "a cable by the floor"),
    ],
)
def test_a_word_the_author_never_used_becomes_the_nearest_they_did(
    index: VectorIndex, question: str, corrected: str
) -> None:
    assert Spelling(index.engine, is_word).corrected("ada", question) == corrected


def test_of_an_author_without_passages_nothing_is_corrected(index: VectorIndex) -> None:
    assert Spelling(index.engine, is_word).corrected("bo", "sordough") == "sordough"


def test_the_first_passages_are_known_although_the_author_was_asked_before(index: VectorIndex) -> None:
    spelling = Spelling(index.engine, is_word)
    with index.engine.begin() as session:
        session.execute(sa.update(chunk).values(served=False))
    assert spelling.corrected("ada", "sordough") == "sordough"
    with index.engine.begin() as session:
        session.execute(sa.update(chunk).values(served=True))
    assert spelling.corrected("ada", "sordough") == "sourdough"
