"""The database as migrations leave it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pgvector import HalfVector

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.bulk import copy_upsert
from twin_resources.database.schema import embedding, embedding_model, metadata


def test_migrations_give_the_schema(engine: sa.Engine) -> None:
    with engine.connect() as session:
        context = MigrationContext.configure(session, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_three_databases_and_preparing_twice(new_settings: Callable[..., Settings]) -> None:
    settings = new_settings(blank=True)
    first = postgres.prepare(settings.postgres)
    second = postgres.prepare(settings.postgres)
    assert first == second
    for url in (first.twin, first.dagster, first.mlflow):
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)):
            pass
    assert first.dagster.drivername == "postgresql+psycopg2"


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(new_settings: Callable[..., Settings]) -> None:
    settings = new_settings()
    found = postgres.prepare(settings.postgres)
    with postgres.connection(found) as session:
        session.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(postgres.DatabaseError, match=r"schema is 9999.*Install that version"):
        postgres.prepare(settings.postgres)


def test_copy_upsert_inserts_updates_and_leaves_alone(engine: sa.Engine) -> None:
    with engine.begin() as session:
        session.execute(sa.insert(embedding_model).values(name="m", dimensions=3))
        rows = [("a", "m", HalfVector(np.ones(3))), ("b", "m", HalfVector(np.zeros(3)))]
        columns = ["text_hash", "model", "vector"]
        assert copy_upsert(session, embedding, columns, rows) == 2
        assert copy_upsert(session, embedding, columns, rows) == 0
        changed = [("a", "m", HalfVector(np.full(3, 2.0)))]
        assert copy_upsert(session, embedding, columns, changed, update=["vector"]) == 1
        found = session.scalar(sa.select(embedding.c.vector).where(embedding.c.text_hash == "a"))
        assert list(found) == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("url", ["mysql://x/y", "not a url", "postgresql://host"])
def test_a_wrong_url_says_what_to_write(tmp_path, url: str) -> None:
    with pytest.raises(postgres.DatabaseError, match="postgresql://user:password@host"):
        postgres.databases(Settings(home=tmp_path, database_url=url).postgres)  # pyright: ignore[reportArgumentType]


def test_an_unreachable_server_is_named_without_its_password(tmp_path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://u:secret@127.0.0.1:1/twin")  # pyright: ignore[reportArgumentType]
    with pytest.raises(postgres.DatabaseError, match="Check the address") as caught:
        postgres.prepare(settings.postgres)
    assert "secret" not in str(caught.value)


def test_a_statement_for_a_reader_ends_in_time_and_others_take_what_they_take(settings: Settings) -> None:
    found = postgres.prepare(settings.postgres)
    limited, patient = postgres.engine(found, statement_seconds=1), postgres.engine(found)
    with limited.connect() as session, pytest.raises(sa.exc.OperationalError, match="statement timeout"):
        session.execute(sa.text("SELECT pg_sleep(5)"))
    with patient.connect() as session:
        assert session.scalar(sa.text("SHOW statement_timeout")) == "0"
    limited.dispose()
    patient.dispose()
