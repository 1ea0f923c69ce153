"""Processes that a test starts: free ports for them, what of them is alive, and waiting."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_serving.processes.servers import ROOT


@contextlib.contextmanager
def twin_up(home: Path, *arguments: str, names: Sequence[str], **variables: str) -> Iterator[dict[str, str]]:
    """`twin up` as a person starts it, on ports of its own, until the end of the block; the address of each server.

    Args:
        home: a short folder with a ``twin.yaml``.
        names: the servers to wait for.
        variables: more environment.
    """
    ports = dict(zip(("api", "dagster", "mlflow"), map(str, free_ports(3)), strict=True))
    outside = {key: value for key, value in os.environ.items() if not key.startswith("TWIN_")}
    environment = {
        **outside,
        **{f"TWIN_{name.upper()}_PORT": port for name, port in ports.items()},
        "TWIN_CONFIG": str(home / "twin.yaml"),
        "TWIN_HOME": str(home / "state"),
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    log = home / "typed.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "twin_serving.cli", "up", *arguments]
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        up = within(180, lambda: "Ctrl-C stops everything" in log.read_text() or process.poll() is not None)
        assert up, log.read_text()
        assert process.poll() is None, log.read_text()
        yield {name: f"http://127.0.0.1:{ports[name]}" for name in names}
    finally:
        process.terminate()
        process.wait(60)


def alive(token: str | Path) -> dict[int, str]:
    """Processes whose command line has ``token``."""
    found = {}
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(token) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found[process.pid] = line
    return found


def within(seconds: float, condition: Callable[[], object]) -> bool:
    """Whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def external(home: Path, server: Settings) -> Settings:
    """Settings of ``home`` on the database of the test run, so that nothing of it is stopped here."""
    url = postgres.prepare(server.postgres).twin.render_as_string(hide_password=False)
    return Settings(config=home / "twin.yaml", home=home / "state", database_url=url)  # pyright: ignore[reportArgumentType]
