"""Reading from a streaming replica while it is there and not too far behind, else from the primary.

How far a replica is behind is measured by positions in the write-ahead log and by one clock, ours. The primary says
each second how far it has written; a replica that has not replayed what was there ``limit`` seconds ago is not read.
So a replica that lost its primary and thinks itself up to date is found out, too, and so is one that was promoted.
Samples are a fifth of the limit old at most, and count for three fifths: nobody reads what is gone for twice the limit.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

log = logging.getLogger(__name__)

Server = Literal["replica", "primary"]

_POLL_SECONDS = 1.0
_WRITTEN = (
    "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint, system_identifier FROM pg_control_system()"
)
_REPLAYED = """
    SELECT pg_is_in_recovery(), pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint, system_identifier
    FROM pg_control_system()
"""
_from_primary: ContextVar[bool] = ContextVar("read_from_primary", default=False)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Reads(Protocol):
    """Whoever reads from an engine."""

    engine: sa.Engine


class Replica:
    """Whether a replica may be read now.

    Args:
        primary, replica: engines to ask, not those that readers wait for.
        limit: seconds that it may be behind.
    """

    def __init__(self, primary: sa.Engine, replica: sa.Engine, limit: float) -> None:
        self._primary = primary
        self._replica = replica
        self._limit = limit
        self._poll = min(_POLL_SECONDS, limit / 5)
        self._checked = time.monotonic()
        self.problem: str | None = "it was not asked yet"
        """Why it is not read; None while it is."""
        self._written: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="replica")

    def watch(self) -> None:
        """Check now, and then each second until :meth:`stop`."""
        self.check()
        self._thread.start()

    def stop(self) -> None:
        """Check no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _watch(self) -> None:
        while not self._stopped.wait(self._poll):
            self.check()

    def readable(self) -> bool:
        """Whether the last check is not long ago and found it well."""
        return self.problem is None and time.monotonic() - self._checked <= 3 * self._poll

    def check(self) -> None:
        """Ask both how far they are."""
        now = time.monotonic()
        with self._lock:
            problem = self._found(now)
            self._checked = now
        self._say(problem)

    def failed(self, error: BaseException) -> None:
        """Not read it until the next check finds it well."""
        self._say(f"it cannot be reached: {_first_line(error)}")

    def _say(self, problem: str | None) -> None:
        if (problem is None) != (self.problem is None):
            if problem:
                log.warning("the replica is not read, searches are read from the primary: %s", problem)
            else:
                log.info("the replica is read")
        self.problem = problem

    def _found(self, now: float) -> str | None:
        try:
            written, primary_cluster = _ask(self._primary, _WRITTEN)
        except SQLAlchemyError as error:
            return f"how far the primary has written could not be asked: {_first_line(error)}"
        self._written.append((now, written))
        try:
            follows, replayed, cluster = _ask(self._replica, _REPLAYED)
        except SQLAlchemyError as error:
            return f"it cannot be reached: {_first_line(error)}"
        if cluster != primary_cluster:
            return "it is a server of its own; TWIN_REPLICA_URL has to name a streaming replica of the database"
        if not follows:
            return "it follows no primary any more; TWIN_REPLICA_URL has to name a streaming replica of the database"
        return self._behind(now, replayed)

    def _behind(self, now: float, replayed: int) -> str | None:
        oldest = now - self._limit - 2 * self._poll
        while len(self._written) > 1 and (self._written[1][0] <= now - self._limit or self._written[0][0] < oldest):
            self._written.popleft()
        at, wanted = self._written[0]
        if replayed >= wanted:
            return None
        return f"it has not what was written {now - at:.0f} s ago; {self._limit:g} s are allowed"


class ReplicaEngine(sa.Engine):
    """An engine to read with: connections are of the replica where that may be read, else of the primary.

    Args:
        state: whether it may.
        count: is told which server each connection is of.
    """

    def __init__(
        self,
        primary: sa.Engine,
        replica: sa.Engine,
        state: Replica,
        count: Callable[[Server], None] = lambda _: None,
    ) -> None:
        super().__init__(primary.pool, primary.dialect, primary.url)
        self.primary = primary
        self.replica = replica
        self.state = state
        self._count = count

    def connect(self) -> sa.Connection:
        """A connection to whichever may be read."""
        if self.state.readable() and not _from_primary.get():
            try:
                session = self.replica.connect()
                self._count("replica")
                return session
            except (OperationalError, InterfaceError, DisconnectionError, PoolTimeout) as error:
                self.state.failed(error)
        self._count("primary")
        return self.primary.connect()

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction on whichever may be read."""
        with self.connect() as session, session.begin():
            yield session


def read_again(
    method: Callable[Concatenate[Any, _Arguments], _Result],
) -> Callable[Concatenate[Any, _Arguments], _Result]:
    """A method that only reads from ``self.engine``: where a replica is lost in the middle, or cancels a query that
    holds up what it replays, it begins again with the primary."""

    @functools.wraps(method)
    def begun(self: Reads, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return method(self, *args, **kwargs)
        except DBAPIError as error:
            state = replica_of(self.engine)
            if state is None or _from_primary.get() or not _of_replica(error):
                raise
            if not _in_the_way(error):
                state.failed(error)
        token = _from_primary.set(True)
        try:
            return method(self, *args, **kwargs)
        finally:
            _from_primary.reset(token)

    return begun


def replica_of(engine: sa.Engine) -> Replica | None:
    """The replica that an engine reads from, also where it goes to the database of an author."""
    found = getattr(engine, "main", engine)
    return found.state if isinstance(found, ReplicaEngine) else None


def _of_replica(error: DBAPIError) -> bool:
    """Whether an error says nothing of the query: the connection is gone, or replaying needed what it read."""
    return error.connection_invalidated or _in_the_way(error)


def _in_the_way(error: DBAPIError) -> bool:
    """Whether a query was cancelled, or an idle transaction ended, because replaying needed what it read."""
    return isinstance(error.orig, psycopg.errors.SerializationFailure)


def caught_up(primary: sa.Engine, replica: sa.Engine, seconds: float) -> bool:
    """Wait until a replica has all that is written now; False where it has not within this long."""
    end = time.monotonic() + seconds
    written, _ = _ask(primary, _WRITTEN)
    while True:
        with contextlib.suppress(SQLAlchemyError):
            if (_ask(replica, _REPLAYED)[1] or 0) >= written:
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.1)


def _ask(engine: sa.Engine, query: str) -> Any:
    with engine.connect() as session:
        return session.execute(sa.text(query)).one()


def _first_line(error: BaseException) -> str:
    told = str(getattr(error, "orig", None) or error).strip()
    return told.splitlines()[0] if told else type(error).__name__
