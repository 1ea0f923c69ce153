"""Which units of a passage are quoted at all, and what their form counts for."""

from __future__ import annotations

import numpy as np
import pytest

from twin_resources.rag.worth import bonus, worded
from twin_resources.retrieval.sentences import Sentences
from twin_resources.text.units import units


def kinds(text: str) -> list[tuple[str, str]]:
    found = units(text)
    left = worded(text, Sentences(found, np.zeros((len(found), 2))))
    assert len(left.units) == len(left.vectors)
    return [(each.kind, text[each.start : each.end]) for each in left.units]


def worth(text: str) -> float:
    (unit,) = units(text)
    return bonus(unit, text, "prose", code=False)


def test_a_menu_and_a_table_of_contents_are_headings() -> None:
    menu = "- LLM Course\n- Hands-On GNNs\n- Research\n- About"
    assert {kind for kind, _ in kinds(menu)} == {"heading"}
    assert {kind for kind, _ in kinds(f"We deploy:\n\n{menu}")} == {"sentence", "item"}, "a sentence leads it in"
    steps = "- Load the adapter\n- Probe it\n- Move the alias"
    assert {kind for kind, _ in kinds(steps)} == {"item"}


def test_what_is_a_link_and_nothing_else_names_another_text() -> None:
    link = "- [Compressing a GIF with gifsicle](https://notes.example/gif.md) - 2021-08-05"
    assert kinds(link)[0][0] == "heading"
    assert kinds(f"{link}, which I do before I publish one")[0][0] == "item"


def test_a_picture_is_no_sentence_even_where_its_description_was_cut_in_two() -> None:
    picture = '<img width="978" alt="A banner that says so. It is red." src="https://notes.example/1.png">'
    assert kinds(picture) == []
    assert kinds(f"{picture}\n\nThe banner is red.") == [("sentence", "The banner is red.")]


def test_a_caption_is_a_heading_also_where_its_line_was_broken() -> None:
    assert kinds("Posts about Qdrant (without re-ranking) [Image\nby the Author]")[0][0] == "heading"


def test_a_link_as_a_page_shows_it_is_a_heading() -> None:
    card = "**How to Search by Meaning** _Vectors, step by step_notes.org"
    assert kinds(card)[0][0] == "heading"
    assert kinds("**Vectors** are what notes.org is about.")[0][0] == "sentence"


@pytest.mark.parametrize(
    "sentence",
    [
        "In this article, we introduced hybrid search.",
        "This article provided an overview of hybrid search.",
        "At the end of this article, you’ll **master hybrid search**.",
        "The next section will implement hybrid search.",
        "How powerful is hybrid search?__",
        "This is just the **short version** of **Lesson 5** on hybrid search.",
        "_→ the 1st of 11 lessons_ _of**Hybrid search**_",
        "…but if you are **curious to find out more** about hybrid search, go on.",
        "If you are new to hybrid search, _check out Elastic _←",
        "There are plenty of articles on hybrid search.",
        "_So, we will**jump** straight to hybrid search._",
    ],
)
def test_a_sentence_that_only_names_its_subject_makes_way(sentence: str) -> None:
    assert worth(sentence) < worth("Hybrid search asks words and vectors.")
