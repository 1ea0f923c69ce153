"""Which database an author lives in, where there are several, and engines that open the right one.

An author begins in the database that the configuration names. Whoever moves leaves a row in ``residence`` of the old
database that names the new one, so the configuration need not change at the same moment everywhere; the highest
generation is right, so that moving back needs no row to go.

A transaction that may write holds a shared advisory lock of its author while it lasts, and looks for that row once it
has it. The move takes the lock alone for the moment of the switch: what began before it is waited for, and what comes
meanwhile waits and then goes to the new database. Reads take no lock.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.event import listens_for

from twin_resources.database import postgres
from twin_resources.database.embedded import DatabaseError
from twin_resources.database.postgres import Address, Databases
from twin_resources.database.schema import residence

MAIN = "main"
"""The database of ``TWIN_DATABASE_URL``. Keys, alerts and answers to repeated writes are there, whoever they are of."""

KNOWN_SECONDS = 1.0
"""How long a process reads where an author lived before it looks again."""

_about: ContextVar[str | None] = ContextVar("about_author", default=None)
_LOCK = "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"
_MOVED = "SELECT generation, moved_to FROM residence WHERE author = %s"


def speak_of(author_id: str | None) -> None:
    """From here on this context is about an author: engines without one of their own open that one's database. None for
    nobody."""
    _about.set(author_id)


@contextlib.contextmanager
def about(author_id: str) -> Iterator[None]:
    """As :func:`speak_of`, until the end of the block."""
    token = _about.set(author_id)
    try:
        yield
    finally:
        _about.reset(token)


def spoken_of() -> str | None:
    """The author that this context is about."""
    return _about.get()


def lock_name(author_id: str) -> str:
    """The advisory lock that writers of an author share and a move takes alone."""
    return f"move {author_id}"


@dataclass(frozen=True)
class Home:
    """Where an author lives: the database, and the number of the move that led there (0 for none)."""

    name: str
    generation: int


class Shards:
    """The databases by name, and who lives where.

    Args:
        addresses: of every database; one is :data:`MAIN`.
        beginnings: the database in which an author began, by author; others began in :data:`MAIN`.
    """

    def __init__(self, addresses: Mapping[str, Address], beginnings: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        self._beginnings = dict(beginnings)
        self._opened: dict[str, Databases] = {}
        self._known: dict[str, tuple[float, Home]] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Every database, :data:`MAIN` first."""
        return [MAIN, *sorted(set(self._addresses) - {MAIN})]

    def databases(self, name: str) -> Databases:
        """The addresses of one database.

        Raises:
            DatabaseError: there is none of this name.
        """
        if name not in self._addresses:
            raise DatabaseError(f"there is no database {name!r}; TWIN_SHARDS and TWIN_DATABASE_URL name {self.names}")
        with self._lock:
            if name not in self._opened:
                self._opened[name] = postgres.databases(self._addresses[name])
        return self._opened[name]

    def prepare(self) -> None:
        """Create and migrate every database; see :func:`.postgres.prepare`."""
        for name in self.names:
            found = postgres.prepare(self._addresses[name])
            with self._lock:
                self._opened[name] = found

    def home(self, author_id: str, *, anew: bool = False) -> Home:
        """Where an author lives, as it was within :data:`KNOWN_SECONDS`, or is now.

        Raises:
            DatabaseError: they moved to a database that is not configured.
        """
        known = self._known.get(author_id)
        if known and not anew and time.monotonic() - known[0] < KNOWN_SECONDS:
            return known[1]
        at = time.monotonic()
        home = Home(self._beginnings.get(author_id, MAIN), 0)
        while further := self._moved(home, author_id):
            home = further
        self._known[author_id] = (at, home)
        return home

    def _moved(self, home: Home, author_id: str) -> Home | None:
        query = sa.select(residence.c.generation, residence.c.moved_to).where(residence.c.author == author_id)
        with postgres.engine(self.databases(home.name)).connect() as session:
            row = session.execute(query).first()
        return further_than(home, row)


def further_than(home: Home, row: Any) -> Home | None:
    """Where a row of ``residence`` leads on to from a home, if it does: its generation, and the database or None."""
    if row is None or row[1] is None or row[0] <= home.generation:
        return None
    return Home(row[1], row[0])


class AuthorEngine(sa.Engine):
    """An engine whose connections are of the database where an author lives.

    Args:
        open_one: makes the engine of one database.
        author: whose; by default of whom the context speaks, and :data:`MAIN` where it speaks of nobody.
        writes: whether transactions hold off a move; else they may read for a moment where the author lived before.
    """

    def __init__(
        self,
        shards: Shards,
        open_one: Callable[[Databases], sa.Engine],
        *,
        author: str | None = None,
        writes: bool = True,
    ) -> None:
        self.shards = shards
        self._open_one = open_one
        self._author = author
        self._writes = writes
        self.main = open_one(shards.databases(MAIN))
        super().__init__(self.main.pool, self.main.dialect, self.main.url)

    def connect(self) -> sa.Connection:
        """A connection to the database of the author."""
        author = self._author or _about.get()
        if author is None:
            return self.main.connect()
        home = self.shards.home(author)
        while True:
            session = self._open_one(self.shards.databases(home.name)).connect()
            further = _entered(session, author, home) if self._writes else None
            if further is None:
                if self._writes:
                    _enter_again(session, author, home)
                return session
            session.close()
            home = self.shards.home(author, anew=True)

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction in the database of the author."""
        with self.connect() as session, session.begin():
            yield session

    def here(self) -> sa.Engine:
        """The plain engine of the database where the author lives now."""
        author = self._author or _about.get()
        return self._open_one(self.shards.databases(self.shards.home(author, anew=True).name)) if author else self.main


def _entered(session: sa.Connection, author_id: str, home: Home) -> Home | None:
    """Begin a transaction that holds off a move, beneath SQLAlchemy, which then goes on with it; where the author
    moved meanwhile, to where."""
    driver: Any = session.connection.driver_connection
    try:
        driver.execute(_LOCK, (lock_name(author_id),))
        return further_than(home, driver.execute(_MOVED, (author_id,)).fetchone())
    except psycopg.Error:
        session.close()
        raise


def _enter_again(session: sa.Connection, author_id: str, home: Home) -> None:
    """Do the same for later transactions of a connection, which cannot go on elsewhere."""
    entered = [True]

    @listens_for(session, "begin")
    def _begun(begun: sa.Connection) -> None:
        if entered:
            entered.clear()
        elif further := _entered(begun, author_id, home):
            raise DatabaseError(f"{author_id} was moved to {further.name} meanwhile; begin again")


class OfAuthor(Protocol):
    """A row that has an author."""

    @property
    def author(self) -> str:
        """Whose it is."""
        ...


Found = TypeVar("Found")
Row = TypeVar("Row", bound=OfAuthor)


class Placed(Protocol):
    """A configuration that says where authors live."""

    @property
    def addresses(self) -> Mapping[str, Address]:
        """Every database by name."""
        ...

    @property
    def beginnings(self) -> Mapping[str, str]:
        """Where each author began."""
        ...


def author_engine(
    placed: Placed,
    author_id: str | None = None,
    *,
    open_one: Callable[[Databases], sa.Engine] = postgres.engine,
    writes: bool = True,
) -> sa.Engine:
    """The engine of an author, or of whomever the context speaks of; a plain one where there is one database.

    Args:
        open_one, writes: see :class:`AuthorEngine`.
    """
    if len(placed.addresses) == 1:
        return open_one(postgres.databases(placed.addresses[MAIN]))
    shards = shards_of(placed.addresses, placed.beginnings)
    return AuthorEngine(shards, open_one, author=author_id, writes=writes)


def prepare(placed: Placed) -> Databases:
    """Create and migrate every database; returns the addresses of :data:`MAIN`.

    Raises:
        DatabaseError: one cannot be reached or prepared.
    """
    if len(placed.addresses) == 1:
        return postgres.prepare(placed.addresses[MAIN])
    shards = shards_of(placed.addresses, placed.beginnings)
    shards.prepare()
    return shards.databases(MAIN)


def everywhere(placed: Placed, engine: sa.Engine) -> list[sa.Engine]:
    """A plain engine of every database, that of :data:`MAIN` first."""
    if not isinstance(engine, AuthorEngine):
        return [engine]
    shards = shards_of(placed.addresses, placed.beginnings)
    return [postgres.engine(shards.databases(name)) for name in shards.names]


def one_of_each(placed: Placed) -> list[str]:
    """A configured author of each database where any lives, to look for what is known by its id alone; none where there
    is one database."""
    if len(placed.addresses) == 1:
        return []
    shards = shards_of(placed.addresses, placed.beginnings)
    return list({shards.home(author_id).name: author_id for author_id in placed.beginnings}.values())


def of_each(placed: Placed, look: Callable[[], Found]) -> list[tuple[Found, Callable[[str], bool]]]:
    """What there is in each database where a configured author lives, and of which authors it counts there: a move may
    have left some of others. Where the context speaks of an author, or there is one database, what is in that one."""
    speakers = [] if spoken_of() else one_of_each(placed)
    if not speakers:
        return [(look(), lambda _: True)]
    shards, found = shards_of(placed.addresses, placed.beginnings), []
    for speaker in speakers:
        with about(speaker):
            name = shards.home(speaker).name
            found.append((look(), lambda author, name=name: shards.home(author).name == name))
    return found


def rows_of_each(placed: Placed, look: Callable[[], Sequence[Row]]) -> list[Row]:
    """Rows with an author from each of these databases."""
    return [row for rows, lives_there in of_each(placed, look) for row in rows if lives_there(row.author)]


def main_of(engine: sa.Engine) -> sa.Engine:
    """The engine of :data:`MAIN` behind an engine that goes where an author lives."""
    return engine.main if isinstance(engine, AuthorEngine) else engine


@functools.cache
def _shards(addresses: tuple[tuple[str, Address], ...], beginnings: tuple[tuple[str, str], ...]) -> Shards:
    return Shards(dict(addresses), dict(beginnings))


def shards_of(addresses: Mapping[str, Address], beginnings: Mapping[str, str]) -> Shards:
    """The shards of a configuration, one a process."""
    return _shards(tuple(sorted(addresses.items())), tuple(sorted(beginnings.items())))
