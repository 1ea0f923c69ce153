"""Markers stand behind what a passage says, and nowhere else; quotations are the author's own sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from twin_resources.rag.citations import Citation, citations, marked, nearest
from twin_resources.rag.prompt import Passage
from twin_resources.retrieval.search import Hit

TIDES = "The harbour gauge measures the tide every six minutes. A heron stands on the wall."
FERRY = "Ferries leave at nine. The engine was replaced without stopping the ferry, in one night."


def hit(name: str, text: str) -> Hit:
    return Hit(name, f"d-{name}", name, f"https://ada.example.com/{name}", "medium", "articles", None, (), text)


HITS = [hit("tides", TIDES), hit("ferry", FERRY)]
PASSAGES = [Passage(number, each.title, each.text, each) for number, each in enumerate(HITS, 1)]


def cite(answer: str, passages: list[Passage]) -> tuple[str, list[Citation]]:
    text, said = marked(answer, passages)
    return text, citations(said, passages)


@pytest.mark.parametrize(
    ("answer", "expected", "markers"),
    [
        ("The gauge measures the tide every six minutes.", "The gauge measures the tide every six minutes [1].", [1]),
        ("One night, the ferry's engine was replaced!", "One night, the ferry's engine was replaced [2]!", [2]),
        ("The ferry engine was replaced. [2] Yes.", "The ferry engine was replaced [2]. Yes.", [2]),
        ("The harbour gauge measures the tide [7].", "The harbour gauge measures the tide [1].", [1]),
        ("Bananas are rather yellow [1][9].", "Bananas are rather yellow.", []),
        ("I like it, e.g. on Sundays. Thank you.", "I like it, e.g. on Sundays. Thank you.", []),
        ("- The harbour gauge measures tides\n- no", "- The harbour gauge measures tides [1]\n- no", [1]),
        ("```py\ntide[1] = gauge[9]\n```", "```py\ntide[1] = gauge[9]\n```", []),
        ("See `a[1]` and [1](https://x.example).", "See `a[1]` and [1](https://x.example).", []),
        ("", "", []),
    ],
)
def test_markers_stand_where_a_passage_supports_the_sentence(answer: str, expected: str, markers: list[int]) -> None:
    text, cited = cite(answer, PASSAGES)
    assert text == expected
    assert [each.marker for each in cited] == markers


def test_a_quote_is_the_best_sentence_verbatim() -> None:
    _, cited = cite("The gauge measures the tide every six minutes. The engine was replaced in one night.", PASSAGES)
    assert [each.quote for each in cited] == [
        "The harbour gauge measures the tide every six minutes.",
        "The engine was replaced without stopping the ferry, in one night.",
    ]
    assert cited[0].url == "https://ada.example.com/tides"
    assert nearest("", "anything") == ""


def test_a_citation_leads_to_the_passage_and_its_document() -> None:
    _, [found] = cite("The engine was replaced in one night.", PASSAGES)
    assert (found.marker, found.chunk_id, found.document_id) == (2, "ferry", "d-ferry")
    assert (found.title, found.url) == ("ferry", "https://ada.example.com/ferry")


def test_citations_are_listed_by_their_number_however_the_passages_come() -> None:
    answer = "The engine was replaced in one night. The gauge measures the tide every six minutes."
    assert [each.marker for each in cite(answer, PASSAGES[::-1])[1]] == [1, 2]


def test_a_sentence_that_two_passages_support_gets_the_first_and_keeps_what_the_model_wrote() -> None:
    twice = [PASSAGES[0], replace(PASSAGES[0], marker=2)]
    answer = "The harbour gauge measures the tide"
    assert cite(f"{answer}.", twice)[0] == f"{answer} [1]."
    assert cite(f"{answer} [2].", twice)[0] == f"{answer} [2]."
    assert cite(f"{answer} [1, 2].", twice)[0] == f"{answer} [1][2]."


def test_without_passages_nothing_is_cited_and_no_marker_stays() -> None:
    assert cite("It is so [1].", []) == ("It is so.", [])


def test_a_passage_that_nobody_found_is_no_source() -> None:
    assert cite("The harbour gauge measures the tide.", [replace(PASSAGES[0], hit=None)])[1] == []


def test_a_number_that_the_passage_does_not_give_gets_no_marker() -> None:
    assert cite("The harbour gauge measures the tide every nine minutes [1].", PASSAGES) == (
        "The harbour gauge measures the tide every nine minutes.",
        [],
    )
