"""Which held-out answers are measured: few enough to be quick, and none chosen for being easy."""

from __future__ import annotations

import random

from twin_assets.dataset.encode import EncodedSplit
from twin_assets.dataset.samples import InstructSample
from twin_assets.evaluate.generation.held_out import DOCUMENTS, spread, within_tokens
from twin_resources.models.causal import Encoded


def sample(name: str, document: str) -> InstructSample:
    return InstructSample(
        id=name,
        split="test",
        category="articles",
        kind="section",
        instruction="Write.",
        answer="",
        passages=(),
        document_id=document,
        url="",
        chunk_ids=(),
    )


def split(*rows: tuple[str, int]) -> EncodedSplit:
    """Answers of documents, with so many tokens each."""
    encoded = [Encoded(tuple(range(tokens)), 1) for _, tokens in rows]
    return EncodedSplit(encoded, [document for document, _ in rows])


def sizes(found: EncodedSplit) -> list[tuple[str, int]]:
    return [(document, len(row.ids)) for document, row in zip(found.documents, found.rows, strict=True)]


def test_documents_take_turns_and_the_same_answers_are_measured_in_whatever_order_they_are_stored() -> None:
    held = [sample(f"{number}", "long" if number < 6 else f"short {number}") for number in range(9)]
    found = [each.id for each in spread(held, 5)]
    assert found == ["0", "6", "7", "8", "1"]
    assert [each.id for each in spread(random.Random(1).sample(held, len(held)), 5)] == found


def test_answers_end_where_the_tokens_do() -> None:
    held = split(("a", 300), ("b", 300), ("a", 300), ("b", 300))
    assert sizes(within_tokens(held, 900)) == sizes(held)[:3]
    assert sizes(within_tokens(held, 899)) == sizes(held)[:2]
    assert sizes(within_tokens(held, None)) == sizes(held)


def test_a_document_is_measured_whatever_the_others_take() -> None:
    held = split(("a", 500), ("a", 500), ("b", 500), ("c", 500))
    assert sizes(within_tokens(held, 600)) == [("a", 500), ("b", 500), ("c", 500)]
    many = split(*((f"{number}", 50) for number in range(2 * DOCUMENTS)))
    assert len(within_tokens(many, 500).rows) == DOCUMENTS


def test_a_long_answer_is_not_passed_over_for_a_short_one() -> None:
    held = split(("a", 100), ("b", 100), ("a", 500), ("b", 50))
    assert sizes(within_tokens(held, 500)) == [("a", 100), ("b", 100)]
