"""The two sides of a canary, as the database counts them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database.schema import interaction
from twin_resources.storage.calls.arms import Arm, Arms, arms
from twin_resources.storage.calls.interactions import Interactions, Outcome
from twin_resources.storage.releases import Canary

SINCE = datetime(2026, 11, 21, tzinfo=UTC)
CANARY = Canary("ada-2", 0.25, SINCE)


@pytest.fixture
def call(engine: sa.Engine, settings: Settings) -> Any:
    """Stores a call; ``hours`` after the canary began."""
    calls = Interactions(engine)

    def store(trace: str, draw: float | None, hours: float = 1, **more: Any) -> str:
        values = {"author": "ada", "call": "ask", "query": "Why?", "answer": "So.", **more}
        calls.record(trace, draw=draw, **values)
        with engine.begin() as session:
            moment = SINCE + timedelta(hours=hours)
            session.execute(sa.update(interaction).where(interaction.c.id == trace).values(at=moment))
        return trace

    return store


def test_a_conversation_counts_once_on_its_side_whatever_went_wrong_in_it(engine: sa.Engine, call: Any) -> None:
    call("a1", 0.1, error="boom")
    call("a2", 0.1, error="boom again")
    call("a3", 0.1, outcome=Outcome("write", False, 0.49, 3))
    call("b1", 0.2, outcome=Outcome("quote", True, None, 3))
    call("c1", 0.25, outcome=Outcome("write", False, 0.5, 3))
    Interactions(engine).feedback(call("c2", 0.25), "down")
    Interactions(engine).feedback(call("d1", 0.9), "down")
    Interactions(engine).feedback("d1", "up")
    assert arms(engine, "ada", CANARY) == Arms(
        canary=Arm(conversations=2, calls=4, failed=1, silent=1, unsupported=1, down=0),
        champion=Arm(conversations=2, calls=3, failed=0, silent=0, unsupported=0, down=1),
    )


def test_only_what_was_drawn_since_it_began_counts(engine: sa.Engine, call: Any) -> None:
    call("before", 0.1, hours=-1)
    call("named a model", None)
    call("of another author", 0.1, author="bo")
    assert arms(engine, "ada", CANARY) == Arms(Arm(), Arm())
