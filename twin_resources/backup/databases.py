"""Our three databases into files and back, with Postgres' own programs, and figures to compare them by."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from twin_resources.database import embedded
from twin_resources.database.postgres import dsn
from twin_resources.errors import TwinError

_VARIABLES = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "options": "PGOPTIONS", "host": "PGHOST"}
_ATTEMPTS = 20
_OURS = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
    "AND relname <> 'alembic_version' ORDER BY 1"
)


class BackupError(TwinError):
    """A backup could not be made, is damaged, or has no empty place to go to."""


@contextlib.contextmanager
def snapshots(urls: Mapping[str, URL]) -> Iterator[dict[str, tuple[psycopg.Connection, str]]]:
    """A session in each database that sees one moment, and the name by which a dump sees the same one.

    No author moves from one of them to another between these moments: else they are taken again.

    Raises:
        BackupError: authors move all the time.
    """
    for _ in range(_ATTEMPTS):
        with contextlib.ExitStack() as stack:
            before = _residences(urls)
            found = {name: stack.enter_context(_snapshot(url)) for name, url in urls.items()}
            if before == _residences(urls):
                yield found
                return
    raise BackupError("authors move from one database to another; back up when that is done")


@contextlib.contextmanager
def _snapshot(url: URL) -> Iterator[tuple[psycopg.Connection, str]]:
    with psycopg.connect(dsn(url)) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = session.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield session, row[0]


def _residences(urls: Mapping[str, URL]) -> list[list[Any]]:
    """Who moved where, of each database; nobody can where there is one."""
    if len(urls) == 1:
        return []
    found = []
    for url in urls.values():
        with psycopg.connect(dsn(url)) as session:
            found.append(session.execute("SELECT author, generation, moved_to FROM residence ORDER BY 1").fetchall())
    return found


def dump(url: URL, file: Path, *, seen_as: str | None = None) -> None:
    """Write a database into a file of ``pg_dump``'s own format.

    Raises:
        BackupError: it cannot be read.
    """
    options = [f"--snapshot={seen_as}"] if seen_as else []
    # Policies apply to an owner who is no superuser, too; they show all rows to whoever names no authors.
    options.append("--enable-row-security")
    _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={file}", *options)


def load(url: URL, file: Path) -> None:
    """Fill an empty database from a file of :func:`dump`.

    Raises:
        BackupError: the file cannot be read, or the database is not empty.
    """
    _run("pg_restore", url, "--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={url.database}", str(file))


def is_empty(url: URL) -> bool:
    """Whether a database has no tables."""
    with psycopg.connect(dsn(url)) as session:
        return not session.execute(_OURS).fetchall()


def figures(session: psycopg.Connection) -> dict[str, list[str]]:
    """Rows, and a hash of them that does not depend on their order, of each table."""
    found = {}
    for (table,) in session.execute(_OURS).fetchall():
        query = "SELECT count(*)::text, coalesce(sum(hashtextextended(each::text, 0)), 0)::text FROM {} AS each"
        row = session.execute(sql.SQL(query).format(sql.Identifier(table))).fetchone()
        assert row is not None
        found[table] = list(row)
    return found


def _run(program: str, url: URL, *arguments: str) -> None:
    # Names and passwords go by the environment: `ps` shows a command line to everybody.
    done = subprocess.run(
        [str(_program(program)), *arguments], env={**os.environ, **_environment(url)}, capture_output=True, text=True
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BackupError(f"{program} failed for {url.database}: {said[-1] if said else done.returncode}")


def _program(name: str) -> Path:
    packaged = embedded.programs() / name
    found = packaged if packaged.exists() else shutil.which(name)
    if not found:
        raise BackupError(f"{name} is not here; install Postgres' client programs")
    return Path(found)


def _environment(url: URL) -> Mapping[str, str]:
    parts = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    parts |= {"PGDATABASE": url.database, **{_VARIABLES[key]: url.query[key] for key in _VARIABLES if key in url.query}}
    return {name: str(value) for name, value in parts.items() if value not in (None, "")}
