"""The embedded Postgres: closed to other people, and there for as long as somebody uses it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from twin_assets_tests.support.processes import alive, within
from twin_resources.config.settings import Settings
from twin_resources.database import embedded, postgres

USING = """
import sys
from pathlib import Path
from twin_resources.database import postgres
found = postgres.databases(postgres.Address(Path(sys.argv[1]), idle_seconds=float(sys.argv[2])))
print(found.twin.render_as_string(hide_password=False), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="twin-pg-") as made:
        pgdata = Path(made) / "postgres"
        yield pgdata
        for pid in alive(pgdata):
            os.kill(pid, signal.SIGKILL)


def using(pgdata: Path, idle: float) -> subprocess.Popen[str]:
    """A process that uses the server until its input ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", USING, str(pgdata), str(idle)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("postgresql://")
    return process


def test_it_ends_with_its_last_user_however_that_ends_and_never_before(folder: Path) -> None:
    first, second = using(folder, 1), using(folder, 1)
    pid = embedded.running_pid(folder)
    first.kill()
    first.communicate()
    assert not within(4, lambda: embedded.running_pid(folder) is None), "somebody still uses it"
    second.kill()
    second.communicate()
    assert within(10, lambda: embedded.running_pid(folder) is None)
    assert within(5, lambda: not alive(folder)), "nothing is left, the keeper neither"
    assert not (folder / "postmaster.pid").exists(), "it was stopped, not killed"
    third = using(folder, 1)
    assert embedded.running_pid(folder) not in (None, pid)
    third.communicate("")
    assert within(10, lambda: not alive(folder))


def test_who_stops_it_leaves_it_to_those_who_use_it(folder: Path) -> None:
    address = postgres.Address(folder, idle_seconds=1)
    other = using(folder, 1)
    postgres.databases(address)
    assert not postgres.stop(address)
    assert embedded.running_pid(folder) is not None
    other.communicate("")
    assert postgres.stop(address) or within(10, lambda: embedded.running_pid(folder) is None)
    assert embedded.running_pid(folder) is None
    assert not postgres.stop(address)


def test_a_client_that_only_connects_is_a_user_too(folder: Path) -> None:
    started = using(folder, 1)
    url = f"postgresql://postgres@/postgres?host={folder}"
    with psycopg.connect(url):
        started.communicate("")
        assert not within(4, lambda: embedded.running_pid(folder) is None)
    assert within(10, lambda: embedded.running_pid(folder) is None)


def test_the_next_user_replaces_a_killed_keeper(folder: Path) -> None:
    gone = using(folder, 1)
    gone.kill()
    gone.communicate()
    for pid, line in alive(folder).items():
        if "database.keeper" in line:
            os.kill(pid, signal.SIGKILL)
    assert not within(4, lambda: embedded.running_pid(folder) is None)
    using(folder, 1).communicate("")
    assert within(10, lambda: not alive(folder))


def test_a_long_path_opens_the_socket_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="twin-long-") as made:
        home = Path(made) / ("a long name " * 9) / ("and more " * 9)
        home.mkdir(parents=True)
        settings = Settings(home=home)
        try:
            found = postgres.databases(settings.postgres)
            with psycopg.connect(str(found.twin.set(database="postgres").render_as_string(hide_password=False))):
                pass
            link = Path(str(found.twin.query["host"]))
            private, data = link.parent.lstat(), link.stat()
            assert private.st_uid == os.geteuid()
            assert stat.S_IMODE(private.st_mode) == 0o700
            assert stat.S_IMODE(data.st_mode) == 0o700
            pid = postgres.pid(settings.postgres)
            assert pid
            sockets = [each.laddr for each in psutil.Process(pid).net_connections("unix") if each.laddr]
            assert sockets == ["./.s.PGSQL.5432"], "in the data folder, by a relative name"
            warned: list[object] = []
            monkeypatch.setattr(sys, "unraisablehook", warned.append)
            embedded._keepers.clear()
            assert warned == [], "its keeper outlives who started it, and nobody is warned of that"
        finally:
            postgres.stop(settings.postgres)


def test_a_private_folder_that_is_not_private_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"twin-{os.geteuid()}").mkdir(mode=0o755)
    with pytest.raises(embedded.DatabaseError, match=r"open to others.*TWIN_HOME"):
        embedded._reachable(Path("/" + "x" * 200))


def test_a_server_that_was_just_killed_and_is_still_seen_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "PG_VERSION").write_text("18")
    address = str(tmp_path / ".s.PGSQL.5432")
    with socket.socket(socket.AF_UNIX) as killed, socket.socket(socket.AF_UNIX) as started:
        killed.bind(address)
        killed.close()
        asked: list[Path] = []

        def server(folder: Path) -> None:
            asked.append(folder)
            if len(asked) > 1:
                Path(address).unlink()
                started.bind(address)
                started.listen()

        monkeypatch.setattr(embedded, "server", server)
        monkeypatch.setattr(embedded, "_have_keeper", lambda *_: None)
        monkeypatch.setattr("time.sleep", lambda _: None)
        try:
            embedded.start(tmp_path, 60)
        finally:
            embedded.let_go(tmp_path)
        assert asked == [tmp_path] * 2
