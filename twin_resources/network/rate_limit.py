"""One request at a time for a host, and a pause between two of them, across threads and processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twin_resources.network.policy import Clock


@dataclass
class _Host:
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: float = float("-inf")


_HOSTS: dict[tuple[str, int], _Host] = {}
_HOSTS_LOCK = threading.Lock()


@contextlib.contextmanager
def turn(host: str, clock: Clock, delay: float, folder: Path | None) -> Iterator[None]:
    """One request at a time for a host on this machine, and ``delay`` seconds from the end of one to the next.

    Processes take turns by a lock on a file, which the system gives back when a process dies; its time of change says
    when the last request ended.
    """
    with _HOSTS_LOCK:
        state = _HOSTS.setdefault((host, id(clock.monotonic)), _Host())
    with state.lock, contextlib.ExitStack() as stack:
        ended = state.ended
        file = stack.enter_context(_locked(folder / f"{host}.turn")) if folder else None
        if file is not None:
            ended = max(ended, clock.monotonic() - (clock.now().timestamp() - os.fstat(file).st_mtime))
        if delay and (wait := ended + delay - clock.monotonic()) > 0:
            clock.sleep(min(wait, delay))
        try:
            yield
        finally:
            state.ended = clock.monotonic()
            if file is not None:
                moment = clock.now().timestamp()
                os.utime(file, (moment, moment))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file).st_size:  # nobody had a turn yet, so nobody waits
            os.write(file, b".")
            os.utime(file, (0, 0))
        yield file
    finally:
        os.close(file)
