"""Databases for tests: made once, emptied and lent again, because making one takes most of a second."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy.engine import URL

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.postgres import Databases
from twin_resources.database.schema import metadata

_SCHEMA = """
SELECT md5(string_agg(found, ';' ORDER BY found)) FROM (
    SELECT relname || relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT polname || polrelid::regclass::text FROM pg_policy
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS parts (found)"""
_HAS_VERSION = "SELECT to_regclass('public.alembic_version')::text"
_VERSION = "SELECT string_agg(version_num, ',') FROM alembic_version"
_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"


def migrations() -> Config:
    """Alembic's configuration for our migrations."""
    config = Config()
    config.set_main_option("script_location", str(postgres.MIGRATIONS))
    return config


def at_revision(settings: Settings, revision: str) -> sa.Engine:
    """The database of ``settings`` as the migrations up to ``revision`` leave it."""
    found = postgres.databases(settings.postgres)
    config = migrations()
    config.attributes["url"] = found.engine_url
    command.upgrade(config, revision)
    return sa.create_engine(found.engine_url)


@dataclass
class Lending:
    """The databases of one test server.

    Attributes:
        server: address of the server; the database in it does not matter.
        migrated: name of a database with the newest schema, to copy.
    """

    server: URL
    migrated: str
    _free: list[URL] = field(default_factory=list)
    _numbers: Callable[[], int] = field(default_factory=lambda: itertools.count().__next__)
    _schema: tuple[str | None, ...] | None = None

    def make(self, *, blank: bool = False) -> URL:
        """A database that nobody had before; ``blank`` is one without the schema."""
        url = self.server.set(database=f"t{self._numbers()}")
        with _connected(self.server.set(database="postgres")) as session:
            names = sql.Identifier(url.database or ""), sql.Identifier("template1" if blank else self.migrated)
            session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return url

    def lend(self) -> URL:
        """A database with the newest schema and nothing in it."""
        return self._free.pop() if self._free else self.make()

    def take_back(self, url: URL) -> None:
        """Empty a database for the next test. One that is still in use, has another schema now, or has records of
        Dagster or MLflow beside it, is not lent again but dropped."""
        if self._emptied(url):
            self._free.append(url)
        else:
            self.drop(url)

    def drop(self, url: URL) -> None:
        """Give back the memory of a database and of those beside it; what is still in use stays."""
        found = Databases(url)
        with _connected(self.server.set(database="postgres")) as session:
            for each in (found.twin, found.dagster, found.mlflow):
                with contextlib.suppress(psycopg.errors.ObjectInUse):
                    session.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(each.database or "")))

    def _emptied(self, url: URL) -> bool:
        found = Databases(url)
        with contextlib.suppress(psycopg.OperationalError):
            for beside in (found.dagster, found.mlflow):
                with _connected(beside) as session:
                    if _value(session, _OTHERS) or _value(session, _TABLES):
                        return False
        with _connected(url) as session:
            if _value(session, _OTHERS) or self._state(session) != self._unchanged():
                return False
            filled = [name for name in metadata.tables if _value(session, _any(name))]
            if filled:
                tables = sql.SQL(", ").join(map(sql.Identifier, filled))
                session.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(tables))
        return True

    def _unchanged(self) -> tuple[str | None, ...]:
        if self._schema is None:
            with _connected(self.server.set(database=self.migrated)) as session:
                self._schema = self._state(session)
        return self._schema

    def _state(self, session: psycopg.Connection) -> tuple[str | None, ...]:
        """The schema, and what migrations take it for."""
        schema = _value(session, _SCHEMA)
        return (schema, _value(session, _VERSION) if _value(session, _HAS_VERSION) else None)


def _any(table: str) -> sql.Composed:
    return sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(table))


def _connected(url: URL) -> psycopg.Connection:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def _value(session: psycopg.Connection, query: str | sql.Composed) -> str | None:
    row = session.execute(query).fetchone()
    return row[0] if row else None
