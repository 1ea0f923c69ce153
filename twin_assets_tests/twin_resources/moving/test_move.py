"""An author moves between two servers while readers read and writers write, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import URL

from twin_assets_tests.support.processes import within
from twin_assets_tests.support.servers import emptied
from twin_assets_tests.support.site import QUESTION
from twin_resources.config.settings import Settings
from twin_resources.database import postgres, schema
from twin_resources.database.authors import allow
from twin_resources.database.postgres import dsn
from twin_resources.database.shards import MAIN, AuthorEngine, Shards, about
from twin_resources.moving.copying import Side
from twin_resources.moving.move import MoveError, move
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.options import Options
from twin_resources.retrieval.search import Search
from twin_serving.processes.servers import ROOT

CALL = {"author": "ada", "call": "ask", "query": "q", "citations": [], "usage": {}, "timings_ms": {}}


@dataclass
class Two:
    """The databases `main` and `two` on two servers; Ada is in the first."""

    settings: Settings
    embedder: Embedder

    @property
    def shards(self) -> Shards:
        """As a process has them that knows nothing yet."""
        return Shards(self.settings.addresses, self.settings.beginnings)

    def engine(self, *, writes: bool = True) -> AuthorEngine:
        """Ada's engine of a process that just started."""
        return AuthorEngine(self.shards, postgres.engine, author="ada", writes=writes)

    def plain(self, name: str) -> sa.Engine:
        """Everything of one database."""
        return postgres.engine(self.shards.databases(name))

    def figures(self, name: str, shift: int = 0) -> dict[str, tuple[int, str]]:
        """Rows and hashes of Ada in one database."""
        with psycopg.connect(dsn(self.shards.databases(name).twin), options="-c timezone=UTC") as session:
            return Side(session, "ada", shift).figures()

    def shift(self, name: str) -> int:
        """What was added to the numbers that were copied there."""
        with self.plain(name).connect() as session:
            return session.scalar(sa.select(schema.residence.c.shift).where(schema.residence.c.author == "ada")) or 0

    def found(self, engine: sa.Engine) -> list[str]:
        """What a search finds, dense and lexical."""
        vector = self.embedder.encode_questions([QUESTION])[0]
        search = Search(engine, self.embedder.name)
        return [hit.chunk_id for hit in search.find("ada", QUESTION, vector, k=3, options=Options("hybrid"))]

    def move(self, target: str, patience: float = 60.0) -> None:
        move(self.settings, "ada", target, settle=0.0, patience=patience)

    def write(self, engine: sa.Engine, key: str) -> None:
        with engine.begin() as session:
            session.execute(sa.insert(schema.interaction).values(id=key, **CALL))
            session.execute(sa.insert(schema.feedback).values(trace_id=key, rating="up", comment=key))

    def written(self, engine: sa.Engine) -> list[str]:
        with engine.connect() as session:
            return list(session.scalars(sa.select(schema.feedback.c.comment).order_by(schema.feedback.c.id)))


def trained(session: sa.Connection) -> None:
    """A dataset, an adapter that was trained on it, and its place as champion: rows that refer to each other."""
    rows: list[tuple[sa.Table, dict[str, object]]] = [
        (schema.dataset_version, {"id": "d", "kind": "instruct", "artifact": "datasets/d", "manifest": {"samples": 1}}),
        (schema.adapter, {"id": "a", "version": "ada-1", "kind": "sft", "base": "b", "artifact": "adapters/a"}),
        (schema.parameter_search, {"id": "p", "base": "b", "measured_on": "m"}),
        (schema.release, {"alias": "champion", "version": "ada-1"}),
    ]
    more = {"adapter": {"dataset_id": "d", "parameters": {}, "metrics": {}}, "parameter_search": {"dataset_id": "d"}}
    for table, row in rows:
        session.execute(sa.insert(table).values(author="ada", **row, **more.get(table.name, {})))


@pytest.fixture
def two(settings: Settings, second: URL, seed: Callable[[Settings], sa.Engine], embedder: Embedder) -> Iterator[Two]:
    emptied(second)
    shards = {"two": SecretStr(second.render_as_string(hide_password=False))}
    changed = settings.model_copy(update={"shards": shards})
    seed(changed)
    made = Two(changed, embedder)
    made.shards.prepare()
    for number in range(5):
        made.write(made.plain(MAIN), f"before {number}")
    with made.plain(MAIN).begin() as session:
        session.execute(sa.insert(schema.approval).values(author="ada", version="v", action="reject", by="me"))
        trained(session)
    with made.plain("two").begin() as session:  # somebody else's numbers, which Ada's must not meet
        session.execute(sa.insert(schema.author).values(id="cy", name="Cy", consent="Mine. 2026-01-01"))
        for _ in range(3):
            session.execute(sa.insert(schema.approval).values(author="cy", version="v", action="reject", by="me"))
            session.execute(sa.insert(schema.lexical_segment).values(author="cy", size=0, lexemes=0, languages=[]))
    yield made
    for name in (MAIN, "two"):
        made.plain(name).dispose()
        postgres.scoped_engine(made.shards.databases(name)).dispose()


def test_everything_moves_there_and_back_and_nothing_of_anybody_else(two: Two) -> None:
    before, hits = two.figures(MAIN), two.found(two.engine())
    assert len(hits) == 3
    assert sum(rows for rows, _ in before.values()) > 30
    two.move("two")
    assert two.found(two.engine()) == hits
    came = two.figures("two")
    assert {table: rows for table, (rows, _) in came.items()} == {table: rows for table, (rows, _) in before.items()}
    unnumbered = set(before) - {"approval", "feedback", "lexical_segment", "lexical_member", "posting"}
    assert {table: came[table] for table in unnumbered} == {table: before[table] for table in unnumbered}
    left = {table: rows for table, (rows, _) in two.figures(MAIN).items() if rows}
    assert left == {"author": 1}, "name and consent stay, for keys and alerts"
    with two.plain(MAIN).connect() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(schema.embedding)) == 0
        assert session.scalars(sa.select(schema.author.c.id)).all() == ["ada", "bo"]
    two.write(two.engine(), "there")
    assert two.written(two.engine()) == [*(f"before {number}" for number in range(5)), "there"]
    two.move(MAIN)
    assert two.found(two.engine()) == hits
    assert two.written(two.plain(MAIN)) == [*(f"before {number}" for number in range(5)), "there"]
    assert not any(rows for rows, _ in two.figures("two").values())
    with two.plain("two").connect() as session:
        assert session.scalars(sa.select(schema.author.c.id)).all() == ["cy"]
        assert session.scalar(sa.select(sa.func.count()).select_from(schema.lexical_segment)) == 3


def test_readers_and_writers_go_on_and_no_write_is_lost_or_doubled(two: Two) -> None:
    hits, ended, errors = two.found(two.engine()), threading.Event(), list[BaseException]()
    written: list[str] = []

    def read() -> None:
        engine = two.engine(writes=False)
        while not ended.is_set():
            assert two.found(engine) == hits

    def write(number: int) -> None:
        engine = AuthorEngine(two.shards, postgres.scoped_engine)
        with allow(["ada"]), about("ada"):
            while not ended.is_set():
                key = f"{number} {len(written)} {threading.get_ident()}"
                two.write(engine, key)
                written.append(key)

    def kept(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    calls = [read, lambda: write(1), lambda: write(2)]
    threads = [threading.Thread(target=kept, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    move(two.settings, "ada", "two", settle=1.5)
    counted = len(written)
    assert within(20, lambda: len(written) >= counted + 10 or errors)
    ended.set()
    for thread in threads:
        thread.join()
    assert not errors
    there = [each for each in two.written(two.plain("two")) if not each.startswith("before")]
    assert sorted(there) == sorted(written)
    assert two.written(two.plain(MAIN)) == []


@pytest.mark.parametrize("point", ["_index", "_compare", "_switch", "remove"])
def test_killed_at_any_moment_it_is_run_again(two: Two, point: str) -> None:
    before, hits = two.figures(MAIN), two.found(two.engine())
    script = (
        "import os, signal\nfrom twin_resources.config.settings import load\nfrom twin_resources.moving import move\n"
        f"move.{point} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "move.move(load(), 'ada', 'two', settle=0)\n"
    )
    assert two.settings.database_url
    variables = {
        **{key: value for key, value in os.environ.items() if not key.startswith("TWIN_")},
        "TWIN_CONFIG": str(two.settings.home / "twin.yaml"),
        "TWIN_HOME": str(two.settings.home),
        "TWIN_DATABASE_URL": two.settings.database_url.get_secret_value(),
        "TWIN_SHARDS__TWO": two.settings.shards["two"].get_secret_value(),
        "PYTHONPATH": str(ROOT),
    }
    two.settings.home.mkdir(exist_ok=True)
    (two.settings.home / "twin.yaml").write_text(
        'authors: [{id: ada, name: Ada Berg, consent: "These accounts are mine. 2026-11-21"}]\n'
    )
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    lives = two.shards.home("ada").name
    assert lives == ("two" if point == "remove" else MAIN)
    assert two.found(two.engine()) == hits
    two.write(two.engine(), "after the kill")
    two.move("two")
    assert two.found(two.engine()) == hits
    assert two.written(two.engine()) == [*(f"before {number}" for number in range(5)), "after the kill"]
    rows = {table: count + (table in ("interaction", "feedback")) for table, (count, _) in before.items()}
    assert {table: count for table, (count, _) in two.figures("two").items()} == rows
    assert {table for table, (count, _) in two.figures(MAIN).items() if count} == {"author"}


def test_a_target_with_rows_of_this_author_is_refused(two: Two) -> None:
    with two.plain("two").begin() as session:
        session.execute(sa.insert(schema.interaction).values(id="stray", **CALL))
    before = two.figures(MAIN)
    with pytest.raises(MoveError, match="holds rows of ada that no move left there"):
        two.move("two")
    assert two.figures(MAIN) == before
    assert two.shards.home("ada").name == MAIN


def test_a_target_of_another_version_is_refused(two: Two) -> None:
    with two.plain("two").begin() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0016'"))
    with pytest.raises(MoveError, match=f"has the schema 0016, this version needs {postgres.newest_revision()}"):
        two.move("two")


def test_an_unknown_target_is_named_with_those_there_are(two: Two) -> None:
    with pytest.raises(postgres.DatabaseError, match=r"no database 'three'.*'main', 'two'"):
        two.move("three")


def test_a_writer_that_does_not_end_is_waited_for_and_then_said(two: Two) -> None:
    with two.engine().begin() as session:
        session.execute(sa.insert(schema.interaction).values(id="long", **CALL))
        with pytest.raises(MoveError, match=r"something has written of ada for 0\.2 s"):
            two.move("two", patience=0.2)
        assert two.shards.home("ada").name == MAIN
    two.move("two")
    with two.plain("two").connect() as session:
        assert session.scalar(sa.select(schema.interaction.c.id).where(schema.interaction.c.id == "long"))


def test_a_connection_that_outlives_a_move_says_so_rather_than_writing_where_nobody_reads(two: Two) -> None:
    with two.engine().connect() as session:
        assert session.scalar(sa.text("SELECT 1")) == 1
        session.commit()
        two.move("two")
        with pytest.raises(postgres.DatabaseError, match="was moved to two meanwhile"):
            session.execute(sa.insert(schema.interaction).values(id="late", **CALL))


def test_other_tables_than_those_that_stay_are_moved() -> None:
    from twin_resources.moving.parts import PARTS, STAYS

    assert {part.table for part in PARTS} == set(schema.metadata.tables) - STAYS
