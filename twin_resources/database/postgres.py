"""One Postgres server, three databases: ours, Dagster's and MLflow's.

Without ``TWIN_DATABASE_URL`` an embedded server (PostgreSQL 18 with pgvector) is started under ``TWIN_HOME`` and
reached through a Unix socket, so it needs no port. It outlives the process that started it, and ends by itself when
nobody uses it any more, or with :func:`stop`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa
from pgvector.psycopg import register_vector
from psycopg import sql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from twin_resources.database import authors, embedded, engines
from twin_resources.database.embedded import DatabaseError

_LOCK = 7_331_001
"""Advisory lock held while databases are created and migrated, so that processes starting together take turns."""

_DRIVER = "postgresql+psycopg"
_GIVES_UP = {"connect_timeout": "3", "tcp_user_timeout": "5000"}
"""A replica that does not answer within seconds is not waited for."""

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Address:
    """Where the server is: at ``url``, or embedded in ``folder`` where there is none; that one ends after
    ``idle_seconds`` without a user. ``pooler`` is a PgBouncer before it, ``replica`` a server that follows it."""

    folder: Path
    url: str | None = None
    idle_seconds: float = 60.0
    pooler: str | None = None
    replica: str | None = None


@dataclass(frozen=True)
class Databases:
    """Connection URLs without a driver; :meth:`dagster` and :meth:`mlflow` name psycopg2, which both need.

    Attributes:
        twin: ours, where a connection is a session; what holds locks or listens goes there, and Postgres' own programs.
        pooler: ours through PgBouncer, where a connection may be another session after each transaction.
        replica: a copy of ours that follows it, to read from.
    """

    twin: URL
    pooler: URL | None = None
    replica: URL | None = None

    def _sibling(self, name: str) -> URL:
        ours = self.twin.database or "twin"
        return self.twin.set(database=name if ours == "twin" else f"{ours}_{name}")

    @property
    def engine_url(self) -> URL:
        """Ours, for SQLAlchemy over psycopg 3."""
        return self.twin.set(drivername=_DRIVER)

    @property
    def dagster(self) -> URL:
        """Dagster's; its Postgres storage breaks on psycopg 3 (it sends ``NOTIFY … $1``)."""
        return self._sibling("dagster").set(drivername="postgresql+psycopg2")

    @property
    def mlflow(self) -> URL:
        """MLflow's."""
        return self._sibling("mlflow").set(drivername="postgresql+psycopg2")


def databases(address: Address) -> Databases:
    """The three databases of the configured server; starts the embedded one when it is not running.

    Raises:
        DatabaseError: the URL is not a Postgres URL, or the embedded server does not start.
    """
    if address.url is None:
        twin = embedded.start(address.folder, address.idle_seconds)
    else:
        twin = _parsed("TWIN_DATABASE_URL", address.url)
    return Databases(
        twin,
        _parsed("TWIN_POOLER_URL", address.pooler) if address.pooler else None,
        _parsed("TWIN_REPLICA_URL", address.replica) if address.replica else None,
    )


def _parsed(variable: str, text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise DatabaseError(f"{variable} is not a URL; write postgresql://user:password@host:5432/twin") from None
    if not url.drivername.startswith("postgres") or not url.database:
        raise DatabaseError(f"{variable} must be postgresql://user:password@host:5432/twin with a database name")
    return url.set(drivername="postgresql")


def running(address: Address) -> bool:
    """Whether the embedded server's process lives (always true for an external database)."""
    return address.url is not None or embedded.running_pid(address.folder) is not None


def stop(address: Address) -> bool:
    """Stop the embedded server where nobody else uses it; true when it was. Leaves an external database alone."""
    return address.url is None and embedded.stop(address.folder)


def create(address: Address) -> Databases:
    """Create the three databases where they are missing, with nothing in them.

    Raises:
        DatabaseError: no connection, or no right to create a database.
    """
    found = databases(address)
    _create_missing(_maintenance(found.twin), [found.twin, found.dagster, found.mlflow])
    return found


def prepare(address: Address) -> Databases:
    """Create the three databases where they are missing and migrate ours to the newest schema. Safe to repeat.

    Raises:
        DatabaseError: no connection, no right to create a database, no pgvector, or a newer version made the schema.
    """
    found = create(address)
    try:
        with connection(found) as session:
            session.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            try:
                revision, newest = _revision(session), newest_revision()
                if revision is not None and revision > newest:
                    raise DatabaseError(
                        f"a newer version of LLM Twin wrote this database: its schema is {revision}, and this version "
                        f"knows those up to {newest}. Install that version again, or restore a backup made before it."
                    )
                if revision != newest:
                    migrate(found)
                authors.prepare_role(session)
            finally:
                session.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    except (psycopg.Error, SQLAlchemyError) as error:
        raise DatabaseError(f"the schema could not be brought up to date: {error}") from error
    return found


def _revision(session: psycopg.Connection) -> str | None:
    """The schema that a database has; None where it has none."""
    if session.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
        return None
    row = session.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def _maintenance(twin: URL) -> URL:
    """The database to create others from: the one every server has, else ours where a host offers nothing else."""
    usual = twin.set(database="postgres")
    try:
        with psycopg.connect(dsn(usual), connect_timeout=10):
            return usual
    except psycopg.OperationalError:
        return twin


def _create_missing(maintenance: URL, wanted: Iterable[URL]) -> None:
    try:
        with psycopg.connect(dsn(maintenance), autocommit=True) as session:
            session.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            for url in wanted:
                assert url.database
                found = session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (url.database,)).fetchone()
                if not found:
                    session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(url.database)))
    except psycopg.Error as error:
        shown = maintenance.render_as_string(hide_password=True)
        raise DatabaseError(f"{shown}: {error}. Check the address, and that this user may create databases.") from error


def newest_revision() -> str:
    """The schema that this version needs. Revisions are numbered, so that no process has to load Alembic to know it."""
    return max(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*.py"))


def migrate(found: Databases) -> None:
    """Bring our database to the newest schema with Alembic."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = found.engine_url
    command.upgrade(config, "head")


def dsn(url: URL) -> str:
    """A URL as psycopg and Postgres' own programs take it, password included."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextlib.contextmanager
def connection(found: Databases) -> Iterator[psycopg.Connection]:
    """A psycopg connection to ours, in autocommit, with pgvector's types registered where they exist."""
    with psycopg.connect(dsn(found.twin), autocommit=True) as session:
        with contextlib.suppress(psycopg.ProgrammingError):
            register_vector(session)
        yield session


def engine(found: Databases, *, statement_seconds: int = 0) -> sa.Engine:
    """The SQLAlchemy engine of our database, one a process and limit.

    Args:
        statement_seconds: how long a statement may take before Postgres ends it, for whoever answers readers.
    """
    return engines.engine(found.engine_url, _through(found.pooler), statement_seconds)


def scoped_engine(found: Databases) -> sa.Engine:
    """An engine of our database whose sessions see only the authors that :func:`authors.allow` lets them."""
    return engines.scoped_engine(found.engine_url, _through(found.pooler))


def replica_engine(found: Databases, *, scoped: bool, statement_seconds: int = 0) -> sa.Engine | None:
    """An engine of the replica; None where there is none. Where a pooler is configured, there may be one before it,
    too.

    Args:
        scoped: whether its sessions see only the authors that :func:`authors.allow` lets them.
    """
    if found.replica is None:
        return None
    url = found.replica.set(drivername=_DRIVER).update_query_dict(_GIVES_UP)
    pooled = url if found.pooler else None
    return engines.scoped_engine(url, pooled) if scoped else engines.engine(url, pooled, statement_seconds)


def _through(pooler: URL | None) -> URL | None:
    return pooler.set(drivername=_DRIVER) if pooler else None


def pid(address: Address) -> int | None:
    """Process number of the embedded server, if it runs."""
    return None if address.url is not None else embedded.running_pid(address.folder)


def free_disk(folder: Path) -> int:
    """Bytes free where ``folder`` is, or will be."""
    while not folder.exists():
        folder = folder.parent
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize
