"""The same question in other words is one gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twin_assets_tests.support.traffic import GAPS
from twin_resources.monitoring.gaps import gaps
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.calls.usage import Unanswered

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def asked(*questions: str, abstained: bool = True) -> list[Unanswered]:
    return [
        Unanswered(f"t{hours}", text, NOW - timedelta(hours=hours), abstained, None if abstained else 0.2)
        for hours, text in enumerate(questions)
    ]


def test_one_row_for_the_same_question_in_other_words(embedder: Embedder) -> None:
    solar, cost, book = GAPS
    found = gaps(asked(book[0], solar[0], cost[0], solar[1], solar[0], cost[1], solar[2]), embedder.encode_questions)
    assert [(gap.question, gap.times) for gap in found] == [(solar[0], 4), (cost[0], 2), (book[0], 1)]
    assert [list(gap.wordings) for gap in found] == [[solar[1], solar[2]], [cost[1]], []]
    assert (found[0].last_at, found[0].trace_id) == (NOW - timedelta(hours=1), "t1")


def test_silence_is_told_from_answers_that_little_supports(embedder: Embedder) -> None:
    text = GAPS[0][0]
    (gap,) = gaps([*asked(text), *asked(text, text, abstained=False)], embedder.encode_questions)
    assert (gap.times, gap.silent) == (3, 1)


def test_nothing_asked_is_no_gap(embedder: Embedder) -> None:
    assert gaps([], embedder.encode_questions) == []
