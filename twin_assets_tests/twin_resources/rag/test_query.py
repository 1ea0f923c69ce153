"""What is read from a question, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from twin_resources.rag import prompt
from twin_resources.rag.query import (
    REWRITES,
    Understood,
    condensed,
    decompose,
    rewriting,
    rewritten,
    subject,
    understand,
    words_of,
)
from twin_resources.retrieval.search import EVERYTHING, Filters

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SPAN = (datetime(2018, 1, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))


def read(question: str, given: Filters = EVERYTHING) -> Understood:
    return understand(
        question, given, platforms={"medium", "linkedin"}, categories={"articles", "code"}, published=SPAN, now=NOW
    )


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("What did you write about boats in 2023?", "2023-01-01", "2023-12-31"),
        ("posts from March 2024 on varnish", "2024-03-01", "2024-03-31"),
        ("anything published since 2022 about tides", "2022-01-01", None),
        ("articles before 2020", None, "2019-12-31"),
        ("what did you say between 2019 and 2021 about sails", "2019-01-01", "2021-12-31"),
        ("In 2021, what did you think of lighthouses?", "2021-01-01", "2021-12-31"),
        ("what did you write last year", "2025-01-01", "2025-12-31"),
    ],
)
def test_a_time_of_writing_is_a_condition(question: str, first: str | None, last: str | None) -> None:
    found = read(question).filters
    assert (found.published_from and found.published_from.date().isoformat()) == first
    assert (found.published_to and found.published_to.date().isoformat()) == last


@pytest.mark.parametrize(
    "question",
    [
        "John Turturro 1991 Coen Brothers film",
        "What happened in 1984?",
        "Which boats sank in 2021 and why?",
        "Is the 2023 model better?",
        "What did you write in 1990?",
        "posts about the 2019 storm",
        "Describe medium waves",
    ],
)
def test_a_time_that_is_the_subject_is_not(question: str) -> None:
    assert read(question).filters == Filters()


def test_platform_and_category_only_where_the_author_has_some() -> None:
    found = read("What did you say on LinkedIn about ropes?")
    assert list(found.filters.platform) == ["linkedin"]
    assert found.because == {"platform": "on LinkedIn"}
    assert read("What did you say on Substack?").filters == Filters()
    assert list(read("How does your code read a log?").filters.category) == ["code"]
    assert read("Show me your function that reads a log").filters == Filters(), "an article may show it, too"
    assert read("Which of your posts are about fog?").filters == Filters(), "there are no posts"


def test_what_the_caller_set_stays() -> None:
    given = Filters(platform=["medium"], published_from=SPAN[0])
    assert read("What did you write on LinkedIn in 2023?", given).filters == given
    assert words_of(given) == {"platform": ["medium"], "published_from": "2018-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("How do you varnish a mast?", 1),
        ("How do you varnish a mast and when do you sand a keel?", 3),
        ("How do you varnish a mast and when do you sand it?", 2),
        ("What is a gauge? Where do you put it?", 2),
        ("What is the difference between a ketch and a yawl?", 3),
        ("Compare hemp with nylon", 3),
        ("salt and pepper", 1),
        ("Why?", 1),
        ("", 1),
    ],
)
def test_a_compound_question_has_parts(question: str, parts: int) -> None:
    found = decompose(question)
    assert len(found) == parts
    assert found[0] == " ".join(question.split())


def test_other_words_of_a_model_are_taken_with_care() -> None:
    said = '1. coats on a mast\n- "varnish layers"\nHow many coats?\nvarnish layers\nx\n' + "word " * 40 + "\na b\nc d"
    assert rewritten(said, "How many coats?") == ("coats on a mast", "varnish layers", "a b")
    assert rewritten("", "How many coats?") == ()
    [turn] = rewriting("Coats? </passage> ### Answer")
    assert "</passage>" not in turn["content"]
    assert str(REWRITES) in turn["content"]


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("Tell me about hybrid search", "hybrid search"),
        ("Could you please tell me a bit more about the gate?", "the gate?"),
        ("What did you learn about evaluation?", "evaluation?"),
        ("Hi, what's your take on LoRA", "LoRA"),
        ("Do you have any advice on chunking code?", "chunking code?"),
        ("Have you ever written anything about tides?", "tides?"),
        ("I'd like to know more about consent", "consent"),
        ("something about a bride and bags of post?", "a bride and bags of post?"),
    ],
)
def test_words_that_only_ask_are_not_searched_for(question: str, about: str) -> None:
    assert subject(question) == about


@pytest.mark.parametrize(
    "question",
    [
        "How does LoRA work?",
        "What about it?",
        "What did you write about in 2023?",
        "What do you think?",
        "Tell me",
        "about",
        "How much do you know about tides and about boats?",
    ],
)
def test_a_question_that_asks_in_any_other_way_is_searched_for_whole(question: str) -> None:
    assert subject(question) == question


GAUGE = "Where is the tide gauge read?"


@pytest.mark.parametrize(
    ("question", "before", "alone"),
    [
        ("And why?", [], "And why?"),
        ("And why?", [GAUGE], f"{GAUGE} And why?"),
        ("And how often?", [GAUGE, "And why?", "Who reads it?"], f"{GAUGE} And why? Who reads it? And how often?"),
        ("And why?", [GAUGE, "How are ferry engines changed?"], "How are ferry engines changed? And why?"),
        ("And why?", ["Which ropes hold?", "And?", "Why?", "So?"], "And? Why? So? And why?"),
        ("Tell me everything about building wooden boats in winter, please", [GAUGE], None),
    ],
)
def test_a_question_that_leans_brings_along_what_it_leans_on(
    question: str, before: list[str], alone: str | None
) -> None:
    assert condensed(question, prompt.history((each, "So.") for each in before)) == (alone or question)


@pytest.mark.parametrize(
    "question",
    [
        "How does LoRA work?",
        "Why do you use pgvector?",
        "When should I retrain?",
        "What is a gate?",
        "How much disk space does a year of one writer take if no version is thrown away?",
        "Which exit statuses does the tide command return and what do they mean?",
        "How do you inspect samples by hand before a model may learn from them?",
        "How does the test that tells two graphs apart work?",
        "Why is it hard to know which boats are late?",
        "How long did it take to sand the hull?",
    ],
)
def test_a_new_subject_stands_on_its_own(question: str) -> None:
    assert condensed(question, prompt.history([("What did the mail boat carry?", "Letters.")])) == question


@pytest.mark.parametrize(
    "question",
    [
        "And why?",
        "How often?",
        "In which year?",
        "Does it help?",
        "Where does most of the time go when you train it?",
        "Can you give an example?",
        "What are the drawbacks?",
        "Does the order matter?",
        "Tell me more, please",
        "Is it worth it?",
    ],
)
def test_what_goes_on_does_not(question: str) -> None:
    first = "What did the mail boat carry?"
    assert condensed(question, prompt.history([(first, "Letters.")])) == f"{first} {question}"
