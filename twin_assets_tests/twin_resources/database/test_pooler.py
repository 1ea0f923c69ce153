"""Everything works through a real PgBouncer in transaction mode, whose two sessions all clients share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from twin_assets_tests.support.servers import pooler
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.authors import allow
from twin_resources.database.engines import sessions_of
from twin_resources.database.locks import Locks, Presence
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.search import Search
from twin_resources.storage.warehouse import Warehouse

pytestmark = pytest.mark.pooler


@pytest.fixture
def pooled(settings: Settings) -> Iterator[Settings]:
    found = postgres.databases(settings.postgres)
    with pooler(found.twin, sessions=2) as url:
        changed = settings.model_copy(update={"pooler_url": SecretStr(url.render_as_string())})
        yield changed
        opened = postgres.databases(changed.postgres)
        for engine in (postgres.engine(opened), postgres.engine(opened, statement_seconds=1)):
            engine.dispose()
            sessions_of(engine).dispose()
        postgres.scoped_engine(opened).dispose()


@pytest.fixture
def found(pooled: Settings) -> postgres.Databases:
    found = postgres.prepare(pooled.postgres)
    warehouse = Warehouse(postgres.engine(found))
    for author in pooled.authors:
        warehouse.record_author(author)
    return found


def test_transactions_of_many_readers_see_their_authors_alone(found: postgres.Databases) -> None:
    scoped, ours = postgres.scoped_engine(found), postgres.engine(found)
    seen = sa.text("SELECT array_agg(id ORDER BY id), current_setting('is_superuser') FROM author")

    def ask(number: int) -> bool:
        allowed = [["ada"], ["bo"], ["ada", "bo"], []][number % 4]
        with allow(allowed), scoped.begin() as session:
            names, superuser = session.execute(seen).one()
        with ours.begin() as session:
            everybody, _ = session.execute(seen).one()
        return ((names or []), superuser, everybody) == (allowed, "off", ["ada", "bo"])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(200))), "two sessions, shared by all"


def test_a_scoped_engine_never_runs_outside_of_a_transaction(found: postgres.Databases) -> None:
    """There what a session may see would not be set, and an unset one sees everybody."""
    with (
        postgres.scoped_engine(found).connect() as session,
        pytest.raises(psycopg.ProgrammingError, match="can't change 'autocommit'"),
    ):
        session.execution_options(isolation_level="AUTOCOMMIT")


def test_what_a_reader_may_take_ends_with_the_transaction(found: postgres.Databases) -> None:
    limited, patient = postgres.engine(found, statement_seconds=1), postgres.engine(found)
    with limited.connect() as session, pytest.raises(OperationalError, match="statement timeout"):
        session.execute(sa.text("SELECT pg_sleep(20)"))
    for _ in range(4):
        with patient.connect() as session:
            assert session.scalar(sa.text("SHOW statement_timeout")) == "0"


def test_locks_go_past_it_and_end_with_their_holder(found: postgres.Databases) -> None:
    engine, said = postgres.engine(found), list[str]()
    locks = Locks(engine)
    with locks.hold(["embed"], "the first", said.append):
        holder = locks.holder("embed")
        assert holder
        assert "the first" in holder.who
        taken = threading.Event()

        def wait() -> None:
            with Locks(engine).hold(["embed"], "the second", said.append):
                taken.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not taken.wait(0.2)
    assert taken.wait(20)
    waiting.join()
    here = Presence(engine, "run 1", "a run")
    here.start()
    assert locks.holder("run 1")
    here.stop()


def test_a_source_is_read_by_one_at_a_time(found: postgres.Databases) -> None:
    sources = Warehouse(postgres.engine(found)).sources
    free = sa.text("SELECT pg_try_advisory_lock(hashtextextended('reading s', 0))")
    with sources.turn("s"), sessions_of(sources.engine).connect() as other:
        assert other.scalar(free) is False


def test_documents_are_collected_embedded_and_found(
    pooled: Settings, seed: Callable[[Settings], sa.Engine], embedder: Embedder
) -> None:
    engine = seed(pooled)
    assert engine.url.port, "it is reached through the pooler"
    search, query = Search(engine, embedder.name), "Who changed the engine of the ferry?"
    for _ in range(8):  # more often than psycopg waits before it prepares a statement
        hits = search.find("ada", query, embedder.encode_questions([query])[0], k=2)
        assert hits[0].title == "On ferries"
