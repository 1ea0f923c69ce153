"""Processes that a test starts: free ports for them, what of them is alive, and waiting."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from twin_resources.config.settings import Settings
from twin_resources.database import postgres


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
