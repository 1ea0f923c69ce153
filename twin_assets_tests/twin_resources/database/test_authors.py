"""Sessions of the API see the rows of the authors they were let see, even when a query forgets to ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from twin_resources.config.settings import Settings
from twin_resources.database import authors, postgres, schema
from twin_resources.retrieval.vectors import _SETTINGS, VectorIndex
from twin_resources.sources.base import RawDocument
from twin_resources.storage.keys import ApiKeys
from twin_resources.storage.warehouse import Warehouse
from twin_serving.answering.intake import Sent

WITHOUT_AUTHOR = {"embedding", "embedding_model", "sentence_embedding"}
"""Keyed by the hash of a text and found only through a passage, which has an author."""


def fill(settings: Settings) -> sa.Engine:
    """A document of each author, with what hangs on it."""
    engine = postgres.engine(postgres.prepare(settings.postgres))
    warehouse = Warehouse(engine)
    for author in settings.authors:
        warehouse.record_author(author)
        source = warehouse.remember_source(author.id, Sent("the tests", author.author), {}, remembered=True)
        raw = RawDocument(f"https://{author.id}.example/a", "medium", "articles", "text/plain", "Text.", "Title")
        warehouse.collect(author.id, source, [raw], origin="medium", name="tests")
        with engine.begin() as session:
            session.execute(
                sa.insert(schema.interaction).values(
                    id=f"trace-{author.id}",
                    author=author.id,
                    call="ask",
                    query="q",
                    citations=[],
                    usage={},
                    timings_ms={},
                )
            )
            session.execute(sa.insert(schema.feedback).values(trace_id=f"trace-{author.id}", rating="up"))
            segment = session.scalar(
                sa.insert(schema.lexical_segment)
                .values(author=author.id, size=1, lexemes=1, languages=["en"])
                .returning(schema.lexical_segment.c.id)
            )
            session.execute(
                sa.insert(schema.posting).values(segment=segment, lexeme=author.id, ordinals=[0], impacts=[1.0])
            )
    return engine


@pytest.fixture(scope="module", params=["superuser", "owner"])
def filled(
    request: pytest.FixtureRequest, new_settings: Callable[..., Settings], server: Settings
) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    """Our engine and the API's, as the embedded server has them and as a plain owner of the tables has them."""
    settings = new_settings(blank=request.param == "owner")
    if request.param == "owner":
        settings = as_owner(settings, server)
    engine = fill(settings)
    scoped = postgres.scoped_engine(postgres.databases(settings.postgres))
    yield engine, scoped
    scoped.dispose()
    engine.dispose()


def as_owner(settings: Settings, server: Settings) -> Settings:
    """The same database, for a user who owns it and is nothing more."""
    assert settings.database_url is not None
    url = sa.engine.make_url(settings.database_url.get_secret_value())
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as session:
        session.execute("CREATE EXTENSION IF NOT EXISTS vector")
        session.execute("DROP ROLE IF EXISTS plain_owner")
        session.execute("CREATE ROLE plain_owner LOGIN CREATEDB PASSWORD 'x'")
        session.execute(sql.SQL("ALTER DATABASE {} OWNER TO plain_owner").format(sql.Identifier(url.database or "")))
        session.execute("GRANT CREATE ON SCHEMA public TO plain_owner")
    owned = url.set(username="plain_owner", password="x").render_as_string(hide_password=False)
    return settings.model_copy(update={"database_url": type(settings.database_url)(owned)})


def seen(engine: sa.Engine, table: str, column: str = "author") -> list[str]:
    """What a query sees that forgets its WHERE."""
    with engine.connect() as session:
        return sorted(session.scalars(sa.text(f"SELECT {column}::text FROM {table}")))


def test_a_query_without_a_where_sees_only_the_allowed_author(filled: tuple[sa.Engine, sa.Engine]) -> None:
    engine, scoped = filled
    both = {
        ("document", "url"): ["https://ada.example/a", "https://bo.example/a"],
        ("author", "id"): ["ada", "bo"],
        ("source", "author"): ["ada", "bo"],
        ("interaction", "id"): ["trace-ada", "trace-bo"],
        ("feedback", "trace_id"): ["trace-ada", "trace-bo"],
        ("posting", "lexeme"): ["ada", "bo"],
    }
    for (table, column), rows in both.items():
        assert seen(engine, table, column) == rows, "jobs and commands see all"
        assert seen(scoped, table, column) == [], "the API sees nobody unless it was told whom"
        with authors.allow(("ada",)):
            assert seen(scoped, table, column) == rows[:1]
        with authors.allow(("ada", "bo")):
            assert seen(scoped, table, column) == rows
        with authors.allow(None):
            assert seen(scoped, table, column) == rows
        with authors.allow(()):
            assert seen(scoped, table, column) == []
    with authors.allow(("ada",)), scoped.connect() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM document_version")) == 1


def test_another_authors_rows_cannot_be_written(filled: tuple[sa.Engine, sa.Engine]) -> None:
    engine, scoped = filled
    row = {"call": "ask", "query": "q", "citations": [], "usage": {}, "timings_ms": {}}
    with authors.allow(("ada",)):
        with scoped.begin() as session:
            session.execute(sa.insert(schema.interaction).values(id="mine", author="ada", **row))
            assert session.execute(sa.update(schema.document).values(gone_at=sa.func.now())).rowcount == 1
            session.rollback()
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"), scoped.begin() as session:
            session.execute(sa.insert(schema.interaction).values(id="yours", author="bo", **row))
        with scoped.begin() as session:
            assert session.execute(sa.delete(schema.document).where(schema.document.c.author == "bo")).rowcount == 0
    assert len(seen(engine, "document")) == 2


def test_a_connection_of_the_pool_keeps_nothing(filled: tuple[sa.Engine, sa.Engine]) -> None:
    """One connection after another's request, in other threads and after an error, starts with nobody."""
    _, scoped = filled
    with authors.allow(("bo",)), pytest.raises(sa.exc.ProgrammingError), scoped.begin() as session:
        session.execute(sa.text("SELECT nothing"))
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(seen(scoped, "document"))) for _ in range(4)]
    for thread in threads:
        thread.start()
        thread.join()
    assert found == [[]] * 4
    with authors.allow(("bo",)), scoped.connect() as session:
        for _ in range(2):
            assert session.scalars(sa.text("SELECT author FROM document")).all() == ["bo"]
            session.commit()


def test_a_server_that_went_away_costs_no_call(filled: tuple[sa.Engine, sa.Engine]) -> None:
    engine, scoped = filled
    with authors.allow(("bo",)):
        with scoped.connect() as session:
            pid = session.scalar(sa.text("SELECT pg_backend_pid()"))
        with engine.connect() as session:
            session.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        assert seen(scoped, "document") == ["bo"]


def test_keys_are_for_no_call_to_read(filled: tuple[sa.Engine, sa.Engine]) -> None:
    engine, scoped = filled
    with authors.allow(("ada",)), scoped.connect() as session:
        if session.scalar(sa.text("SELECT current_user")) == authors.ROLE:
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                session.execute(sa.text("SELECT id FROM api_key"))
        else:
            ApiKeys(engine).create("one", "admin")
            assert session.execute(sa.text("SELECT id FROM api_key")).all() == []


def test_every_table_has_a_policy_or_a_reason(filled: tuple[sa.Engine, sa.Engine]) -> None:
    with filled[0].connect() as session:
        forced = set(
            session.scalars(sa.text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity"))
        )
    assert set(schema.metadata.tables) - forced == WITHOUT_AUTHOR


def test_search_by_meaning_still_goes_through_its_index(filled: tuple[sa.Engine, sa.Engine]) -> None:
    engine, scoped = filled
    index = VectorIndex(engine, "m")
    index.save([("hash", np.ones(3, np.float32))], 3)
    index.ensure_index()
    query = sa.text(
        "EXPLAIN SELECT chunk.id FROM embedding JOIN chunk ON chunk.text_hash = embedding.text_hash "
        "WHERE embedding.model = 'm' AND chunk.author = 'ada' AND chunk.served "
        "ORDER BY embedding.vector::halfvec(3) <=> '[1,1,1]' LIMIT 5"
    )
    with authors.allow(("ada",)), scoped.begin() as session:
        session.execute(_SETTINGS, {"ef_search": "100"})
        plan = "\n".join(session.scalars(query))
    assert "Index Scan using hnsw_" in plan
    assert "InitPlan" in plan, "the policy is computed once a query"
