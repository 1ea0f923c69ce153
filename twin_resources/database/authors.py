"""Whose rows a session sees: row-level security in Postgres, set for each transaction.

Policies compare the column ``author`` with the setting ``app.authors``: names separated by commas, ``*`` for all.
Unset means all, so jobs and commands need not know of it. Sessions of :func:`.engines.scoped_engine` see nobody's rows
unless :func:`allow` says otherwise in the same context; a query that forgets its WHERE finds no row of another author.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from contextvars import ContextVar

import psycopg
from psycopg import sql

ROLE = "twin_api"
"""Superusers pass every policy, so where we connect as one, as in the embedded server, sessions take this role."""

NOBODY = "-"
_EVERYBODY = "*"
_SECRET_TABLES = ("api_key", "alembic_version")

_allowed: ContextVar[str] = ContextVar("allowed_authors", default=NOBODY)


@contextlib.contextmanager
def allow(authors: Collection[str] | None) -> Iterator[None]:
    """Let sessions of this context, and threads that copy it, see the rows of these authors; None for all."""
    token = _allowed.set(_EVERYBODY if authors is None else ",".join(authors) or NOBODY)
    try:
        yield
    finally:
        _allowed.reset(token)


def is_allowed(author_id: str) -> bool:
    """Whether this context may see the rows of an author."""
    allowed = _allowed.get()
    return allowed == _EVERYBODY or author_id in allowed.split(",")


def allowed() -> str:
    """What this context may see, as policies compare it."""
    return _allowed.get()


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
