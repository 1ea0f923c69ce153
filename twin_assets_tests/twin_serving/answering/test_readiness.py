"""What works, and what does not and why."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.generation.base import EngineState
from twin_serving.answering.engine import Served
from twin_serving.answering.readiness import (
    Readiness,
    canary_problems,
    champion_problems,
    daemon_problem,
    database_problem,
    engine_problems,
    schema_problem,
    seen_by,
)

WORKING: dict[str, str | None] = dict.fromkeys(("database", "migrations", "embedder", "generator"))


@pytest.mark.parametrize(
    ("broken", "ready", "can_answer"),
    [
        (None, True, True),
        ("generator", True, False),
        ("embedder", False, False),
        ("migrations", False, False),
        ("database", False, False),
    ],
)
def test_searching_needs_no_engine_and_answering_needs_everything(
    broken: str | None, ready: bool, can_answer: bool
) -> None:
    state = Readiness.of({**WORKING, **({broken: "it is loading"} if broken else {})}, {}, [])
    assert (state.ready, state.can_answer) == (ready, can_answer)
    if broken:
        assert (state.components[broken].ready, state.components[broken].reason) == (False, "it is loading")


def test_one_of_several_engines_that_is_away_is_a_warning_and_adapters_of_others_are_nobodys_business() -> None:
    one = EngineState("http://one:1", "base", ("ada-1", "ada-b-2"))
    away = EngineState("http://two:2", "base", (), "it is gone")
    assert [each.adapters for each in seen_by([one, away], {"ada"})] == [("ada-1",), ()]
    assert engine_problems([one, away]) == ["the engine at http://two:2 is not well: it is gone"]
    assert engine_problems([away]) == engine_problems([one]) == engine_problems([]) == []


def test_a_migrated_database_has_no_problem(engine: sa.Engine) -> None:
    assert (database_problem(engine), schema_problem(engine)) == (None, None)


def test_another_version_of_the_tables_is_named(engine: sa.Engine) -> None:
    with engine.begin() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    assert "the schema is at 0001, this version needs" in (schema_problem(engine) or "")
    with engine.begin() as session:
        session.execute(sa.text("ALTER TABLE alembic_version RENAME TO lost"))
    try:
        assert "the schema is at none, this version needs" in (schema_problem(engine) or "")
    finally:
        with engine.begin() as session:
            session.execute(sa.text("ALTER TABLE lost RENAME TO alembic_version"))


def test_a_database_that_does_not_answer_is_told_in_one_line() -> None:
    engine = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none")
    for problem in (database_problem(engine), schema_problem(engine)):
        assert problem is not None
        assert "not answer: " in problem
        assert "\n" not in problem


def test_a_daemon_is_missed_after_three_minutes(settings: Settings) -> None:
    found = postgres.prepare(settings.postgres)
    assert "has never run" in (daemon_problem(found) or "")
    dagster = sa.create_engine(found.dagster.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    with dagster.begin() as session:
        session.execute(sa.text("CREATE TABLE daemon_heartbeats (daemon_type text, timestamp timestamp)"))
    try:
        assert "has never run" in (daemon_problem(found) or ""), "an empty table is no heartbeat"
        for age, said in (("2 minutes", None), ("4 minutes", "was last alive 4 minutes ago")):
            with dagster.begin() as session:
                session.execute(sa.text("DELETE FROM daemon_heartbeats"))
                session.execute(
                    sa.text(
                        f"INSERT INTO daemon_heartbeats VALUES ('SENSOR', now() at time zone 'utc' - interval '{age}')"
                    )
                )
            problem = daemon_problem(found)
            assert problem is None if said is None else said in (problem or "")
    finally:
        with dagster.begin() as session:
            session.execute(sa.text("DROP TABLE daemon_heartbeats"))
    gone = postgres.Databases(postgres.make_url("postgresql://nobody@127.0.0.1:9/twin"))
    assert "Dagster's database cannot be read" in (daemon_problem(gone) or "")


def test_a_canary_that_does_not_answer_is_named() -> None:
    served = {"ada": Served("ada-1", None, "ada-2 does not answer: no memory"), "bo": Served(None, None)}
    assert canary_problems(served) == ["the canary of ada is not served: ada-2 does not answer: no memory"]


def test_a_champion_that_does_not_answer_is_named() -> None:
    served = {"ada": Served("ada-1", "ada-2 does not answer: no memory"), "bo": Served(None, None)}
    assert champion_problems(served) == ["the champion of ada is not served: ada-2 does not answer: no memory"]
