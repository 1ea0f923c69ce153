"""Locks over all processes and machines that share a database; each ends with the process that holds it.

A lock is a Postgres advisory lock of a session of its own. ``kill -9`` closes the session and so frees the lock, and
the server asks after ten silent seconds whether a machine that lost its power is still there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from twin_resources.database.engines import sessions_of

log = logging.getLogger(__name__)

_KEY = "hashtextextended(:name, 0)"
# How pg_locks shows a lock on a 64-bit key: its two halves, as unsigned numbers.
_SHOWN = f"""
    SELECT activity.application_name, activity.state_change
    FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
    WHERE pg_locks.locktype = 'advisory' AND pg_locks.granted AND pg_locks.objsubid = 1
      AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND pg_locks.classid::bigint = (({_KEY} >> 32) & 4294967295)
      AND pg_locks.objid::bigint = ({_KEY} & 4294967295)
    ORDER BY activity.state_change LIMIT 1
"""
_KEEPALIVE = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
_POLL_SECONDS = 1.0
_SAID_AGAIN_SECONDS = 60.0
_LONGEST_NAME = 63


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, and since when."""

    who: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.who} since {self.since:%Y-%m-%d %H:%M:%S} UTC"


class Locks:
    """The locks of one database."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = sessions_of(engine)

    def holder(self, name: str) -> Holder | None:
        """Who holds a lock now; None where it is free."""
        with self.engine.connect() as session:
            session.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))
            row = session.execute(sa.text(_SHOWN), {"name": name}).first()
        return Holder(row.application_name, row.state_change) if row else None

    @contextlib.contextmanager
    def hold(self, names: Sequence[str], what: str, waits: Callable[[str], None]) -> Iterator[str]:
        """Hold the first of these locks that is free, until the end of the block; yields its name.

        Args:
            names: one lock, or several where any of them will do.
            what: what this process does with it, for whoever waits behind it.
            waits: told who holds the lock and since when, at once and then every minute.
        """
        with _session(self.engine, what) as session:
            said = 0.0
            while (name := _first_free(session, names)) is None:
                if time.monotonic() - said > _SAID_AGAIN_SECONDS or not said:
                    said = time.monotonic()
                    holder = self.holder(names[0])
                    waits(f"waiting for {names[0]}: held by {holder or 'somebody who just ended'}")
                time.sleep(_POLL_SECONDS)
            try:
                yield name
            finally:
                with contextlib.suppress(SQLAlchemyError):
                    session.execute(sa.text(f"SELECT pg_advisory_unlock({_KEY})"), {"name": name})


def _first_free(session: sa.Connection, names: Sequence[str]) -> str | None:
    for name in names:
        if session.scalar(sa.text(f"SELECT pg_try_advisory_lock({_KEY})"), {"name": name}):
            return name
    return None


@contextlib.contextmanager
def _session(engine: sa.Engine, what: str) -> Iterator[sa.Connection]:
    """A connection that says in ``pg_stat_activity`` what it is for, and is closed rather than reused."""
    shown = f"{what} (process {os.getpid()} on {socket.gethostname()[:20]})"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        try:
            session.execute(sa.text("SELECT set_config('application_name', :shown, false)"), {"shown": _cut(shown)})
            session.execute(sa.text(_KEEPALIVE))
            yield session
        finally:
            session.invalidate()


def _cut(text: str) -> str:
    return text.encode()[:_LONGEST_NAME].decode(errors="ignore")


class Presence:
    """A lock that a thread holds for as long as this process lives, and takes again when the database was restarted.

    It is shared, so a process may announce the same name twice.
    """

    def __init__(self, engine: sa.Engine, name: str, what: str) -> None:
        self.engine = sessions_of(engine)
        self.name = name
        self.what = what
        self._ended = threading.Event()
        self._taken = threading.Event()
        self._thread = threading.Thread(target=self._hold, daemon=True, name=f"presence {name}")

    def start(self, seconds: float = 5.0) -> None:
        """Announce the name; returns when it is announced, or after this long without a database."""
        self._thread.start()
        self._taken.wait(seconds)

    def stop(self) -> None:
        """Take the announcement back."""
        self._ended.set()
        self._thread.join(timeout=5)

    def _hold(self) -> None:
        while not self._ended.is_set():
            try:
                with _session(self.engine, self.what) as session:
                    session.execute(sa.text(f"SELECT pg_advisory_lock_shared({_KEY})"), {"name": self.name})
                    self._taken.set()
                    while not self._ended.wait(3):
                        session.execute(sa.text("SELECT 1"))
            except SQLAlchemyError as error:
                log.warning("the database is away, %s is announced again when it is back: %s", self.name, error)
                self._ended.wait(2)
