"""Readers' questions that candidates answer, and how long that is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database.schema import interaction, shadow_answer
from twin_resources.storage.calls.conversations import Conversations
from twin_resources.storage.calls.interactions import Interactions, Outcome, Shown
from twin_resources.storage.calls.shadows import Logged, Shadow, Shadows
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.lineage import retire
from twin_resources.storage.releases import Adapter, Releases
from twin_resources.storage.sources import Authors


@pytest.fixture
def shadows(engine: sa.Engine, settings: Settings) -> Shadows:
    """Ada's adapter ada-2, and nothing asked."""
    for author in settings.authors:
        Authors(engine).record(author)
    Datasets(engine).add("data", "ada", "instruct", "datasets/data", {}, ())
    made: dict[str, Any] = {"kind": "sft", "base": "tiny", "artifact": "a", "parameters": {}, "metrics": {}}
    Releases(engine).add_adapter(
        Adapter(id="i", author="ada", version="ada-2", dataset_id="data", tracking_run=None, **made)
    )
    return Shadows(engine)


def call(shadows: Shadows, trace: str, query: str = "Why?", *, hours: float = 0, **more: Any) -> None:
    """A call that a model answered so many hours ago."""
    values: dict[str, Any] = {"author": "ada", "call": "ask", "answer": "So.", "outcome": Outcome("write"), **more}
    Interactions(shadows.engine).record(trace, query=query, **values)
    with shadows.engine.begin() as session:
        moment = datetime.now(UTC) - timedelta(hours=hours)
        session.execute(sa.update(interaction).where(interaction.c.id == trace).values(at=moment))


def kept(shadows: Shadows) -> int:
    with shadows.engine.connect() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(shadow_answer)) or 0


def test_the_newest_questions_that_a_model_answered_are_taken_once_as_they_stand_alone(shadows: Shadows) -> None:
    call(shadows, "old", "Why?", hours=3)
    call(shadows, "new", "Why?", hours=1, conversation="talk")
    leaning = Shown("generated", "stop", searched_for="How often? And why?")
    call(shadows, "leaning", "And why?", hours=2, outcome=Outcome("generate"), shown=leaning)
    call(shadows, "first", "Who?", hours=4)
    call(shadows, "quoted", "What?", outcome=Outcome("quote"))
    call(shadows, "failed", "What?", error="boom")
    call(shadows, "of bo", "What?", author="bo")
    call(shadows, "searched", "What?", call="search", answer=None, outcome=Outcome())
    assert shadows.questions("ada", 2) == [
        Logged("new", "Why?", "write", "talk"),
        Logged("leaning", "How often? And why?", "generate", "leaning"),
    ]
    assert [each.trace_id for each in shadows.questions("ada", 9)] == ["new", "leaning", "first"]
    assert [each.trace_id for each in shadows.of_calls(["new", "first", "gone"])] == ["first", "new"]


def test_answers_are_kept_without_personal_data_and_written_over(shadows: Shadows) -> None:
    call(shadows, "t1", "Why?", hours=1)
    call(shadows, "t2", "Who?")
    first = Shadow("t1", "Why?", "Write to ada.berg@skarvik.no.", "ada-1", "So.")
    shadows.keep(
        "ada", "ada-2", [first, Shadow("t2", "Who?", "He.", "ada-1", "She."), Shadow("gone", "?", "a", "b", "c")]
    )
    newest, older = shadows.of("ada", "ada-2", 9)
    assert (newest.question, newest.answer, newest.beside, newest.answer_beside) == ("Who?", "He.", "ada-1", "She.")
    assert older.answer == "Write to [email]."
    shadows.keep("ada", "ada-2", [Shadow("t2", "Who?", "They.", "ada-3", "She.")])
    assert [(each.answer, each.beside) for each in shadows.of("ada", "ada-2", 1)] == [("They.", "ada-3")]
    assert shadows.of("bo", "ada-2", 9) == []


def test_they_go_with_the_call_however_it_goes(shadows: Shadows) -> None:
    for trace, hours in (("old", 24 * 91), ("talked", 1), ("stays", 1)):
        call(shadows, trace, trace, hours=hours, conversation=trace)
        shadows.keep("ada", "ada-2", [Shadow(trace, trace, "a", "ada-1", "b")])
    Interactions(shadows.engine).purge(90)
    assert kept(shadows) == 2
    Conversations(shadows.engine).end("talked")
    assert [each.trace_id for each in shadows.of("ada", "ada-2", 9)] == ["stays"]
    retire(shadows.engine, "ada-2", "trained on a forgotten document")
    assert kept(shadows) == 1, "what it answered is no text of the author's"
    with shadows.engine.begin() as session:
        session.execute(sa.text("DELETE FROM author WHERE id = 'ada'"))
    assert kept(shadows) == 0
