"""Starts the servers, watches them, and leaves nothing behind.

Each server runs under a :mod:`twin_serving.processes.guard`, in a session of its own, with its output in
``.twin/logs/<name>.log``. A guard ends its server when the supervisor is gone, however it went.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.postgres import Databases
from twin_resources.errors import TwinError
from twin_serving.processes import guard
from twin_serving.processes.dagster_state import orchestration
from twin_serving.processes.servers import RESTARTS, ROOT, Server, environment, port_in_use

NEEDED_DISK = 2 * 1024**3
_STABLE_SECONDS = 600.0
_KEPT_LOG = 10 * 1024**2


class SupervisorError(TwinError):
    """The servers cannot start or did not stay up; the message says why and what to do."""


class Stopped(BaseException):
    """Somebody asked the supervisor to stop; not an error."""


def check_start(settings: Settings, wanted: Sequence[Server]) -> None:
    """Find what would stop the servers from starting, before anything starts.

    Raises:
        SupervisorError: a running ``twin up``, a port in use, too little disk, or a missing package.
    """
    problems: list[str] = []
    if pid := running_pid(settings):
        raise SupervisorError(f"`twin up` already runs for {settings.home} (process {pid}); stop it with `twin stop`")
    for server in wanted:
        if server.needs and importlib.util.find_spec(server.needs) is None:
            problems.append(f"the package {server.needs} is not installed; run `make setup`")
        if server.port and port_in_use(server.host, server.port):
            problems.append(
                f"port {server.port} of the {server.title} is in use by another program; "
                f"end that, or choose another port, e.g. {server.setting}={server.port + 10}"
            )
    free = postgres.free_disk(settings.home)
    if free < NEEDED_DISK:
        problems.append(
            f"only {free / 1024**3:.1f} GB are free at {settings.home}, and 2 GB are needed; "
            "make room, or put the state elsewhere with TWIN_HOME"
        )
    if problems:
        raise SupervisorError("\n".join(problems))


def _pid_file(settings: Settings) -> Path:
    return settings.home / "up.pid"


def running_pid(settings: Settings) -> int | None:
    """Process number of the supervisor that holds this home, if one lives."""
    try:
        recorded = json.loads(_pid_file(settings).read_text())
        process = psutil.Process(recorded["pid"])
        if abs(process.create_time() - recorded["started"]) < 2 and process.status() != psutil.STATUS_ZOMBIE:
            return process.pid
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        pass
    return None


def daemon_possible(settings: Settings) -> bool:
    """Whether a Dagster daemon may be alive: ours with ``twin up``, or anybody's on an external database."""
    return settings.database_url is not None or running_pid(settings) is not None


def stop(settings: Settings) -> list[str]:
    """End what a forgotten ``twin up`` left: its processes, then the embedded Postgres. Returns what was stopped.

    Raises:
        SupervisorError: the supervisor did not end.
    """
    done: list[str] = []
    pid = running_pid(settings)
    if pid and pid != os.getpid():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + guard.GRACE * 2 + 10
        while running_pid(settings) == pid:
            if time.monotonic() > end:
                raise SupervisorError(f"process {pid} does not end; `kill -9 {pid}` ends it and its servers")
            time.sleep(0.1)
        done.append(f"the servers of `twin up` (process {pid})")
    if postgres.stop(settings.postgres):
        done.append("the embedded Postgres")
    _pid_file(settings).unlink(missing_ok=True)
    return done


@dataclass
class _Child:
    server: Server
    process: subprocess.Popen
    started: float
    log: Path
    restarts: int = 0
    up: bool = False


class Supervisor:
    """Holds the servers of one home. Use it as a context: leaving it stops everything, the embedded Postgres last."""

    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        *,
        say: Callable[[str], None] = print,
        without: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.databases = databases
        self.say = say
        self.environment = environment(settings, databases)
        for name in without:
            self.environment.pop(name, None)
        self.logs = settings.home / "logs"
        self._children: dict[str, _Child] = {}
        self._at_end: subprocess.Popen | None = None
        self._handlers: dict[int, object] = {}
        self._stopping = False

    def __enter__(self) -> Supervisor:
        self.logs.mkdir(parents=True, exist_ok=True)
        recorded = {"pid": os.getpid(), "started": psutil.Process().create_time()}
        _pid_file(self.settings).write_text(json.dumps(recorded))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started with nohup
            self._handlers[number] = signal.signal(number, self._asked_to_stop)
        if self.settings.database_url is None:
            command = [sys.executable, "-m", "twin_serving.cli", "release-database"]
            self._at_end = self._guarded(command, self.environment, None, ["--at-end"])
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = True
            raise Stopped

    def start(self, wanted: Sequence[Server]) -> None:
        """Start servers side by side and wait until each answers; see :meth:`ready`."""
        self.launch(wanted)
        self.ready([server.name for server in wanted])

    def launch(self, wanted: Sequence[Server]) -> None:
        """Start servers side by side without waiting; :meth:`watch` says when one answers."""
        for server in wanted:
            self._launch(server)

    def ready(self, names: Sequence[str]) -> None:
        """Wait until these servers answer.

        Raises:
            SupervisorError: one ended or did not answer in time; names its log and shows its end.
        """
        begun = time.monotonic()
        while waiting := [child for child in map(self._children.get, names) if child and not child.up]:
            for child in waiting:
                if child.process.poll() is not None:
                    raise SupervisorError(self._how_it_ended(child))
                self._announce(child)
                if time.monotonic() - begun > child.server.start_seconds and not child.up:
                    raise SupervisorError(
                        f"the {child.server.title} did not answer within {child.server.start_seconds:.0f} s.\n"
                        f"{self._log_tail(child.log)}"
                    )
            time.sleep(0.2)

    def _announce(self, child: _Child) -> None:
        """Say once that a server answers."""
        if self._answers(child):
            child.up = True
            took = time.monotonic() - child.started
            self.say(f"{child.server.title}: {child.server.url or 'running'} ({took:.0f} s)")

    def _answers(self, child: _Child) -> bool:
        if child.server.port is not None:
            return child.server.answers()
        beat = orchestration(self.databases, 0).heartbeat_at
        began = time.time() - (time.monotonic() - child.started)
        return beat is not None and beat.timestamp() > began

    def foreground(self, command: Sequence[str]) -> int:
        """Run a command with our terminal while watching the servers; returns its exit code."""
        process = self._guarded(command, self.environment, None)
        try:
            while process.poll() is None:
                self.watch()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.5)
        finally:
            # INT, not TERM: Dagster then notes the run as cancelled; after TERM it would look as if it still ran.
            _end([process], signal.SIGINT)
        return process.returncode

    def watch(self) -> None:
        """Look at every server once: say which one answers now, and which one died and why; start again what died, a
        server up to three times, and the embedded Postgres always."""
        self._keep_database()
        for child in list(self._children.values()):
            if child.process.poll() is None:
                if not child.up:
                    self._announce(child)
                continue
            self.say(self._how_it_ended(child))
            lived = time.monotonic() - child.started
            tries = 0 if lived > _STABLE_SECONDS else child.restarts
            _end([self._children.pop(child.server.name).process])
            if tries < child.server.restarts:
                pause = 4**tries
                self.say(f"starting the {child.server.title} again in {pause} s ({tries + 1} of {RESTARTS})")
                time.sleep(pause)
                self._launch(child.server, tries + 1)
            else:
                self.say(f"the {child.server.title} stays down; the others go on. `twin up` starts all again.")

    def _keep_database(self) -> None:
        """Start the embedded Postgres again where it died. It is done here and at once, before a server does it: what a
        server starts would end with that server."""
        if postgres.running(self.settings.postgres):
            return
        self.say("the embedded Postgres is gone; starting it again")
        try:
            postgres.databases(self.settings.postgres)
        except postgres.DatabaseError as error:
            self.say(str(error))

    def wait(self) -> None:
        """Watch until somebody asks to stop, or no server is left.

        Raises:
            SupervisorError: every server ended.
        """
        while self._children:
            self.watch()
            time.sleep(0.5)
        raise SupervisorError(f"no server is left; their logs are in {self.logs}")

    def stop(self) -> None:
        """Stop every process, the embedded Postgres last. Safe to repeat."""
        self._stopping = True
        _end([child.process for child in self._children.values()])
        self._children.clear()
        stopped = postgres.stop(self.settings.postgres)
        if stopped:
            self.say("stopped the embedded Postgres")
        if self._at_end is not None and self._at_end.stdin is not None:
            with contextlib.suppress(OSError):
                self._at_end.stdin.write(b".")
                self._at_end.stdin.close()
            self._at_end.wait()
            self._at_end = None
        _pid_file(self.settings).unlink(missing_ok=True)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._handlers.clear()

    def _launch(self, server: Server, restarts: int = 0) -> None:
        log = self.logs / f"{server.name}.log"
        with contextlib.suppress(OSError):
            if log.stat().st_size > _KEPT_LOG:
                log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            process = self._guarded(server.command, {**self.environment, **server.environment}, output)
        self._children[server.name] = _Child(server, process, time.monotonic(), log, restarts)

    def _guarded(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        output: IO[bytes] | None,
        options: Sequence[str] = (),
    ) -> subprocess.Popen:
        """Start ``command`` under a guard whose standard input is a pipe that only we hold."""
        return subprocess.Popen(
            [sys.executable, "-m", "twin_serving.processes.guard", *options, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            cwd=ROOT,
            env=dict(variables),
            start_new_session=True,
            bufsize=0,
        )

    def _how_it_ended(self, child: _Child) -> str:
        code = child.process.returncode
        how = f"signal {signal.Signals(code - 128).name}" if 128 < code < 160 else f"exit code {code}"
        return f"the {child.server.title} ended with {how}.\n{self._log_tail(child.log)}"

    def _log_tail(self, log: Path, lines: int = 15) -> str:
        """The last lines of a log, without the passwords that a URL may carry."""
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - 16_384))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            text = ""
        password = self.databases.twin.password
        if password:
            text = text.replace(str(password), "***")
        shown = "\n".join(f"  | {line}" for line in text.rstrip().splitlines()[-lines:])
        return f"the end of {log}:\n{shown or '  | (empty)'}"


def run(settings: Settings, databases: Databases, command: Sequence[str]) -> int:
    """Run one command in the foreground under a guard; Ctrl-C, TERM and our own death end it with its children."""
    process = subprocess.Popen(
        [sys.executable, "-m", "twin_serving.processes.guard", *command],
        stdin=subprocess.PIPE,
        env=environment(settings, databases),
        cwd=Path.cwd(),
        start_new_session=True,
    )
    with _forwarding(process):
        return process.wait()


@contextlib.contextmanager
def _forwarding(process: subprocess.Popen) -> Iterator[None]:
    """Pass INT, TERM and HUP on to ``process`` and keep waiting for it."""

    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if process.stdin:
            process.stdin.close()


def _end(processes: Sequence[subprocess.Popen], number: int = signal.SIGTERM) -> None:
    """Ask guards to end what they guard, all at once, and wait; each keeps its own time limit."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)
    for process in processes:
        try:
            process.wait(timeout=guard.GRACE + 4)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin:
            process.stdin.close()
