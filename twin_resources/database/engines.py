"""SQLAlchemy engines of a Postgres that is reached directly or through PgBouncer, one a process and purpose.

PgBouncer in transaction mode gives each transaction whichever session is free. So engines that go through it prepare
no statements, and what they set ends with the transaction; whoever needs a session that stays, as a lock does, asks
:func:`sessions_of`.
"""

from __future__ import annotations

import functools
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import URL
from sqlalchemy.event import listens_for
from sqlalchemy.exc import DisconnectionError

from twin_resources.database.authors import NOBODY, ROLE, allowed, bypasses_policies

_FIRST = "first transaction since checkout"
_ROLE_TAKEN = "takes the role"
_direct: dict[sa.Engine, sa.Engine] = {}
"""For each engine behind a pooler the one whose connections are sessions."""


def engine(direct: URL, pooler: URL | None, statement_seconds: int) -> sa.Engine:
    """An engine that sees every author; ``statement_seconds`` ends statements that take longer, 0 none."""
    return _engine(_text(direct), _text(pooler) if pooler else None, statement_seconds)


def scoped_engine(direct: URL, pooler: URL | None) -> sa.Engine:
    """An engine whose transactions see only what :func:`.authors.allow` lets them."""
    return _scoped_engine(_text(direct), _text(pooler) if pooler else None)


def sessions_of(engine: sa.Engine) -> sa.Engine:
    """An engine of the same database whose connections are sessions of their own; it sees every author. Where authors
    live in several, it is that of the main one."""
    plain = getattr(engine, "main", engine)
    return _direct.get(plain, plain)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@functools.cache
def _engine(direct: str, pooler: str | None, statement_seconds: int) -> sa.Engine:
    limit = str(statement_seconds * 1000)
    # 0 is no limit, whatever the role's own setting: migrations and index builds take what they take.
    connecting: dict[str, Any] = {"options": f"-c statement_timeout={limit}"}
    if pooler:
        connecting = {"prepare_threshold": None}
    made = sa.create_engine(
        pooler or direct, pool_pre_ping=True, pool_use_lifo=True, pool_size=8, max_overflow=16, connect_args=connecting
    )

    @listens_for(made, "connect")
    def _register(session: Any, _record: Any) -> None:
        _know_vectors(session)

    if pooler:
        _direct[made] = _engine(direct, None, statement_seconds)

        @listens_for(made, "begin")
        def _begun(connection: sa.Connection) -> None:
            driver: Any = connection.connection.driver_connection
            if not driver.autocommit:
                driver.execute("SELECT set_config('statement_timeout', %s, true)", (limit,))

    return made


@functools.cache
def _scoped_engine(direct: str, pooler: str | None) -> sa.Engine:
    connecting: dict[str, Any] = {"prepare_threshold": None} if pooler else {}
    made = sa.create_engine(pooler or direct, pool_use_lifo=True, pool_size=8, max_overflow=16, connect_args=connecting)
    let_see = _let_see_pooled if pooler else _let_see

    @listens_for(made, "connect")
    def _connected(session: psycopg.Connection, record: Any) -> None:
        _know_vectors(session)
        record.info[_ROLE_TAKEN] = bypasses_policies(session)
        if not pooler:
            if record.info[_ROLE_TAKEN]:
                session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ROLE)))
            session.execute("SELECT set_config('app.authors', %s, false)", (NOBODY,))
        session.commit()

    @listens_for(made, "checkout")
    def _checked_out(session: psycopg.Connection, record: Any, _proxy: Any) -> None:
        # Opens the first transaction, and is the ping that the pool would send otherwise: it costs no round trip more.
        try:
            let_see(session, takes_role=record.info[_ROLE_TAKEN])
        except psycopg.OperationalError as error:
            raise DisconnectionError from error
        record.info[_FIRST] = True

    @listens_for(made, "begin")
    def _begun(connection: sa.Connection) -> None:
        # Not through `connection`, which would begin again.
        if not connection.connection.info.pop(_FIRST, False):
            driver: Any = connection.connection.driver_connection
            let_see(driver, takes_role=connection.connection.info[_ROLE_TAKEN])

    if pooler:
        _direct[made] = _engine(direct, None, 0)
    return made


def _know_vectors(session: psycopg.Connection) -> None:
    from pgvector.psycopg import register_vector

    register_vector(session)


def _let_see(session: psycopg.Connection, *, takes_role: bool) -> None:
    """Set what the open transaction may see; the setting ends with it. The session has its role from the start."""
    del takes_role
    session.execute("SELECT set_config('app.authors', %s, true)", (allowed(),))


def _let_see_pooled(session: psycopg.Connection, *, takes_role: bool) -> None:
    """As :func:`_let_see`, with the role: the session behind may be another one each time."""
    role = "set_config('role', %(role)s, true), " if takes_role else ""
    session.execute(f"SELECT {role}set_config('app.authors', %(authors)s, true)", {"role": ROLE, "authors": allowed()})
