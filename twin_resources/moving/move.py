"""Moving an author from one database to another while the twin serves.

Rows are copied while readers and runs go on. Then writers wait for a moment (:mod:`..database.shards`), in which what
was written meanwhile is copied, both sides are compared by hashes, and one row in the old database switches. Nothing
before that row changes who is read, and all after it can be done by whoever runs the move again.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.locks import Locks
from twin_resources.database.postgres import Databases, dsn
from twin_resources.database.replica import caught_up
from twin_resources.database.schema import embedding_model
from twin_resources.database.shards import KNOWN_SECONDS, MAIN, Home, Shards, lock_name, shards_of
from twin_resources.errors import TwinError
from twin_resources.moving.copying import Side, copy, highest, numbering, remove
from twin_resources.retrieval.vectors import VectorIndex

log = logging.getLogger(__name__)

Said = Callable[[str], None]

_MEANWHILE = 1_000_000
"""Numbers kept free for what is written during a move."""


class MoveError(TwinError):
    """An author cannot be moved there, or not now; they live where they lived before."""


@dataclass(frozen=True)
class Moved:
    """What a move did; ``paused`` is for how many seconds writers waited."""

    author: str
    source: str
    target: str
    rows: int
    paused: float


def move(
    settings: Settings,
    author_id: str,
    target: str,
    say: Said = lambda _: None,
    *,
    patience: float = 60.0,
    settle: float = 3 * KNOWN_SECONDS,
) -> Moved:
    """Move an author to another database; where they live there already, finish what a killed move left.

    Args:
        target: name of the database.
        patience: seconds to wait for a moment in which nobody writes of this author.
        settle: seconds after the switch for which the old rows stay, for readers that do not know of it yet.

    Raises:
        MoveError: the target is not ready, holds rows of this author, or differs in the end; or somebody writes on.
    """
    settings.author(author_id)
    shards = shards_of(settings.addresses, settings.beginnings)
    shards.databases(target)
    main = postgres.engine(shards.databases(MAIN))
    with Locks(main).hold([f"moving {author_id}"], f"moving {author_id} to {target}", say):
        home = shards.home(author_id, anew=True)
        if home.name == target:
            _tidy(shards, author_id, home, say)
            return Moved(author_id, target, target, 0, 0.0)
        rows, paused = _copied(shards, author_id, home, target, say, patience)
        say(f"{author_id} lives in {target}; {settle:g} s for readers to notice")
        time.sleep(settle)
        _tidy(shards, author_id, shards.home(author_id, anew=True), say)
    return Moved(author_id, home.name, target, rows, paused)


def _copied(shards: Shards, author_id: str, home: Home, target: str, say: Said, patience: float) -> tuple[int, float]:
    """Copy and switch; returns the rows that were written, and how long writers waited."""
    there = shards.databases(target)
    with _session(shards.databases(home.name)) as old, _session(there) as new:
        _ready(new, target)
        with new.transaction():
            shift = _arrive(old, new, author_id, home, target)
        before, after = Side(old, author_id, shift), Side(new, author_id)
        say(f"copying {author_id} from {home.name} to {target}")
        rows = _pass(before, after)
        _index(there)
        with _alone(shards.databases(home.name), author_id, patience, say):
            start = time.monotonic()
            rows += _pass(before, after)
            _compare(before, after, target)
            if there.replica and not _followed(there):
                raise MoveError(f"the replica of {target} is behind; run the move again when it has caught up")
            _switch(old, new, author_id, home, target)
            return rows, time.monotonic() - start


@contextlib.contextmanager
def _session(found: Databases) -> Iterator[psycopg.Connection]:
    """A session in which rows look the same on every server."""
    with psycopg.connect(dsn(found.twin), autocommit=True, options="-c timezone=UTC -c datestyle=ISO") as session:
        yield session


def _ready(new: psycopg.Connection, target: str) -> None:
    needed = postgres.newest_revision()
    row = new.execute("SELECT to_regclass('alembic_version')").fetchone()
    held = new.execute("SELECT version_num FROM alembic_version").fetchone() if row and row[0] else None
    if held is None or held[0] != needed:
        raise MoveError(
            f"the database {target} has the schema {held[0] if held else 'of nobody'}, this version needs {needed}; "
            "`twin doctor` of this version brings every database up to date"
        )


def _arrive(old: psycopg.Connection, new: psycopg.Connection, author_id: str, home: Home, target: str) -> int:
    """Mark the target, so that an unfinished copy is known for one; returns what is added to numbers."""
    row = new.execute("SELECT arriving_from, shift FROM residence WHERE author = %s", (author_id,)).fetchone()
    arriving = row is not None and row[0] is not None
    if not arriving and Side(new, author_id).holds_anything():
        raise MoveError(
            f"the database {target} holds rows of {author_id} that no move left there; "
            "look whose they are before you delete them there"
        )
    tables = numbering()
    shift = row[1] if row and arriving else max(_given(new, table) for table in tables)
    for table in tables:
        kept = shift + highest(old, table) + _MEANWHILE
        new.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), greatest(%s, %s))", (table, kept, _given(new, table))
        )
    new.execute(
        "INSERT INTO residence (author, generation, arriving_from, shift) VALUES (%s, 0, %s, %s) "
        "ON CONFLICT (author) DO UPDATE SET arriving_from = EXCLUDED.arriving_from, shift = EXCLUDED.shift",
        (author_id, home.name, shift),
    )
    return shift


def _given(session: psycopg.Connection, table: str) -> int:
    """The highest number that a database gave in a table, or will not give again."""
    query = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(%s, 'id')::regclass), 0)"
    row = session.execute(query, (table,)).fetchone()
    return max(row[0] if row else 0, highest(session, table))


def _pass(before: Side, after: Side) -> int:
    """Make the target what the source is at this moment."""
    with before.session.transaction(), after.session.transaction():
        before.session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return copy(before, after)


def _index(there: Databases) -> None:
    """Build the vector indexes of the target before anybody searches it."""
    engine = postgres.engine(there)
    with engine.connect() as session:
        models = session.scalars(sa.select(embedding_model.c.name)).all()
    for model in models:
        VectorIndex(engine, model).ensure_index()


@contextlib.contextmanager
def _alone(found: Databases, author_id: str, patience: float, say: Said) -> Iterator[None]:
    """Hold the author's writers off. Asks again and again rather than in a queue, in which they would stand behind it
    while it waits for one that takes long."""
    key = (lock_name(author_id),)
    end, waiting = time.monotonic() + patience, False
    with _session(found) as session:
        while not _true(session, "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key):
            if time.monotonic() > end:
                raise MoveError(
                    f"something has written of {author_id} for {patience:g} s, perhaps a run; "
                    "run the move again when it is done, it goes on from what was copied"
                )
            if not waiting:
                say("waiting for a moment in which nobody writes")
            waiting = True
            time.sleep(0.05)
        yield


def _true(session: psycopg.Connection, query: str, values: tuple[str, ...]) -> bool:
    row = session.execute(query, values).fetchone()  # pyright: ignore[reportArgumentType, reportCallIssue]
    return bool(row and row[0])


def _compare(before: Side, after: Side, target: str) -> None:
    wanted, came = before.figures(), after.figures()
    wrong = sorted(table for table in wanted if wanted[table] != came[table])
    if wrong:
        raise MoveError(
            f"what is in {target} differs in {', '.join(wrong)}; does another program write there? "
            "Nothing was switched; run the move again"
        )


def _followed(there: Databases) -> bool:
    follows = postgres.replica_engine(there, scoped=False)
    return follows is None or caught_up(postgres.engine(there), follows, 10.0)


def _switch(old: psycopg.Connection, new: psycopg.Connection, author_id: str, home: Home, target: str) -> None:
    """From here on the author lives in the target."""
    query = "SELECT coalesce(max(generation), 0) FROM residence WHERE author = %s"
    held = [row[0] for each in (old, new) if (row := each.execute(query, (author_id,)).fetchone())]
    old.execute(
        "INSERT INTO residence (author, generation, moved_to, shift) VALUES (%s, %s, %s, 0) ON CONFLICT (author) "
        "DO UPDATE SET generation = EXCLUDED.generation, moved_to = EXCLUDED.moved_to, arriving_from = NULL, "
        "at = now()",
        (author_id, max(home.generation, *held) + 1, target),
    )


def _tidy(shards: Shards, author_id: str, home: Home, say: Said) -> None:
    """Take the mark of arrival away where the author lives, and the rows that a move left elsewhere."""
    with _session(shards.databases(home.name)) as session:
        session.execute(
            "UPDATE residence SET arriving_from = NULL, moved_to = NULL, generation = greatest(generation, %s) "
            "WHERE author = %s",
            (home.generation, author_id),
        )
    for name in shards.names:
        if name == home.name:
            continue
        with _session(shards.databases(name)) as session, session.transaction():
            left = "SELECT moved_to IS NOT NULL OR arriving_from IS NOT NULL FROM residence WHERE author = %s"
            exists = "SELECT to_regclass('residence') IS NOT NULL"
            if _true(session, exists, ()) and _true(session, left, (author_id,)):
                say(f"removing what is left of {author_id} in {name}")
                remove(Side(session, author_id), keep_author=name == MAIN)
                session.execute("UPDATE residence SET arriving_from = NULL WHERE author = %s", (author_id,))
