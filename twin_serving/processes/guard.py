"""A small process around each child, so that nothing outlives the process that started it.

``python -m twin_serving.processes.guard COMMAND …`` runs a command in a session of its own and watches its own
standard input. When that pipe closes, because the parent ended or was killed with ``kill -9``, or when it is
told to stop, it ends the command and everything the command started, also what detached itself. Before that moment
nothing is imported but the standard library, by us or by what we import: a guard costs about 10 MB.

``--at-end`` runs the command only after the pipe closed without a dismissal: it stops the embedded Postgres, which
detaches from everybody, when its supervisor was killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

from twin_resources.runtime.processes import adopt_orphans, watch_parent

GRACE = 8.0
"""Seconds between TERM and KILL."""

_DISMISSED = b"."


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code, or 128 + signal where a signal ended it."""
    at_end = arguments[:1] == ["--at-end"]
    command = arguments[1:] if at_end else arguments
    if not command:
        print("usage: python -m twin_serving.processes.guard [--at-end] COMMAND …", file=sys.stderr)
        return 2
    return _run_at_end(command) if at_end else _run(command)


def _run(command: list[str]) -> int:
    orphaned = watch_parent()
    adopt_orphans()
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.append(received))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while child.poll() is None and not asked:
        if _closed(0.2) or orphaned():
            asked.append(signal.SIGTERM)
    _end(child, asked[0] if asked else signal.SIGTERM)
    code = child.returncode
    return code if code >= 0 else 128 - code


def _closed(seconds: float) -> bool:
    """Whether the parent's end of the pipe closed; waits at most ``seconds``."""
    with contextlib.suppress(InterruptedError):
        ready, _, _ = select.select([0], [], [], seconds)
        return bool(ready) and os.read(0, 1) == b""
    return False


def _end(child: subprocess.Popen, number: int) -> None:
    """Ask the command to stop, then whatever it leaves behind, and kill what is there after the grace."""
    deadline = time.monotonic() + GRACE
    asked: set[int] = set()
    with contextlib.suppress(ProcessLookupError):
        if child.poll() is None:
            child.send_signal(number)
    while time.monotonic() < deadline:
        alive = child.poll() is None
        if not alive:
            _reap(child)
            left = _descendants(os.getpid())
            if not left:
                return
            for pid in left - asked:
                _signal(pid, signal.SIGTERM)
            asked |= left
        time.sleep(0.05)
    for _ in range(20):
        for pid in _descendants(os.getpid()):
            _signal(pid, signal.SIGKILL)
        child.poll()
        _reap(child)
        if child.returncode is not None and not _descendants(os.getpid()):
            return
        time.sleep(0.05)


def _descendants(pid: int) -> set[int]:
    """Every process below ``pid`` that still runs; orphans come to us, because we are their subreaper."""
    import psutil

    found: set[int] = set()
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.add(process.pid)
    return found


def _reap(child: subprocess.Popen) -> None:
    """Collect orphans that ended, so that none stays as a zombie."""
    with contextlib.suppress(ChildProcessError):
        while child.returncode is not None and os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _run_at_end(command: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        said = os.read(0, 1)
        if said == _DISMISSED:
            return 0
        if said == b"":
            break
    time.sleep(GRACE + 1)
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
