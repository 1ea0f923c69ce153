"""Whose rows a session sees: row-level security in Postgres, set for each transaction.

Policies compare the column ``author`` with the setting ``app.authors``: names separated by commas, ``*`` for all.
Unset means all, so jobs and commands need not know of it. Sessions of :func:`scoped_engine` see nobody's rows unless
:func:`allow` says otherwise in the same context; a query that forgets its WHERE finds no row of another author.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.event import listens_for
from sqlalchemy.exc import DisconnectionError

ROLE = "twin_api"
"""Superusers pass every policy, so where we connect as one, as in the embedded server, sessions take this role."""

_NOBODY = "-"
_EVERYBODY = "*"
_FIRST = "first transaction since checkout"
_SECRET_TABLES = ("api_key", "alembic_version")

_allowed: ContextVar[str] = ContextVar("allowed_authors", default=_NOBODY)


@contextlib.contextmanager
def allow(authors: Collection[str] | None) -> Iterator[None]:
    """Let sessions of this context, and threads that copy it, see the rows of these authors; None for all."""
    token = _allowed.set(_EVERYBODY if authors is None else ",".join(authors) or _NOBODY)
    try:
        yield
    finally:
        _allowed.reset(token)


def is_allowed(author_id: str) -> bool:
    """Whether this context may see the rows of an author."""
    allowed = _allowed.get()
    return allowed == _EVERYBODY or author_id in allowed.split(",")


def scoped_engine(url: str) -> sa.Engine:
    """An engine of its own, one a process, whose transactions see only what :func:`allow` lets them."""
    return _scoped_engine(url)


@functools.cache
def _scoped_engine(url: str) -> sa.Engine:
    from pgvector.psycopg import register_vector

    engine = sa.create_engine(url, pool_use_lifo=True, pool_size=8, max_overflow=16)

    @listens_for(engine, "connect")
    def _connected(session: psycopg.Connection, _record: Any) -> None:
        register_vector(session)
        if bypasses_policies(session):
            session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ROLE)))
        session.execute("SELECT set_config('app.authors', %s, false)", (_NOBODY,))
        session.commit()

    @listens_for(engine, "checkout")
    def _checked_out(session: psycopg.Connection, record: Any, _proxy: Any) -> None:
        # Opens the first transaction, and is the ping that the pool would send otherwise: it costs no round trip more.
        try:
            _let_see(session)
        except psycopg.OperationalError as error:
            raise DisconnectionError from error
        record.info[_FIRST] = True

    @listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        # Not through `connection`, which would begin again.
        if not connection.connection.info.pop(_FIRST, False):
            driver: Any = connection.connection.driver_connection
            _let_see(driver)

    return engine


def _let_see(session: psycopg.Connection) -> None:
    """Set what the open transaction may see; the setting ends with it."""
    session.execute("SELECT set_config('app.authors', %s, true)", (_allowed.get(),))


def bypasses_policies(session: psycopg.Connection) -> bool:
    """Whether Postgres asks the user of this session for no policy at all."""
    query = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user"
    row = session.execute(query).fetchone()
    return bool(row and row[0])


def prepare_role(session: psycopg.Connection) -> None:
    """Make :data:`ROLE` where sessions need it, and let it read and write every table but those of keys."""
    if not bypasses_policies(session):
        return
    role = sql.Identifier(ROLE)
    with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        if not session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone():
            session.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOSUPERUSER NOBYPASSRLS").format(role))
    missing = session.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT has_table_privilege(%s, oid, 'DELETE') AND relname <> ALL (%s)",
        (ROLE, list(_SECRET_TABLES)),
    ).fetchall()
    for (name,) in missing:
        grant = sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}")
        session.execute(grant.format(sql.Identifier("public", name), role))
    if missing:
        session.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
        session.execute(sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(role))
        session.execute(
            sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(sql.Identifier(session.info.dbname), role)
        )
