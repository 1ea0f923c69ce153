"""Stops the embedded Postgres when nobody uses it any more.

``python -m twin_resources.database.keeper FOLDER SECONDS`` is started with the server.

The server detaches from everybody, so a command that started it could not end it without asking who else came. Each
process that uses it holds a shared lock on a file beside its folder, which the kernel lets go of when the process ends,
``kill -9`` included; the keeper is there as long as the server, and stops it after some seconds in which nobody held
one and no client was connected. Only the standard library is imported until then: a keeper costs about 10 MB.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

_FAST, _IMMEDIATE = signal.SIGINT, signal.SIGQUIT
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.5


def users_file(pgdata: Path) -> Path:
    """Whoever uses the server holds a shared lock on this file."""
    return pgdata.with_name(f"{pgdata.name}.users")


def keeper_file(pgdata: Path) -> Path:
    """The keeper holds an exclusive lock on this file."""
    return pgdata.with_name(f"{pgdata.name}.keeper")


def locked(file: IO[bytes], how: int) -> bool:
    """Take a lock where it is free."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def keep(pgdata: Path, idle_seconds: float) -> None:
    """Wait until nobody uses the server, then stop it. Returns at once where another keeper is there."""
    with users_file(pgdata).open("ab") as users, keeper_file(pgdata).open("ab") as ours:
        if not locked(ours, fcntl.LOCK_EX):
            return
        used = time.monotonic()
        while True:
            time.sleep(_POLL_SECONDS)
            if not locked(users, fcntl.LOCK_EX):
                used = time.monotonic()
                continue
            # Whoever comes now waits for this lock, and so starts the server anew rather than losing it.
            pid = _postmaster(pgdata)
            if pid is None:
                return
            if _clients(pid):
                used = time.monotonic()
            elif time.monotonic() - used > idle_seconds:
                _stop(pid)
                return
            fcntl.flock(users, fcntl.LOCK_UN)


def _postmaster(pgdata: Path) -> int | None:
    try:
        pid = int((pgdata / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError):
        return None
    return pid


def _clients(pid: int) -> bool:
    """Whether anybody is connected; `psql` holds no lock."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for backend in psutil.Process(pid).children():
            with contextlib.suppress(psutil.Error):
                if "[local]" in " ".join(backend.cmdline()):
                    return True
    return False


def _stop(pid: int) -> None:
    for number in (_FAST, _IMMEDIATE):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < end:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)


if __name__ == "__main__":
    with contextlib.suppress(FileNotFoundError):  # somebody removed the whole home
        keep(Path(sys.argv[1]), float(sys.argv[2]))
