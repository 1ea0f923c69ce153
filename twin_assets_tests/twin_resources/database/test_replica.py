"""Reads come from a real streaming replica while it keeps up, and from the primary while it does not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import InternalError

from twin_assets_tests.support.processes import within
from twin_assets_tests.support.servers import Follower, follower, postgres_server
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.authors import allow
from twin_resources.database.postgres import dsn
from twin_resources.database.replica import Replica, ReplicaEngine, caught_up, read_again
from twin_resources.storage.warehouse import Warehouse

LIMIT = 0.5


@dataclass
class Reader:
    """Something that searches."""

    engine: sa.Engine

    def recovers(self) -> bool:
        """Whether it read from the replica."""
        with self.engine.connect() as session:
            return session.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one()

    @read_again
    def steps(self, lose: Callable[[], None]) -> list[bool]:
        """The same in two steps, between which the replica is lost."""
        query = sa.text("SELECT pg_is_in_recovery()")
        with self.engine.connect() as session:
            first = session.execute(query).scalar_one()
            if first:
                lose()
            return [first, session.execute(query).scalar_one()]

    @read_again
    def stopped_by_replaying(self, write: Callable[[], None], idle: float) -> int:
        """Hold a row that the primary clears away meanwhile, in a query or in a transaction that waits for one."""
        with self.engine.begin() as session:
            found = session.execute(sa.text("SELECT count(*) FROM source")).scalar_one()
            if session.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one():
                write()
                time.sleep(idle)
                session.execute(sa.text("SELECT pg_sleep(20)"))
            return found


@dataclass(frozen=True)
class Pair:
    """A primary with a replica, and an engine that reads from either."""

    settings: Settings
    primary: sa.Engine
    replica: Follower
    state: Replica
    engine: ReplicaEngine
    taken: Counter[str]

    @property
    def reader(self) -> Reader:
        return Reader(self.engine)

    def checked(self, problem: str | None) -> bool:
        """Check until the replica is as expected."""

        def found() -> bool:
            self.state.check()
            told = self.state.problem
            return told is None if problem is None else problem in (told or "")

        return within(20, found)


@pytest.fixture(scope="module")
def primary() -> Iterator[URL]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def pair(primary: URL, settings_of: Callable[..., Settings]) -> Iterator[Pair]:
    postgres.prepare(settings_of(primary).postgres)
    with follower(primary) as replica:
        settings = settings_of(primary, replica_url=replica.url.render_as_string(), replica_lag_seconds=LIMIT)
        found = postgres.prepare(settings.postgres)
        engine = postgres.engine(found)
        warehouse = Warehouse(engine)
        for author in settings.authors:
            warehouse.record_author(author)
        follows, asked = (postgres.replica_engine(found, scoped=each) for each in (True, False))
        assert follows
        assert asked
        state, taken = Replica(engine, asked, LIMIT), Counter[str]()
        calls = ReplicaEngine(postgres.scoped_engine(found), follows, state, lambda server: taken.update([server]))
        pair = Pair(settings, engine, replica, state, calls, taken)
        assert pair.checked(None)
        yield pair
        for each in (engine, follows, asked, calls.primary):
            each.dispose()


def test_reads_are_the_replicas_and_see_only_their_authors(pair: Pair) -> None:
    assert caught_up(pair.primary, pair.engine.replica, 20)
    with allow(["ada"]), pair.engine.connect() as session:
        assert session.scalars(sa.text("SELECT id FROM author")).all() == ["ada"]
        assert session.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one()
    with pair.engine.begin() as session, pytest.raises(InternalError, match="read-only"):
        session.execute(sa.text("DELETE FROM author"))
    assert pair.taken == {"replica": 2}


def test_a_lost_replica_costs_no_answer_and_is_read_again(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    assert pair.reader.steps(pair.replica.stop) == [False, False], "begun again with the primary"
    assert [pair.reader.recovers() for _ in range(3)] == [False] * 3
    told = [each.message for each in caplog.records if "the replica is not read" in each.message]
    assert len(told) == 1, "once, not with each question"
    assert pair.taken == {"replica": 1, "primary": 4}
    assert pair.checked("it cannot be reached")
    pair.replica.start()
    assert pair.checked(None)
    assert pair.reader.recovers()


def test_a_replica_that_falls_behind_is_not_read_until_it_catches_up(pair: Pair) -> None:
    pair.replica.pause()
    with pair.primary.begin() as session:
        session.execute(sa.text("UPDATE author SET name = name || '!'"))
    assert pair.checked("it has not what was written")
    assert not pair.reader.recovers()
    assert not caught_up(pair.primary, pair.engine.replica, 0.2), "whoever forgets is told that it is still there"
    pair.replica.resume()
    assert pair.checked(None)
    assert pair.reader.recovers()
    assert caught_up(pair.primary, pair.engine.replica, 20)


def test_a_replica_that_was_not_asked_lately_is_not_read(pair: Pair) -> None:
    assert within(20, lambda: not pair.state.readable()), "nobody checks"
    assert not pair.reader.recovers()


def test_a_promoted_replica_is_not_read(pair: Pair) -> None:
    pair.replica.promote()
    assert pair.checked("it follows no primary any more")
    assert not pair.reader.recovers()


def test_another_server_is_no_replica(pair: Pair, server: Settings) -> None:
    other = sa.create_engine(postgres.databases(server.postgres).engine_url.set(database="postgres"))
    state = Replica(pair.primary, other, LIMIT)
    state.check()
    other.dispose()
    assert state.problem
    assert "a server of its own" in state.problem


@pytest.mark.parametrize("idle", [0.0, 1.0])
def test_a_query_that_replaying_cancels_begins_again_with_the_primary(pair: Pair, idle: float) -> None:
    with psycopg.connect(dsn(pair.replica.url), autocommit=True) as session:
        session.execute("ALTER SYSTEM SET max_standby_streaming_delay = '50ms'")
        session.execute("SELECT pg_reload_conf()")

    def clear_away() -> None:
        with pair.primary.begin() as session:
            session.execute(sa.text("TRUNCATE source CASCADE"))

    assert pair.reader.stopped_by_replaying(clear_away, idle) == 0
    assert pair.state.problem is None, "the replica is well"
