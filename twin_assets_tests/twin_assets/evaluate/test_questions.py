"""Questions made from the author's own work."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from twin_assets.evaluate.questions import elsewhere, headings, is_for_calibration, rated, reworded
from twin_assets_tests.support.rows import chunk
from twin_resources.storage.calls.interactions import Interactions, Shown
from twin_resources.text.words import content_words

TEXT = (
    "The gauge by the harbour writes one reading every six minutes, whether anybody looks or not. Short one.\n\n"
    "A heron stands on the wall when the water is low, and leaves with the first ferry of the morning."
)


def made(**changes: Any) -> Any:
    return chunk(text=TEXT, title="The gauge", heading=("Who reads the harbour",), **changes)


def test_a_sentence_asks_without_the_words_of_its_title_and_headings() -> None:
    first, second = sorted(reworded([made()], 10), key=lambda each: TEXT.index(each.without or ""))
    assert first.text == "writes six minutes whether anybody looks"
    assert (
        first.without == "The gauge by the harbour writes one reading every six minutes, whether anybody looks or not."
    )
    assert not content_words(first.text) & content_words("The gauge Who reads the harbour")
    assert second.document_id == made().document_id
    assert reworded([made()], 1) == reworded([made()], 1), "the same are chosen every time"
    assert reworded([made(category="code")], 10) == []


def test_a_heading_asks_once_for_its_document() -> None:
    assert [each.text for each in headings([made(), made(position=1)], 10)] == ["Who reads the harbour"]
    assert headings([made(category="posts")], 10) == []


def test_a_heading_of_several_documents_asks_for_none_of_them() -> None:
    closing = {"one": "Whenever you’re ready:", "two": "whenever **you’re** ready"}
    chunks = [made(), *(chunk(document_id=key, text=TEXT, heading=(value,)) for key, value in closing.items())]
    assert [each.text for each in headings(chunks, 10)] == ["Who reads the harbour"]
    assert headings(chunks, 10, of={"one", "two"}.__contains__) == [], "what the others say counts as well"


def test_what_lies_elsewhere_has_no_document_and_repeats_nothing() -> None:
    texts = [each.text for each in elsewhere()]
    assert len(texts) == len(set(texts)) >= 60
    assert {each.document_id for each in elsewhere()} == {None}
    assert elsewhere(3) == elsewhere()[:3]


def test_a_praised_answer_asks_for_the_first_document_it_named(engine: sa.Engine) -> None:
    interactions = Interactions(engine)
    for trace, question in (("old", "Who reads it?"), ("new", "who reads it?")):
        citations = [
            {"chunk_id": "a", "document_id": "given", "cited": False},
            {"chunk_id": "b", "document_id": f"named-{trace}", "cited": True},
        ]
        interactions.record(trace, author="ada", call="ask", query=question, answer="I do.", citations=citations)
        interactions.feedback(trace, "up")
    [asked] = rated(interactions.praised("ada", 10))
    assert (asked.kind, asked.text, asked.document_id) == ("rated", "who reads it?", "named-new")


def test_a_praised_answer_to_a_question_that_leaned_asks_for_what_it_leaned_on_too(engine: sa.Engine) -> None:
    interactions = Interactions(engine)
    for trace, sought in (("leaning", "Who reads the gauge? And why?"), ("corrected", "and why"), ("unsought", None)):
        cited = [{"chunk_id": "b", "document_id": trace, "cited": True}]
        shown = Shown("quoted", "stop", searched_for=sought)
        interactions.record(
            trace, author="ada", call="ask", query="And why?", answer="So.", citations=cited, shown=shown
        )
        interactions.feedback(trace, "up")
    texts = {each.text for each in rated(interactions.praised("ada", 10))}
    assert texts == {"Who reads the gauge? And why?", "And why?"}


def test_half_of_the_documents_sets_thresholds() -> None:
    share = sum(is_for_calibration(f"document-{number}") for number in range(400)) / 400
    assert 0.4 < share < 0.6
