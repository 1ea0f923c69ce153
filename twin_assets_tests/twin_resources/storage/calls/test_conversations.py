"""Conversations as they are kept: what a question goes on from, what is shown again, and how they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from twin_resources.database.schema import feedback, interaction
from twin_resources.storage.calls.conversations import LONGEST, TURNS, Conversations, UnknownConversation
from twin_resources.storage.calls.interactions import InteractionError, Interactions, Outcome, Shown
from twin_resources.storage.inventory.paging import Paging, Place

STARTED = datetime(2026, 11, 1, tzinfo=UTC)


def turn(engine: sa.Engine, trace: str, conversation: str | None = "talk", *, minute: int = 0, **values: Any) -> None:
    """An answer that was given some minutes into the month."""
    filled: dict[str, Any] = {
        "author": "ada",
        "call": "ask",
        "query": f"question {trace}",
        "answer": f"answer {trace}",
        "base": "base",
        "outcome": Outcome("quote", abstained=False, support=1.0),
        "shown": Shown("quoted", "stop"),
    }
    Interactions(engine).record(trace, conversation=conversation, **{**filled, **values})
    with engine.begin() as session:
        moment = STARTED + timedelta(minutes=minute)
        session.execute(sa.update(interaction).where(interaction.c.id == trace).values(at=moment))


def test_a_question_goes_on_from_the_last_turns_cut_to_a_length(engine: sa.Engine) -> None:
    for number in range(TURNS + 2):
        turn(engine, f"t{number}", minute=number)
    turn(engine, "elsewhere", "other", minute=90)
    turn(engine, "nowhere", None, minute=90)
    turn(engine, "failed", minute=91, error="the engine is gone", shown=None, answer="half of")
    turn(engine, "long", minute=92, query="q" * 5000, answer="a" * 5000)
    found = Conversations(engine).history("talk", "ada")
    assert found == [
        *((f"question t{number}", f"answer t{number}") for number in range(3, TURNS + 2)),
        ("q" * LONGEST, "a" * LONGEST),
    ]


def test_there_is_nothing_to_go_on_from_with_another_author_or_without_an_answer(engine: sa.Engine) -> None:
    conversations = Conversations(engine)
    turn(engine, "t")
    turn(engine, "f", "failed", error="the engine is gone", shown=None)
    for conversation, author in (("talk", "bo"), ("nothing", "ada"), ("failed", "ada")):
        with pytest.raises(UnknownConversation, match="leave `conversation_id` out"):
            conversations.history(conversation, author)


def test_an_answer_is_read_as_it_was_given_without_addresses(engine: sa.Engine) -> None:
    cited = {"marker": 1, "chunk_id": "c", "cited": True, "quote": "It writes."}
    near = {"document_id": "d", "title": "Tides", "url": "https://ada.example/tides"}
    sentence = {"text": "Write to a@harbour.no.", "support": 0.2, "supported": False, "markers": [1]}
    shown = Shown("it was asked for", "length", "a@harbour.no and why?", "ranker", [sentence], [near])
    usage, timings = {"prompt_tokens": 3}, {"total": 4.5}
    citations = [cited, {"chunk_id": "unused", "cited": False}]
    turn(engine, "t", citations=citations, usage=usage, timings_ms=timings, version="ada-1", shown=shown)
    found = Conversations(engine).answer("t")
    assert (found.author, found.question, found.answer, found.mode) == ("ada", "question t", "answer t", "quote")
    assert (found.citations, found.usage, found.timings_ms, found.version) == ([cited], usage, timings, "ada-1")
    assert (found.shown.because, found.shown.finish_reason, found.shown.reranker) == (
        "it was asked for",
        "length",
        "ranker",
    )
    assert found.shown.searched_for == "[email] and why?"
    assert found.shown.sentences == [{**sentence, "text": "Write to [email]."}]
    assert found.shown.nearest == [near]
    assert found.at == STARTED


def test_what_is_no_answer_is_not_read(engine: sa.Engine) -> None:
    Interactions(engine).record("search", author="ada", call="search", query="gauge")
    turn(engine, "failed", error="the engine is gone", shown=None)
    for trace in ("search", "failed", "nothing"):
        with pytest.raises(InteractionError, match=f"no answer has the trace {trace}"):
            Conversations(engine).answer(trace)


def test_a_long_conversation_is_read_in_pages_from_its_end(engine: sa.Engine) -> None:
    for number in range(5):
        turn(engine, f"t{number}", minute=number)
    conversations, read, after = Conversations(engine), [], None
    while True:
        found = conversations.read("talk", Paging(2, after))
        read.append([each.trace_id for each in found.turns.items])
        if found.turns.next is None:
            break
        after = Place.of(found.turns.next)
    assert (found.author, read) == ("ada", [["t4", "t3"], ["t2", "t1"], ["t0"]])
    with pytest.raises(UnknownConversation):
        conversations.read("nothing", Paging(2, after))


def test_it_ends_with_its_calls_turn_by_turn_as_they_get_old(engine: sa.Engine) -> None:
    conversations, interactions = Conversations(engine), Interactions(engine)
    age = (datetime.now(UTC) - STARTED).days
    turn(engine, "old")
    turn(engine, "new", minute=60 * 24 * 2)
    assert interactions.purge(age - 1) == 1
    assert conversations.history("talk", "ada") == [("question new", "answer new")]
    assert interactions.purge(age - 3) == 1
    with pytest.raises(UnknownConversation):
        conversations.history("talk", "ada")


def test_a_reader_takes_it_back_with_what_was_said_of_it(engine: sa.Engine) -> None:
    conversations, interactions = Conversations(engine), Interactions(engine)
    turn(engine, "t1")
    turn(engine, "t2", minute=1, error="the client went away", shown=None)
    turn(engine, "other", "other")
    for trace in ("t1", "other"):
        interactions.feedback(trace, "down", correction="Every ten minutes.")
    assert sorted(conversations.end("talk")) == ["t1", "t2"]
    with engine.connect() as session:
        assert session.scalars(sa.select(interaction.c.id)).all() == ["other"]
        assert session.scalars(sa.select(feedback.c.trace_id)).all() == ["other"]
    with pytest.raises(UnknownConversation):
        conversations.end("talk")
