"""Servers start, are watched, and nothing of them is left, however their supervisor ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from twin_assets_tests.support.processes import alive, external, free_ports, within
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.postgres import Databases
from twin_serving.processes import guard, supervisor
from twin_serving.processes.servers import ROOT, Server, list_servers
from twin_serving.processes.supervisor import Supervisor, SupervisorError

ANSWERING = (
    "import subprocess, sys, http.server as h\n"
    # A grandchild that detaches itself, as a code server or a training job may.
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[2]], start_new_session=True)\n"
    "h.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()\n"
)

pytestmark = pytest.mark.long


def answering(home: Path, name: str = "web") -> Server:
    return Server(
        name, f"{name} server", (sys.executable, "-c", ANSWERING, str(port := free_ports(1)[0]), str(home)), port
    )


def running(settings: Settings, said: list[str]) -> Supervisor:
    return Supervisor(settings, postgres.databases(settings.postgres), say=said.append)


class Typed:
    """A process as a person starts it, in its own folder and environment."""

    def __init__(self, home: Path, arguments: Sequence[str]) -> None:
        self.ports = {name: free_ports(1)[0] for name in ("TWIN_API_PORT", "TWIN_DAGSTER_PORT", "TWIN_MLFLOW_PORT")}
        outside = {key: value for key, value in os.environ.items() if not key.startswith("TWIN_")}
        self.environment = {
            **outside,
            **{name: str(port) for name, port in self.ports.items()},
            "TWIN_CONFIG": str(home / "twin.yaml"),
            "TWIN_HOME": str(home / "state"),
            "PYTHONPATH": str(ROOT),
        }
        self.log = home / "typed.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], cwd=home, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )

    def end(self) -> None:
        """What a failed test leaves."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text()

    def twin(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "twin_serving.cli", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Typed]]:
    """Starts a Python process the way a person would."""
    started: list[Typed] = []

    def make(*arguments: str) -> Typed:
        started.append(Typed(home, arguments))
        return started[-1]

    yield make
    for typed in started:
        typed.end()


SUPERVISED = """
import sys
from pathlib import Path
from twin_resources.database import postgres
from twin_resources.config.settings import load
from twin_serving.processes.servers import Server
from twin_serving.processes.supervisor import Stopped, Supervisor
settings = load()
code, port = sys.argv[1:]
web = Server("web", "web server", (sys.executable, "-c", code, port, str(settings.home)), int(port))
try:
    with Supervisor(settings, postgres.databases(settings.postgres)) as running:
        running.start([web])
        print("all up", flush=True)
        running.wait()
except Stopped:
    print("stopped")
"""


IN_FRONT = """
import sys
from twin_resources.database import postgres
from twin_resources.config.settings import load
from twin_serving.processes import supervisor
settings = load()
found = postgres.Databases(postgres.make_url("postgresql://x@127.0.0.1/twin"))
sys.exit(supervisor.run(settings, found, [sys.executable, "-c", sys.argv[1], str(settings.home)]))
"""


PATIENT = """
import sys, time
try:
    print("working", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    sys.exit(3)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_supervisor(home: Path, start: Callable[..., Typed], number: signal.Signals) -> None:
    typed = start("-c", SUPERVISED, ANSWERING, str(free_ports(1)[0]))
    assert within(30, lambda: "all up" in typed.said), typed.said
    assert len(alive(home / "state")) == 5  # guard, server, detached grandchild, Postgres, its keeper
    typed.process.send_signal(number)
    # After `kill -9` the last guard waits until the others are through, and then stops Postgres.
    assert within(guard.GRACE * 2 + 10, lambda: not alive(home / "state")), alive(home / "state")
    assert typed.process.wait(30) == (-9 if number == signal.SIGKILL else 0)
    assert not (home / "state" / "postgres" / "postmaster.pid").exists()


def test_the_api_stays_up_until_twin_stop(home: Path, start: Callable[..., Typed]) -> None:
    typed = start("-m", "twin_serving.cli", "up", "--api-only", "--engine", "none")
    assert within(120, lambda: "Ctrl-C stops everything" in typed.said), typed.said
    url = f"http://127.0.0.1:{typed.ports['TWIN_API_PORT']}"
    assert url in typed.said
    assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200

    status = json.loads(typed.twin("status", "--json").stdout)
    assert {name: server["up"] for name, server in status["servers"].items()} == {
        "api": True,
        "dagster": False,
        "mlflow": False,
    }
    doctor = json.loads(typed.twin("doctor", "--json").stdout)
    assert any("of `twin up`" in check["finding"] for check in doctor)
    second = typed.twin("up", "--api-only")
    assert second.returncode == 1
    assert f"process {typed.process.pid}); stop it with `twin stop`" in second.stderr
    assert within(30, lambda: httpx.get(f"{url}/readyz", trust_env=False).json()), "the API never said how it is"
    found = typed.twin("search", "clocks", "--mode", "lexical", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["results"] == []

    stopped = typed.twin("stop")
    assert "the servers of `twin up`" in stopped.stdout, stopped.stderr
    assert typed.process.wait(10) == 0
    assert "nothing was running" in typed.twin("stop").stdout


def test_a_port_in_use_is_named_with_its_setting_before_anything_starts(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = Settings(config=home / "twin.yaml", home=home / "state", mlflow_port=port)
        with pytest.raises(SupervisorError, match=f"port {port} of the MLflow UI.*TWIN_MLFLOW_PORT={port + 10}"):
            supervisor.check_start(settings, [list_servers(settings)["mlflow"]])
    assert not (home / "state").exists()


def test_too_little_disk_and_a_missing_package_are_said_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(config=home / "twin.yaml", home=home / "state")
    monkeypatch.setattr(supervisor, "NEEDED_DISK", 10**18)
    with pytest.raises(SupervisorError) as error:
        supervisor.check_start(settings, [Server("x", "x", ("x",), needs="no_such_package")])
    assert "no_such_package is not installed; run `make setup`" in str(error.value)
    assert "TWIN_HOME" in str(error.value)


def test_a_server_that_dies_at_once_is_shown_with_its_last_words(home: Path, server: Settings) -> None:
    dying = Server(
        "web", "web server", (sys.executable, "-c", "import sys; sys.exit('no such table')"), free_ports(1)[0]
    )
    said = pytest.raises(SupervisorError, match=r"(?s)web server ended with exit code 1.*web\.log.*\| no such table")
    with said, running(external(home, server), []) as it:
        it.start([dying])


def test_passwords_do_not_show_in_what_is_reported(home: Path) -> None:
    found = Databases(postgres.make_url("postgresql://ada:s3cret@127.0.0.1/twin"))
    it = Supervisor(Settings(config=home / "twin.yaml", home=home), found)
    (home / "web.log").write_text("could not reach postgresql://ada:s3cret@127.0.0.1/twin\n")
    assert "ada:***@127.0.0.1" in it._log_tail(home / "web.log")


def test_a_fallen_server_is_reported_and_the_api_comes_back(home: Path, server: Settings) -> None:
    said: list[str] = []
    stays = answering(home, "stays")
    returns = answering(home, "returns")
    returns = Server("returns", "returns server", returns.command, returns.port, restarts=3)
    with running(external(home, server), said) as it:
        it.start([stays, returns])
        victims = [pid for pid, line in alive(home).items() if "guard" not in line and str(returns.port) in line]
        os.kill(victims[0], signal.SIGKILL)
        within(5, lambda: it._children["returns"].process.poll() is not None)
        it.watch()
        assert any("returns server ended with signal SIGKILL" in line for line in said)
        assert any("starting the returns server again in 1 s (1 of 3)" in line for line in said)
        it.ready(["returns"])
        assert returns.answers()
        victims = [pid for pid, line in alive(home).items() if "guard" not in line and str(stays.port) in line]
        os.kill(victims[0], signal.SIGKILL)
        within(5, lambda: it._children["stays"].process.poll() is not None)
        it.watch()
        assert any("stays server stays down; the others go on" in line for line in said)
        assert returns.answers()
    assert not returns.answers()


def test_the_embedded_postgres_comes_back_and_outlives_the_server_that_missed_it(home: Path) -> None:
    settings = Settings(config=home / "twin.yaml", home=home / "state")
    said: list[str] = []
    with running(settings, said) as it:
        before = postgres.pid(settings.postgres)
        assert before
        os.kill(before, signal.SIGKILL)
        assert within(5, lambda: not postgres.running(settings.postgres))
        it.watch()
        assert postgres.pid(settings.postgres) not in (None, before)
        assert "the embedded Postgres is gone; starting it again" in said
    assert within(5, lambda: not alive(home))


def test_a_command_in_the_foreground_hands_back_its_exit_code(home: Path, server: Settings) -> None:
    settings = external(home, server)
    command = [sys.executable, "-c", "import os, sys; sys.exit(7 if os.environ['DAGSTER_HOME'] else 1)"]
    assert supervisor.run(settings, postgres.databases(settings.postgres), command) == 7
    with running(settings, []) as it:
        assert it.foreground(command) == 7


def test_ctrl_c_reaches_the_command_and_its_children(home: Path, start: Callable[..., Typed]) -> None:
    typed = start("-c", IN_FRONT, PATIENT)
    assert within(20, lambda: "working" in typed.said), typed.said
    typed.process.send_signal(signal.SIGINT)
    assert typed.process.wait(10) == 3
    assert within(5, lambda: not alive(home / "state"))
